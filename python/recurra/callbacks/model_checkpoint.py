"""Saving the model while it trains."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from recurra import _errors
from recurra.callbacks.base import Logs
from recurra.callbacks.monitor import MonitorCallback, check_finite, check_verbose
from recurra.callbacks.progress import say


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, while it trains (`keras.callbacks.ModelCheckpoint`).

    Parameters
    ----------
    filepath : path
        Name of the file, whose ending says the format. It may hold ``{epoch}`` (from 1), ``{batch}`` and names of the
        logs: ``"{epoch:02d}-{val_loss:.2f}.safetensors"``. Missing folders are made.
    monitor : str, default "val_loss"
        Name of the number in the logs that says which model is best.
    verbose : {0, 1}, default 0
        1 says when a file is written.
    save_best_only : bool, default False
        Write only when the number has improved.
    save_weights_only : bool, default False
        Write the weights alone (``model.save_weights``).
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" knows it from the name.
    save_freq : "epoch" or int, default "epoch"
        Write after each epoch, or after so many batches.
    initial_value_threshold : float, optional
        What the first value must beat.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; from the training, if the logs lack a name that ``filepath`` holds.
    OSError
        From the training, if a file cannot be written.

    Notes
    -----
    Serves one model, from one thread. A file is written wholly or not at all. A write is announced after it, by one
    message instead of Keras's two.

    Examples
    --------
    >>> import numpy as np, os, recurra, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> save = recurra.callbacks.ModelCheckpoint(os.path.join(folder, "{epoch:02d}.safetensors"))
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> history = model.fit(np.zeros((32, 5, 2)), np.zeros((32, 1)), epochs=2, verbose=0, callbacks=[save])
    >>> sorted(os.listdir(folder))
    ['01.safetensors', '02.safetensors']
    """

    state_names: ClassVar[tuple[str, ...]] = ("best", "_batches_seen_since_last_saving", "_current_epoch")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if initial_value_threshold is not None:
            initial_value_threshold = check_finite("initial_value_threshold", initial_value_threshold)
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = check_verbose(verbose)
        self.save_best_only = _errors.check_flag("save_best_only", save_best_only)
        self.save_weights_only = _errors.check_flag("save_weights_only", save_weights_only)
        self.save_freq = save_freq if save_freq == "epoch" else _errors.check_integer("save_freq", save_freq, 1)
        self._check_ending()
        self._batches_seen_since_last_saving = self._current_epoch = 0
        if self.save_freq != "epoch":  # only then do batches cost anything
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010

    def _check_ending(self) -> None:
        from recurra.io import FORMATS

        known = [".safetensors"] if self.save_weights_only else list(FORMATS)
        if os.path.splitext(self.filepath)[1].lower() not in known:
            expected = "a name ending in " + " or ".join(known)
            raise _errors.bad_value("filepath", expected, repr(self.filepath), "the ending says the format")

    def _upward(self) -> bool:
        return self.save_best_only and super()._upward()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew, but for the best value."""
        super().on_train_begin(logs)
        self._batches_seen_since_last_saving = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._current_epoch = epoch

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        """Write after enough batches."""
        self._batches_seen_since_last_saving += 1
        if self._batches_seen_since_last_saving >= int(self.save_freq):
            self._batches_seen_since_last_saving = 0
            self._save(self._current_epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write after the epoch."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        if self.save_best_only:
            current = self._value(logs, "Can save best model only with")
            if current is not None and not self._is_best(epoch, current):
                return
        else:
            current = None
        path = self._path(epoch, batch, logs)
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            before = "None" if self.best is None else f"{self.best:.5f}"
            gain = "" if current is None else f"{self.monitor} improved from {before} to {current:.5f}, "
            say(f"Epoch {epoch + 1}: {gain}saving model to {path}")
        if current is not None:
            self.best = current

    def _is_best(self, epoch: int, current: float) -> bool:
        if self._improves(current, self.best):
            return True
        if self.verbose:
            say(f"Epoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
        return False

    def _path(self, epoch: int, batch: int | None, logs: Logs | None) -> str:
        """Return the file's name with epoch, batch and logs filled in."""
        values: dict[str, Any] = {**(logs or {}), "epoch": epoch + 1}
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return self.filepath.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            hint = f"{error} in {self.filepath!r} cannot be filled in"
            raise _errors.bad_value("filepath", f"names among {', '.join(values)}", "another", hint) from None
