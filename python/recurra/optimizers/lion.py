"""Lion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.optimizers.fused import FusedOptimizer

if TYPE_CHECKING:
    from typing import Unpack

    from recurra.optimizers.schedules import LearningRateSchedule
    from recurra.optimizers.settings import Options


class Lion(FusedOptimizer):
    """Lion (Chen et al. 2023)::

        w' = w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)
        m' = beta_2 * m + (1 - beta_2) * g

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0; a third to a tenth of what suits `AdamW`.
    beta_1, beta_2 : float, default 0.9 and 0.99
        From 0 to below 1; beta_1 above 0, without which nothing would be remembered.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Lion(1e-4, weight_decay=0.1).slot_names
    ('m',)
    """

    rule = "lion"
    rule_slots = ("m",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = _errors.check_rate("beta_1", beta_1)
        if not self.beta_1:
            raise _errors.bad_value("beta_1", "a rate above 0 and below 1", repr(beta_1))
        self.beta_2 = _errors.check_rate("beta_2", beta_2)

    def _numbers(self) -> tuple[float, ...]:
        beta_1, beta_2 = self.beta_1, self.beta_2
        return self.learning_rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
