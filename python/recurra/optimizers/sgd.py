"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from recurra import _core, _errors
from recurra.optimizers.base import Optimizer

if TYPE_CHECKING:
    from recurra._typing import Array


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, in Keras's form::

        v' = momentum * v - learning_rate * g
        w' = w + v'                                        plain
        w' = w + momentum * v' - learning_rate * g         with nesterov

    Parameters
    ----------
    learning_rate : float, default 0.01
        At least 0.
    momentum : float, default 0.0
        From 0 to below 1.
    nesterov : bool, default False
        Look ahead (Sutskever et al. 2013).

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

    slot_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(learning_rate)
        self.momentum = _errors.check_rate("momentum", momentum)
        self.nesterov = _errors.check_flag("nesterov", nesterov)
        if self.momentum:
            self.slot_names = ("velocity",)  # type: ignore[misc]

    def update(self, parameters: Array, gradients: Array) -> None:
        """Apply the rule; see `Optimizer.update`."""
        _core.sgd_step(
            parameters,
            gradients,
            self.slots.get("velocity"),
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
