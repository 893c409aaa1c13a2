"""What every model can do beyond a layer: compile, fit, evaluate, predict, summary, save."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recurra import _errors, _random
from recurra.training.data import INFERENCE_BATCH
from recurra.training.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recurra.callbacks import Callback, CallbackList, History
    from recurra.metrics import Metric
    from recurra.optimizers import Optimizer
    from recurra.training.objective import Compiled, Objective
    from recurra.training.sources import Source


class Trainer(Stored):
    """Base of the models.

    Attributes
    ----------
    history : History or None
        Of the last ``fit``, also after an error or an interrupt.
    stop_training : bool
        Set by callbacks to end ``fit`` after the current epoch.
    """

    def __init__(self, *, dtype: Any = "float32", name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.history: History | None = None
        self.stop_training = False
        self.optimizer: Optimizer | None = None
        self._compiled: Compiled | None = None
        self._training = threading.Lock()

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "mse",
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Choose optimizer, loss and metrics.

        Parameters
        ----------
        optimizer : str or Optimizer, default "adam"
            A name from `recurra.optimizers` or an object.
        loss : str, Loss or callable, default "mse"
            A name from `recurra.losses`, an object, or a function ``f(y_true, y_pred) -> (mean loss, gradient of
            y_pred)``; for several outputs also a list, or a dictionary by the outputs' names.
        loss_weights : list or dict of float, optional
            Of the outputs' losses in their sum; 1 by default.
        metrics, weighted_metrics : iterable of (str or Metric), optional
            Names from `recurra.metrics`, which follow the loss's ``from_logits``, or objects; for several outputs a
            list of such, or a dictionary. Sample and class weights are for the loss and ``weighted_metrics``.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown; the model stays as it was.
        """
        from recurra import optimizers
        from recurra.training.objective import Compiled

        compiled = Compiled(loss, loss_weights, metrics, weighted_metrics)
        self.optimizer, self._compiled = optimizers.get(optimizer), compiled

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        lengths: Any = None,
        tbptt: int | None = None,
        seed: int | None = None,
        resume: Any = None,
    ) -> History:
        """Train on samples.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            Inputs, of any real type: an array, a frame, a list of sequences of different lengths, or the pair ``(x,
            lengths)``; a list or dictionary of such for several inputs. Or batches: a `recurra.data.Dataset`, or
            any iterable of ``(x, y)`` or ``(x, y, sample_weight)``.
        y : array_like, shape (samples, ...)
            Targets as the loss wants them; a list or dictionary for several outputs; none with batches.
        batch_size : int, default 32
            Samples of a step; the last batch of an epoch may be smaller.
        epochs : int, default 1
            Number of the epoch to stop at.
        verbose : {"auto", 0, 1, 2}, default "auto"
            1 or "auto": an updating line per epoch on a terminal, else plain lines; 2: plain lines; 0: nothing.
        callbacks : Callback or iterable of such, optional
            Called in order, before `History` and the progress bar.
        validation_split : float, default 0.0
            Share of the samples, from their end and before shuffling, to validate on after each epoch.
        validation_data : (x, y), (x, y, sample_weight) or batches, optional
            Samples to validate on instead.
        shuffle : bool, default True
            Draw a new order of the samples for each epoch.
        class_weight : dict of int to float, optional
            Weight of the training loss of each class, 1 for those not named.
        sample_weight : array_like, shape (samples,) or (samples, time), optional
            Weight of the loss of each sample or step.
        initial_epoch : int, default 0
            Number of the first epoch.
        steps_per_epoch : int, optional
            Batches of an epoch; by default all there are.
        validation_batch_size : int, optional
            Samples computed at once in validation.
        validation_freq : int, default 1
            Validate after every so many epochs.
        lengths : array_like of int, shape (samples,), optional
            Steps to read of each sample; with outputs per step, later ones do not count.
        tbptt : int, optional
            Truncated backpropagation through time (Williams & Peng 1990): take an optimizer step for each stretch of
            so many time steps; states are carried on, gradients are not. Needs outputs per step.
        seed : int, optional
            Of the order and of masks; by default from the global seed, or that of the run gone on with.
        resume : path or BackupAndRestore, optional
            Folder for the state of this run, saved after each epoch, and on errors and interrupts. If it holds a
            state, the run goes on from it, bit for bit as if it had never stopped; if the run is finished, its
            history is returned at once. See `recurra.callbacks.BackupAndRestore` to save more often.

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
        from recurra.models.carry import checked_stretch
        from recurra.training import loop, sources
        from recurra.training import resume as resuming
        from recurra.training.interrupt import exclusively

        self._require_compiled()
        given = CallbackList.as_list(callbacks)
        backup = resuming.backup_of(resume, given)
        states = resuming.saved_states(backup)
        last = _errors.check_integer("epochs", epochs, 0)
        planned = range(_errors.check_integer("initial_epoch", initial_epoch, 0), last)
        seed = resuming.choose_seed(states, _random.next_seed(), seed)
        stretch = 0 if tbptt is None else checked_stretch(self, tbptt)
        freq = _errors.check_integer("validation_freq", validation_freq, 1)
        bar = for_verbose(verbose)
        ask = sources.Request(self, batch_size, _errors.check_flag("shuffle", shuffle), seed, class_weight)
        source, validation = ask.training(x, y, lengths, sample_weight, validation_split)
        if validation_data is not None:
            validation = ask.validation(validation_data, validation_batch_size)
        if steps_per_epoch is not None:
            source = sources.LimitedSource(source, _errors.check_integer("steps_per_epoch", steps_per_epoch, 1))
        source = ask.stretched(source, stretch)
        history = History()
        params = {"epochs": last, "steps": source.steps, "samples": source.count, "verbose": verbose}
        listed = CallbackList([*given, history, *([bar] if bar else ())], self, params)
        data = {"seed": seed, "samples": source.count, "batches": source.steps, "batch_size": ask.size,
                "shuffle": shuffle, "tbptt": stretch, "validation_freq": freq}  # fmt: skip
        with exclusively(self._training):
            course = resuming.Run(self, listed, loop.Plan(planned, seed, freq), data, backup, states)
            self.history = history
            if not course.adopt_final(bar is not None):
                loop.run(course, source, validation)
        return history

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
        *,
        lengths: Any = None,
        seed: int | None = None,
    ) -> Any:
        """Take one optimizer step and return the loss before it.

        Parameters
        ----------
        x, y, sample_weight, class_weight, lengths
            As in `fit`; all of it is one batch.
        return_dict : bool, default False
            Return a dictionary of names to numbers.
        seed : int, optional
            Of the masks; by default each call draws new ones.

        Returns
        -------
        float, list of float or dict
            The mean loss; with metrics the list of loss and metrics.

        Raises
        ------
        TypeError, ValueError, KeyboardInterrupt, RuntimeError
            As `fit` does.
        """
        from recurra.training import checking, loop
        from recurra.training.interrupt import Guard, exclusively
        from recurra.training.objective import RunningLogs, as_numbers

        self._require_compiled()
        batch = checking.samples(self, x, y, lengths, sample_weight, class_weight).batch(slice(None))
        seed = self._call_seed(seed, True)
        logs = RunningLogs(self._objective.fresh())
        with exclusively(self._training), Guard() as guard:
            loop.train_step(self, batch, seed, logs, guard)
        return as_numbers(logs, return_dict)

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
        *,
        callbacks: Iterable[Callback] | None = None,
        lengths: Any = None,
    ) -> Any:
        """Return loss and metrics on samples.

        Parameters
        ----------
        x, y, sample_weight, lengths
            As in `fit`.
        batch_size : int, optional
            Samples computed at once; results do not depend on it but for the last digits of a mean.
        verbose : {"auto", 0, 1, 2}, default "auto"
            0 prints nothing, the others one line.
        return_dict : bool, default False
            Return a dictionary of names to numbers.
        callbacks : iterable of Callback, optional
            Their hooks ``on_test_*`` are called.

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
        from recurra.training import loop, sources
        from recurra.training.objective import RunningLogs, as_numbers

        self._require_compiled()
        show = for_verbose(verbose) is not None
        ask = sources.Request(self, batch_size, False, 0, None, INFERENCE_BATCH)
        source = ask.training(x, y, lengths, sample_weight, 0.0)[0]
        with self._listening(callbacks, source) as listed:
            results = loop.evaluate(self, source, RunningLogs(self._objective.fresh()), listed)
        if show:
            show_results(results)
        return as_numbers(results, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        *,
        callbacks: Iterable[Callback] | None = None,
        lengths: Any = None,
    ) -> Any:
        """Return the outputs for samples.

        Parameters
        ----------
        x, lengths
            As in `fit`.
        batch_size : int, optional
            Samples computed at once; outputs do not depend on it.
        verbose : {0, "auto", 1, 2}, default 0
            Accepted for Keras's sake; prediction is silent.
        callbacks : iterable of Callback, optional
            Their hooks ``on_predict_*`` are called.

        Returns
        -------
        numpy.ndarray
            Of the model's dtype, one row per sample; a list of such for several outputs.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.

        Notes
        -----
        Safe from several threads, without callbacks.
        """
        from recurra.callbacks.progress import for_verbose
        from recurra.training import loop, sources

        for_verbose(verbose)
        source = sources.Request(self, batch_size, False, 0, None, INFERENCE_BATCH).prediction(x, lengths)
        with self._listening(callbacks, source) as listed:
            outputs = loop.predict(self, source, listed)
        return outputs[0] if len(outputs) == 1 else outputs

    # What the loop and files use

    def _require_compiled(self) -> None:
        if self.optimizer is None or self._compiled is None:
            raise _errors.not_compiled()

    @property
    def _optimizer(self) -> Optimizer:
        assert self.optimizer is not None
        return self.optimizer

    @property
    def _objective(self) -> Objective:
        assert self._compiled is not None
        return self._compiled.objective(self.output_names)

    @property
    def loss(self) -> Any:
        """The loss that `compile` chose; None before."""
        return None if self._compiled is None else self._compiled.loss

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that `compile` chose, of all outputs."""
        return [] if self._compiled is None else self._objective.every_metric

    @contextmanager
    def _listening(self, callbacks: Iterable[Callback] | None, source: Source) -> Iterator[CallbackList | None]:
        """Give callbacks as one, outside a training; None if there are none."""
        if not callbacks:
            yield None
            return
        from recurra.callbacks import CallbackList

        params = {"epochs": 1, "steps": source.steps, "samples": source.count, "verbose": 0}
        listed = CallbackList(callbacks, self, params)
        try:
            yield listed
        finally:
            listed.release()

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "optimizer": self.optimizer, "_compiled": self._compiled}
