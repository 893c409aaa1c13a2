"""Optimizers that divide by all gradients so far: Adagrad and Adadelta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.optimizers.fused import FusedOptimizer
from recurra.optimizers.settings import check_epsilon

if TYPE_CHECKING:
    from typing import Unpack

    from recurra._typing import Array
    from recurra.optimizers.schedules import LearningRateSchedule
    from recurra.optimizers.settings import Options


class Adagrad(FusedOptimizer):
    """Adagrad (Duchi, Hazan & Singer 2011), in Keras's form::

        a' = a + g * g
        w' = w - learning_rate * g / sqrt(a' + epsilon)

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    initial_accumulator_value : float, default 0.1
        What a starts with, at least 0.
    epsilon : float, default 1e-7
        At least 0.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Adagrad().initial_accumulator_value
    0.1
    """

    rule = "adagrad"
    rule_slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = _errors.check_number(
            "initial_accumulator_value", initial_accumulator_value, 0.0, 1e30, "a number of at least 0"
        )
        self.epsilon = check_epsilon(epsilon)

    def _initial_slot(self, name: str, parameters: Array) -> Array:
        if name == "accumulator":
            return np.full_like(parameters, self.initial_accumulator_value)
        return super()._initial_slot(name, parameters)

    def _numbers(self) -> tuple[float, ...]:
        return self.learning_rate, self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adadelta(FusedOptimizer):
    """Adadelta (Zeiler 2012)::

        a' = rho * a + (1 - rho) * g * g
        u  = g * sqrt(d + epsilon) / sqrt(a' + epsilon)
        d' = rho * d + (1 - rho) * u * u
        w' = w - learning_rate * u

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0; the paper's is 1.
    rho : float, default 0.95
        From 0 to below 1.
    epsilon : float, default 1e-7
        At least 0.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Adadelta(1.0).rho
    0.95
    """

    rule = "adadelta"
    rule_slots = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = _errors.check_rate("rho", rho)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> tuple[float, ...]:
        return self.learning_rate, self.rho, 1.0 - self.rho, self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
