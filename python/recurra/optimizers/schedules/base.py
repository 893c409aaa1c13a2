"""The contract of every schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from typing import Self

_LARGEST = float(np.finfo(np.float64).max)
_SMALLEST = float(np.finfo(np.float64).tiny)


class LearningRateSchedule:
    """Base of the schedules; a subclass supplies ``__call__`` and ``get_config``.

    Examples
    --------
    >>> import recurra
    >>> class Halved(recurra.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / (1 + step // 1000)
    >>> optimizer = recurra.optimizers.SGD(Halved())
    >>> optimizer.iterations = 1000
    >>> optimizer.learning_rate
    0.05
    """

    # The constructor's arguments, kept under their names.
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        if not self._arguments:
            raise NotImplementedError(f"{type(self).__name__} defines no get_config, so it cannot be saved")
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new schedule made with the arguments that `get_config` returned."""
        return cls(**config)


def check_rate(argument: str, value: float) -> float:
    """Return a number of at least 0."""
    return _errors.check_number(argument, value, 0.0, _LARGEST, "a number of at least 0")


def check_steps(argument: str, value: float) -> float:
    """Return a number of steps above 0, an integer as such."""
    number = _errors.check_number(argument, value, _SMALLEST, _LARGEST, "a number above 0")
    return int(number) if number.is_integer() else number
