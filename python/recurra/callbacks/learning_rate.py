"""Callbacks that set the optimizer's learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recurra import _errors
from recurra.callbacks.base import Callback, Logs
from recurra.callbacks.monitor import MonitorCallback, check_finite, check_verbose
from recurra.callbacks.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable


def _record(logs: Logs | None, optimizer: Any) -> None:
    """Add the learning rate to an epoch's logs."""
    if isinstance(logs, dict):
        logs["learning_rate"] = float(optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch (`keras.callbacks.LearningRateScheduler`).

    The rate is in the logs, as ``learning_rate``.

    Parameters
    ----------
    schedule : callable
        ``f(epoch, learning_rate) -> float``; the first epoch is 0. A function of the epoch alone will do.
    verbose : {0, 1}, default 0
        1 says the rate.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or from the training if what the function returns is no learning rate.

    Notes
    -----
    Serves one model, from one thread.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile(optimizer="sgd")
    >>> halve = recurra.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> x, y = np.zeros((32, 5, 2)), np.zeros((32, 1))
    >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[halve]).history["learning_rate"]
    [0.005, 0.0025, 0.00125]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise _errors.bad_type("schedule", "a function of epoch and learning rate", schedule)
        self.schedule = schedule
        self.verbose = check_verbose(verbose)
        self._arguments = _count_arguments(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        given = (epoch, float(optimizer.learning_rate))[: self._arguments]
        rate: Any = self.schedule(*given)
        if isinstance(rate, bool) or not isinstance(rate, float | np.floating):
            raise _errors.bad_type("schedule", "a function that returns a float", f"{rate!r} from it")
        optimizer.learning_rate = _errors.check_number("learning_rate", rate, 0.0, 1e300, "a number of at least 0")
        if self.verbose:
            say(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {optimizer.learning_rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the rate."""
        _record(logs, self.model.optimizer)


def _count_arguments(function: Callable[..., Any]) -> int:
    """Return whether a function wants one argument or two."""
    from inspect import signature

    try:
        signature(function).bind(0, 0.1)
    except TypeError:
        return 1
    except ValueError:  # a builtin that hides its signature
        return 2
    return 2


class ReduceLROnPlateau(MonitorCallback):
    """Reduce the learning rate when a number of the logs no longer improves (`keras.callbacks.ReduceLROnPlateau`).

    The rate is in the logs, as ``learning_rate``.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name of the number in the logs.
    factor : float, default 0.1
        Of the rate, below 1.
    patience : int, default 10
        Epochs without an improvement after which the rate is reduced.
    verbose : {0, 1}, default 0
        1 says when it is.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" knows it from the name.
    min_delta : float, default 1e-4
        What an improvement must exceed.
    cooldown : int, default 0
        Epochs after a reduction in which none count as without an improvement.
    min_lr : float, default 0
        Least rate.

    Attributes
    ----------
    best : float or None
        The best value.
    wait, cooldown_counter : int
        Epochs since the last improvement, and of the cooldown that are left.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; in training, if the learning rate is a schedule.

    Notes
    -----
    Serves one model, from one thread. Warns once if the logs do not have the number.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile(optimizer="sgd")
    >>> reduce = recurra.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=10.0)
    >>> x, y = np.zeros((32, 5, 2)), np.zeros((32, 1))
    >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[reduce]).history["learning_rate"]
    [0.01, 0.01, 0.005]
    """

    state_names: ClassVar[tuple[str, ...]] = ("best", "cooldown_counter", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        below_one = float(np.nextafter(1.0, 0.0))
        self.factor = _errors.check_number("factor", factor, 0.0, below_one, "a number from 0 to below 1")
        self.patience = _errors.check_integer("patience", patience, 0)
        self.verbose = check_verbose(verbose)
        self.cooldown = _errors.check_integer("cooldown", cooldown, 0)
        self.min_lr = check_finite("min_lr", min_lr)
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        super().on_train_begin(logs)
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch's number with the best one."""
        _record(logs, self.model.optimizer)
        current = self._value(logs, "Learning rate reduction is conditioned on")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def in_cooldown(self) -> bool:
        """Return whether epochs do not count after a reduction."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate)
        if rate <= self.min_lr:
            return False
        optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        if self.verbose:
            rate = optimizer.learning_rate
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        return True
