"""What every model can do beyond a layer: compile, fit, evaluate, predict, summary, save."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random
from recurra.layers.base import Layer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from recurra._typing import Array
    from recurra.callbacks import Callback, History
    from recurra.losses import Loss
    from recurra.metrics import Metric
    from recurra.optimizers import Optimizer
    from recurra.training.data import Samples


class Trainer(Layer):
    """Base of the models.

    Attributes
    ----------
    history : History or None
        Of the last ``fit``, also after an error or an interrupt.
    stop_training : bool
        Set by callbacks to end ``fit`` after the current epoch.
    output_has_time : bool
        Whether outputs are per time step, so that lengths decide which of them count.
    """

    output_has_time = False

    def __init__(self, *, dtype: Any = "float32", name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.history: History | None = None
        self.stop_training = False
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: list[Metric] = []
        self._training = threading.Lock()

    def compile(self, optimizer: Any = "adam", loss: Any = "mse", metrics: Iterable[Any] | None = None) -> None:
        """Choose optimizer, loss and metrics.

        Parameters
        ----------
        optimizer : str or Optimizer, default "adam"
            A name from `recurra.optimizers` or an object.
        loss : str, Loss or callable, default "mse"
            A name from `recurra.losses`, an object, or a function ``f(y_true, y_pred) -> (mean loss, gradient of
            y_pred)``.
        metrics : iterable of (str or Metric), optional
            Names from `recurra.metrics` or objects.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown; the model stays as it was.
        """
        from recurra import losses, optimizers
        from recurra import metrics as known_metrics

        chosen = [known_metrics.get(metric) for metric in ([metrics] if isinstance(metrics, str) else metrics or ())]
        self.optimizer, self.loss, self.metrics = optimizers.get(optimizer), losses.get(loss), chosen

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        *,
        lengths: Any = None,
        initial_epoch: int = 0,
        seed: int | None = None,
    ) -> History:
        """Train on samples.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            Inputs, of any real type; or the pair ``(x, lengths)``.
        y : array_like, shape (samples, ...)
            Targets as the loss wants them.
        batch_size : int, default 32
            Samples of a step; the last batch of an epoch may be smaller.
        epochs : int, default 1
            Number of the epoch to stop at.
        verbose : {"auto", 0, 1, 2}, default "auto"
            1 or "auto": an updating line per epoch on a terminal, else plain lines; 2: plain lines; 0: nothing.
        callbacks : iterable of Callback, optional
            Called in order, after `History` and before the progress bar.
        validation_split : float, default 0.0
            Share of the samples, from their end and before shuffling, to validate on after each epoch.
        validation_data : (x, y), optional
            Samples to validate on instead.
        shuffle : bool, default True
            Draw a new order of the samples for each epoch.
        lengths : array_like of int, shape (samples,), optional
            Steps to read of each sample; with outputs per step, later ones do not count.
        initial_epoch : int, default 0
            Number of the first epoch.
        seed : int, optional
            Of the order and of masks; by default from the global seed.

        Returns
        -------
        History
            Loss and metrics per epoch, also ``model.history``.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments, nothing being changed; or if a loss is not finite, the model then being as after the
            batch before.
        KeyboardInterrupt
            On Ctrl-C: the model is as after its last complete batch, ``history`` as after the last complete epoch.
        RuntimeError
            If the model is training already, in another thread.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> model = recurra.Sequential([recurra.LSTM(8), recurra.Dense(1)])
        >>> model.compile(optimizer="adam", loss="mse")
        >>> x, y = np.zeros((64, 30, 10)), np.zeros((64, 1))
        >>> history = model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        from recurra.callbacks import CallbackList, History
        from recurra.callbacks.progress import for_verbose
        from recurra.training import loop

        self._require_compiled()
        batch_size = _errors.check_integer("batch_size", batch_size, 1)
        last = _errors.check_integer("epochs", epochs, 0)
        planned = range(_errors.check_integer("initial_epoch", initial_epoch, 0), last)
        split = _errors.check_rate("validation_split", validation_split)
        shuffle = _errors.check_flag("shuffle", shuffle)
        seed = _random.next_seed() if seed is None else _errors.check_seed("seed", seed)
        bar = for_verbose(verbose)
        samples, validation = self._samples(x, y, lengths), None
        if validation_data is not None:
            validation = self._validation(validation_data)
        elif split:
            samples, validation = samples.split(split)
        history = History()
        params = {"epochs": last, "steps": samples.steps(batch_size), "samples": samples.count, "verbose": verbose}
        listed = CallbackList([history, *(callbacks or ()), *([bar] if bar else ())], self, params)
        with self._exclusively():
            self.history = history
            loop.run(
                self,
                samples,
                validation,
                listed,
                batch_size=batch_size,
                epochs=planned,
                shuffle=shuffle,
                seed=seed,
            )
        return history

    def train_on_batch(self, x: Any, y: Any, *, lengths: Any = None, seed: int | None = None) -> float:
        """Take one optimizer step and return the loss before it.

        Parameters
        ----------
        x, y, lengths
            As in `fit`; all of it is one batch.
        seed : int, optional
            Of the masks; by default each call draws new ones.

        Returns
        -------
        float
            The mean loss.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt, RuntimeError
            As `fit` does.
        """
        from recurra.training import loop
        from recurra.training.data import Batch
        from recurra.training.interrupt import Guard

        self._require_compiled()
        samples = self._samples(x, y, lengths)
        seed = self._call_seed(seed, True)
        logs = loop.RunningLogs(())
        with self._exclusively(), Guard() as guard:
            loop.train_step(self, Batch(samples.x, samples.y, samples.lengths), seed, logs, guard)
        return logs["loss"]

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        *,
        lengths: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return loss and metrics on samples.

        Parameters
        ----------
        x, y, lengths
            As in `fit`.
        batch_size : int, optional
            Samples computed at once; results do not depend on it but for the last digits of a mean.
        verbose : {"auto", 0, 1, 2}, default "auto"
            0 prints nothing, the others one line.
        return_dict : bool, default False
            Return a dictionary of names to numbers.

        Returns
        -------
        float, list of float or dict
            The loss; with metrics the list of loss and metrics.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        """
        from recurra.callbacks.progress import for_verbose, show_results
        from recurra.training import loop
        from recurra.training.data import INFERENCE_BATCH

        self._require_compiled()
        size = _errors.check_integer("batch_size", INFERENCE_BATCH if batch_size is None else batch_size, 1)
        show = for_verbose(verbose) is not None
        logs = loop.RunningLogs(self._fresh_metrics())
        results = loop.evaluate(self, self._samples(x, y, lengths), size, logs)
        if show:
            show_results(results)
        if return_dict:
            return results
        values = list(results.values())
        return values if len(values) > 1 else values[0]

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0, *, lengths: Any = None) -> Array:
        """Return the outputs for samples.

        Parameters
        ----------
        x, lengths
            As in `fit`.
        batch_size : int, optional
            Samples computed at once; outputs do not depend on it.
        verbose : {0, "auto", 1, 2}, default 0
            Accepted for Keras's sake; prediction is silent.

        Returns
        -------
        numpy.ndarray
            Of the model's dtype, one row per sample.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.

        Notes
        -----
        Safe from several threads.
        """
        from recurra.callbacks.progress import for_verbose
        from recurra.training.data import INFERENCE_BATCH

        for_verbose(verbose)
        size = _errors.check_integer("batch_size", INFERENCE_BATCH if batch_size is None else batch_size, 1)
        samples = self._samples(x, None, lengths)
        if samples.count <= size:
            return self._apply(samples.x, samples.lengths, False, 0)
        parts = [self._apply(batch.x, batch.lengths, False, 0) for batch in samples.batches(size)]
        return np.concatenate(parts)

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable, optional
            Called with the text; by default ``print``.
        """
        from recurra.training.summary import describe

        (print_fn or print)(describe(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, its optimizer and loss to a file; `recurra.load_model` reads it.

        The write is atomic: the file is the old or the new one, whole, even if the machine stops.

        Parameters
        ----------
        path : path
            Its ending names the format, ``.safetensors``.

        Raises
        ------
        ValueError
            If the ending is unknown, the model is not built, or a part of it cannot be written.
        OSError
            If the file cannot be written.
        """
        from recurra import io

        io.save_model(self, path)

    # What the loop and files use

    def _require_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            raise _errors.not_compiled()

    @property
    def _optimizer(self) -> Optimizer:
        assert self.optimizer is not None
        return self.optimizer

    @property
    def _loss(self) -> Loss:
        assert self.loss is not None
        return self.loss

    def _fresh_metrics(self) -> list[Metric]:
        """Return metrics of the same kind with a state of their own."""
        from copy import deepcopy

        return deepcopy(self.metrics)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the lock of training, which must be free."""
        if not self._training.acquire(blocking=False):
            raise RuntimeError(_errors.message("model", "one training at a time", "a second, concurrent one"))
        try:
            yield
        finally:
            self._training.release()

    def _compiled_state(self) -> dict[str, Any]:
        """Return what `compile` chose, for copies."""
        return {"optimizer": self.optimizer, "loss": self.loss, "metrics": self.metrics}

    def _samples(self, x: Any, y: Any, lengths: Any, prefix: str = "") -> Samples:
        """Return checked samples in the model's dtype, having built the model; ``y`` None: no targets."""
        from recurra.training.data import Samples, unpack

        x, lengths = unpack(x, lengths)
        inputs = _errors.as_real(f"{prefix}x", x, self.dtype)
        self.check_input(inputs, f"{prefix}x")
        if not len(inputs):
            raise _errors.bad_value(f"{prefix}x", "at least one sample", "none")
        if lengths is not None:
            if inputs.ndim < 3:
                raise _errors.bad_value("lengths", "an input with a time axis", f"shape {inputs.shape}")
            lengths = _errors.check_lengths(lengths, len(inputs), inputs.shape[1])
        if y is not None:
            shape = self.compute_output_shape(inputs.shape)
            y = self._loss.prepare(y, tuple(size or 0 for size in shape), self.dtype)
        return Samples(inputs, y, lengths)

    def _validation(self, data: Any) -> Samples:
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise _errors.bad_type("validation_data", "the pair (x, y)", data, "x may be the pair (x, lengths)")
        return self._samples(data[0], data[1], None, "validation ")
