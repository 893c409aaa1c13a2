"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.optimizers.fused import FusedOptimizer
from recurra.optimizers.settings import check_epsilon

if TYPE_CHECKING:
    from typing import Unpack

    from recurra.optimizers.schedules import LearningRateSchedule
    from recurra.optimizers.settings import Options


class RMSprop(FusedOptimizer):
    """RMSprop (Tieleman & Hinton 2012; centered: Graves 2013), in Keras's form::

        v' = rho * v + (1 - rho) * g * g
        a' = rho * a + (1 - rho) * g                                    with centered
        u  = learning_rate * g / sqrt(v' - a' * a' + epsilon)           a' = 0 unless centered
        m' = momentum * m + u                                           with momentum
        w' = w - u, or w - m'

    PyTorch adds epsilon to the root, Keras to what is under it.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    rho : float, default 0.9
        From 0 to below 1.
    momentum : float, default 0.0
        From 0 to below 1.
    epsilon : float, default 1e-7
        At least 0.
    centered : bool, default False
        Divide by an estimate of the gradients' deviation, not of their size.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.RMSprop(momentum=0.9, centered=True).slot_names
    ('velocity', 'momentum', 'average_gradient')
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = _errors.check_rate("rho", rho)
        self.momentum = _errors.check_rate("momentum", momentum)
        self.epsilon = check_epsilon(epsilon)
        self.centered = _errors.check_flag("centered", centered)
        self.rule = "rmsprop" + "_centered" * self.centered + "_momentum" * bool(self.momentum)
        momenta = ("momentum",) if self.momentum else ()
        self.rule_slots = ("velocity", *momenta, *(("average_gradient",) if self.centered else ()))

    def _numbers(self) -> tuple[float, ...]:
        numbers = self.learning_rate, self.rho, 1.0 - self.rho, self.epsilon
        return (*numbers, self.momentum) if self.momentum else numbers

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}
