"""A line before the rest."""

from __future__ import annotations

from typing import Any

from recurra import _errors
from recurra.optimizers.schedules.base import LearningRateSchedule, check_rate


class LinearWarmup(LearningRateSchedule):
    """Along a line to a rate, or to the first of a schedule that takes over then::

        initial_learning_rate + (learning_rate - initial_learning_rate) * step / warmup_steps

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        What comes after the line; a schedule is asked with ``step - warmup_steps``.
    warmup_steps : int
        At least 0.
    initial_learning_rate : float, default 0.0
        Where the line starts.
    name : str, default "LinearWarmup"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> schedule = recurra.optimizers.schedules.LinearWarmup(0.5, 10)
    >>> schedule(5), schedule(10), schedule(99)
    (0.25, 0.5, 0.5)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | dict[str, Any],
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        name: str = "LinearWarmup",
    ) -> None:
        from recurra.optimizers.schedules import deserialize

        if isinstance(learning_rate, dict):
            learning_rate = deserialize(learning_rate)
        if not isinstance(learning_rate, LearningRateSchedule):
            learning_rate = check_rate("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.warmup_steps = _errors.check_integer("warmup_steps", warmup_steps, 0)
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        after = max(0, step - self.warmup_steps)
        rate = self.learning_rate if isinstance(self.learning_rate, float) else self.learning_rate(after)
        if step >= self.warmup_steps:
            return rate
        return self.initial_learning_rate + (rate - self.initial_learning_rate) * (step / self.warmup_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, a schedule by class and arguments."""
        from recurra.optimizers.schedules import serialize

        rate = self.learning_rate
        return {
            "learning_rate": rate if isinstance(rate, float) else serialize(rate),
            "warmup_steps": self.warmup_steps,
            "initial_learning_rate": self.initial_learning_rate,
            "name": self.name,
        }
