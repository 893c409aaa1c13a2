"""When training ends: after epochs without improvement, as in scikit-learn's multilayer perceptrons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from recurra.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array
    from recurra.callbacks.base import Logs


class Convergence(Callback):
    """Ends training when neither loss nor score have improved by ``tol`` for more than ``patience`` epochs in a row.

    Parameters
    ----------
    tol : float
        Improvement that counts.
    patience : float
        Epochs.
    score : callable, optional
        Called after each epoch; its value is to grow, in place of the loss to fall, and the weights of its best epoch
        come back when training ends.
    """

    def __init__(self, tol: float, patience: float, score: Callable[[], float] | None = None) -> None:
        super().__init__()
        self.tol, self.patience, self.score = tol, patience, score
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.best = math.inf
        self.converged = False
        self._waited = 0
        self._weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        self.losses.append(float((logs or {})["loss"]))
        value = self.losses[-1]
        if self.score is not None:
            self.scores.append(self.score())
            value = -self.scores[-1]
        self._waited = self._waited + 1 if value > self.best - self.tol else 0
        if value < self.best:
            self.best = value
            if self.score is not None:
                self._weights = self.model.get_weights()
        if self._waited > self.patience:
            self.converged = True
            self.model.stop_training = True

    def restore(self) -> None:
        """Put the best epoch's weights back, if there was a score."""
        if self._weights is not None:
            self.model.set_weights(self._weights)
