"""Stopping when a number no longer improves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from recurra import _errors
from recurra.callbacks.monitor import MonitorCallback, check_finite, check_verbose
from recurra.callbacks.progress import say

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.callbacks.base import Logs


class EarlyStopping(MonitorCallback):
    """Stop training when a number of the logs has not improved for some epochs (`keras.callbacks.EarlyStopping`).

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name of the number in the logs.
    min_delta : float, default 0
        What an improvement must exceed.
    patience : int, default 0
        Epochs without an improvement after which training stops.
    verbose : {0, 1}, default 0
        1 says when it stops.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" knows it from the name.
    baseline : float, optional
        Epochs that do not beat it count as without an improvement.
    restore_best_weights : bool, default False
        Give the model the weights of the best epoch at the end of training.
    start_from_epoch : int, default 0
        First epoch that is looked at.

    Attributes
    ----------
    best : float or None
        The best value.
    best_epoch, stopped_epoch, wait : int
        The epoch of the best value; that after which training stopped, else 0; epochs since the last improvement.
    best_weights : list of numpy.ndarray or None
        Weights of the best epoch, if they are to be restored.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; at the start of training, if "auto" does not know the name.

    Notes
    -----
    Serves one model, from one thread. Warns once if the logs do not have the number.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> stop = recurra.callbacks.EarlyStopping(monitor="loss", patience=3, min_delta=10.0)
    >>> x, y = np.zeros((32, 5, 2)), np.zeros((32, 1))
    >>> len(model.fit(x, y, epochs=10, verbose=0, callbacks=[stop]).history["loss"])
    4
    """

    state_names: ClassVar[tuple[str, ...]] = ("best", "best_epoch", "best_weights", "stopped_epoch", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = _errors.check_integer("patience", patience, 0)
        self.verbose = check_verbose(verbose)
        self.baseline = None if baseline is None else check_finite("baseline", baseline)
        self.restore_best_weights = _errors.check_flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = _errors.check_integer("start_from_epoch", start_from_epoch, 0)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        super().on_train_begin(logs)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch's number with the best one."""
        current = self._value(logs, "Early stopping conditioned on")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights, if asked for."""
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
