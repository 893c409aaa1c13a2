"""Logs for TensorBoard, written without TensorFlow."""

from __future__ import annotations

import os
import time
from typing import Any

from recurra import _errors
from recurra.callbacks._events import EventFile, histogram_event, scalar_event
from recurra.callbacks.base import Callback, Logs


class TensorBoard(Callback):
    """Write logs as files for TensorBoard (`keras.callbacks.TensorBoard`).

    Tags are Keras's: ``epoch_loss`` and so on in ``train/`` and ``validation/``, by epoch, with
    ``epoch_learning_rate``; ``batch_loss`` by batch; ``evaluation_loss_vs_iterations`` by optimizer step.

    Parameters
    ----------
    log_dir : path, default "logs"
        The folder.
    histogram_freq : int, default 0
        Write a histogram of each parameter every so many epochs; 0: none.
    write_graph, write_images : bool, default False
        Not supported; Keras's default for the first is True.
    write_steps_per_second : bool, default False
        Also write how many batches a second were trained.
    update_freq : "epoch", "batch" or int, default "epoch"
        Write the logs of each epoch only, or also the running means after each batch, or every so many.
    profile_batch, embeddings_freq : int, default 0
        Not supported.
    embeddings_metadata : None
        Not supported.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.
    OSError
        From the training, if a file cannot be written.

    Notes
    -----
    Numbers are float32, as TensorBoard keeps them. Look at them by ``tensorboard --logdir logs``. Serves one training
    at a time; a run with ``resume`` goes on with its files.

    Examples
    --------
    >>> import numpy as np, os, recurra, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> board = recurra.callbacks.TensorBoard(folder, update_freq="batch")
    >>> x, y = np.zeros((32, 5, 2)), np.zeros((32, 1))
    >>> history = model.fit(x, y, verbose=0, validation_split=0.5, callbacks=[board])
    >>> sorted(os.listdir(folder))
    ['train', 'validation']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = False,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("write_graph", write_graph),
            ("write_images", write_images),
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if value:
                raise _errors.bad_value(name, "none", repr(value), "recurra writes numbers and histograms only")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = _errors.check_integer("histogram_freq", histogram_freq, 0)
        self.write_steps_per_second = _errors.check_flag("write_steps_per_second", write_steps_per_second)
        if update_freq == "epoch":
            self.update_freq = 0
        else:
            self.update_freq = 1 if update_freq == "batch" else _errors.check_integer("update_freq", update_freq, 1)
        self._files: dict[str, EventFile] = {}
        self._states: dict[str, tuple[str, int]] = {}
        self._batches = self._epoch_batches = 0
        self._start = 0.0
        if self.update_freq or self.write_steps_per_second:  # only then do batches cost anything
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010

    def _file(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(os.path.join(self.log_dir, name), self._states.get(name))
        return self._files[name]

    def _scalar(self, file: str, tag: str, value: float, step: int) -> None:
        self._file(file).write(scalar_event(tag, float(value), step))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        self._release()
        self._states = {}
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start to measure time."""
        self._start, self._epoch_batches = time.perf_counter(), self._batches

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        """Write the running means."""
        self._batches += 1
        if self.update_freq and self._batches % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._scalar("train", f"batch_{name}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's logs, and histograms."""
        if not logs:
            return
        values = {"learning_rate": float(self.model.optimizer.learning_rate), **logs}
        if self.write_steps_per_second:
            elapsed = max(time.perf_counter() - self._start, 1e-9)
            values["steps_per_second"] = (self._batches - self._epoch_batches) / elapsed
        for name, value in values.items():
            file = "validation" if name.startswith("val_") else "train"
            self._scalar(file, f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._histograms(epoch)
        for opened in self._files.values():
            opened.flush()

    def _histograms(self, epoch: int) -> None:
        for weight, values in zip(self.model.weights_declared, self.model.get_weights(), strict=True):
            tag = weight.name.replace(".", "/") + "/histogram"
            self._file("train").write(histogram_event(tag, values, epoch))

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the results of an evaluation."""
        for name, value in (logs or {}).items():
            tag = f"evaluation_{name}_vs_iterations"
            self._scalar("validation", tag, value, self.model.optimizer.iterations)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._release()

    def _release(self) -> None:
        for name, file in self._files.items():
            self._states[name] = file.state
            file.close()
        self._files.clear()

    def get_state(self) -> dict[str, Any]:
        """Return names and lengths of the files; see `Callback.get_state`."""
        files = {**self._states, **{name: file.state for name, file in self._files.items()}}
        return {"files": files, "batches": self._batches, "epoch_batches": self._epoch_batches}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on there; see `Callback.set_state`."""
        self._release()
        self._states = {name: (file, length) for name, (file, length) in state["files"].items()}
        self._batches, self._epoch_batches = state["batches"], state["epoch_batches"]
