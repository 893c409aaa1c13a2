"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.optimizers.fused import FusedOptimizer

if TYPE_CHECKING:
    from typing import Unpack

    from recurra.optimizers.schedules import LearningRateSchedule
    from recurra.optimizers.settings import Options


class SGD(FusedOptimizer):
    """Stochastic gradient descent with momentum, in Keras's form::

        v' = momentum * v - learning_rate * g
        w' = w + v'                                        plain
        w' = w + momentum * v' - learning_rate * g         with nesterov

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.01
        At least 0.
    momentum : float, default 0.0
        From 0 to below 1.
    nesterov : bool, default False
        Look ahead (Sutskever et al. 2013); without momentum it changes nothing.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.SGD(0.1, momentum=0.9).momentum
    0.9
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = _errors.check_rate("momentum", momentum)
        self.nesterov = _errors.check_flag("nesterov", nesterov)
        self.rule = "sgd"
        if self.momentum:
            self.rule, self.rule_slots = "nesterov" if self.nesterov else "momentum", ("velocity",)

    def _numbers(self) -> tuple[float, ...]:
        return (self.learning_rate, self.momentum) if self.rule_slots else (self.learning_rate,)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
