"""Callbacks of a few lines: functions as a callback, an end at NaN, averaged weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from recurra import _errors
from recurra.callbacks.base import Callback, Logs, StatefulCallback
from recurra.callbacks.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array


class LambdaCallback(Callback):
    """Functions as a callback (`keras.callbacks.LambdaCallback`).

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, on_train_begin, on_train_end, on_train_batch_begin, on_train_batch_end : optional
        Functions with the arguments of the hooks of these names in `Callback`.
    **kwargs
        Functions for other hooks, by name.

    Raises
    ------
    TypeError, ValueError
        If there is no such hook, or no function.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> show = recurra.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> model = recurra.Sequential([recurra.LSTM(4, seed=1), recurra.Dense(1)])
    >>> model.compile()
    >>> history = model.fit(np.zeros((32, 5, 2)), np.zeros((32, 1)), epochs=2, verbose=0, callbacks=[show])
    0 0.0
    1 0.0
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., object] | None = None,
        on_epoch_end: Callable[..., object] | None = None,
        on_train_begin: Callable[..., object] | None = None,
        on_train_end: Callable[..., object] | None = None,
        on_train_batch_begin: Callable[..., object] | None = None,
        on_train_batch_end: Callable[..., object] | None = None,
        **kwargs: Callable[..., object] | None,
    ) -> None:
        super().__init__()
        given: dict[str, Any] = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in given.items():
            _errors.check_choice("LambdaCallback", name, hooks)
            if function is None:
                continue
            if not callable(function):
                raise _errors.bad_type(name, "a function", function)
            setattr(self, name, function)


class TerminateOnNaN(Callback):
    """End training at the first loss that is NaN or infinite (`keras.callbacks.TerminateOnNaN`).

    Without it such a loss raises ValueError. In both cases the model is as after the batch before.

    Parameters
    ----------
    raise_error : bool, default False
        Raise RuntimeError, so that ``on_train_end`` of the other callbacks is not run, instead of ending in order.

    Raises
    ------
    TypeError
        If it is no bool.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> x, y = np.zeros((32, 5, 2)), np.full((32, 1), np.nan)
    >>> history = model.fit(x, y, epochs=9, verbose=0, callbacks=[recurra.callbacks.TerminateOnNaN()])
    Batch 0: Invalid loss, terminating training
    >>> history.epoch
    [0]
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = _errors.check_flag("raise_error", raise_error)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """End training if the loss is not finite."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class SwapEMAWeights(StatefulCallback):
    """Evaluate and predict with the moving average of the weights (`keras.callbacks.SwapEMAWeights`).

    The average is the optimizer's, which must have been made with ``use_ema=True``; it takes the place of the weights
    before an evaluation, and gives it back after it.

    Parameters
    ----------
    swap_on_epoch : bool, default False
        Also swap at the end of each epoch and back before the next, so that callbacks after this one, such as
        `ModelCheckpoint`, see the average.

    Raises
    ------
    TypeError
        If it is no bool.
    ValueError
        From the training, if the optimizer keeps no average.

    Notes
    -----
    Serves one model, from one thread. At the end of ``fit`` the average takes the weights' place for good, with or
    without this callback, as in Keras.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile(recurra.optimizers.Adam(use_ema=True))
    >>> swap = recurra.callbacks.SwapEMAWeights()
    >>> x, y = np.ones((32, 5, 2)), np.ones((32, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[swap])
    >>> history.history["val_loss"][-1] == model.evaluate(x, y, verbose=0)
    True
    """

    state_names: ClassVar[tuple[str, ...]] = ("_weights",)

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = _errors.check_flag("swap_on_epoch", swap_on_epoch)
        self._weights: Array | None = None  # while the average is in their place

    def _swap(self, inside: bool) -> None:
        """Bring the average into the model, or the weights back."""
        if inside == (self._weights is not None):
            return
        optimizer, model = self.model.optimizer, self.model
        if not getattr(optimizer, "use_ema", False):
            raise _errors.bad_value("optimizer", "one made with use_ema=True, as SwapEMAWeights needs", "another")
        source = optimizer.slots.get("average") if inside else self._weights
        if source is None:
            return  # no step yet: the average is the weights
        self._weights = model._theta.copy() if inside else None
        try:
            for part in model._parts():
                model._theta[part.start : part.stop] = source[part.start : part.stop]
        finally:
            model._version.number += 1

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start with the weights in the model."""
        self._weights = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Swap back."""
        if self.swap_on_epoch:
            self._swap(inside=False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Swap; after the last epoch for good."""
        if self.swap_on_epoch:
            self._swap(inside=True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave the average in the model."""
        self._weights = None

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Swap."""
        self._swap(inside=True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Swap back."""
        self._swap(inside=False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Swap."""
        self._swap(inside=True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Swap back."""
        self._swap(inside=False)

    def _release(self) -> None:
        """Swap back after an error or interrupt."""
        self._swap(inside=False)
