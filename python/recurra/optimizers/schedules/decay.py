"""Rates that fall: exponentially, inversely with time, along a power, in steps."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from recurra import _errors
from recurra.optimizers.schedules.base import LearningRateSchedule, check_rate, check_steps

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate^(step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        Above 0.
    decay_rate : float
        At least 0.
    staircase : bool, default False
        Round the exponent down: one fall every ``decay_steps``.
    name : str, default "ExponentialDecay"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.schedules.ExponentialDecay(0.1, 100, 0.5)(200)
    0.025
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.decay_rate = check_rate("decay_rate", decay_rate)
        self.staircase = _errors.check_flag("staircase", staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        p = step / self.decay_steps
        return float(self.initial_learning_rate * self.decay_rate ** (math.floor(p) if self.staircase else p))


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        Above 0.
    decay_rate : float
        At least 0.
    staircase : bool, default False
        Round ``step / decay_steps`` down.
    name : str, default "InverseTimeDecay"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.schedules.InverseTimeDecay(0.1, 10, 1.0)(10)
    0.05
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.decay_rate = check_rate("decay_rate", decay_rate)
        self.staircase = _errors.check_flag("staircase", staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        p = step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * (math.floor(p) if self.staircase else p))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` up to and with step ``boundaries[i]``, the last value after all of them.

    Parameters
    ----------
    boundaries : sequence of int
        Ascending.
    values : sequence of float
        One more than there are boundaries.
    name : str, default "PiecewiseConstant"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> schedule = recurra.optimizers.schedules.PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101), schedule(1000)
    (0.1, 0.01, 0.001)
    """

    _arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        boundaries = [check_rate("boundaries", boundary) for boundary in boundaries]
        self.boundaries = [int(boundary) if boundary.is_integer() else boundary for boundary in boundaries]
        self.values = [check_rate("values", value) for value in values]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            expected = f"{len(self.boundaries) + 1}, one more than there are boundaries"
            raise _errors.bad_value("values", expected, str(len(self.values)))
        if any(later <= earlier for earlier, later in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise _errors.bad_value("boundaries", "ascending numbers", repr(self.boundaries))

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        return self.values[bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """From one rate to another along a power; s is ``min(step, decay_steps)``::

        (initial_learning_rate - end_learning_rate) * (1 - s / decay_steps)^power + end_learning_rate

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        Above 0.
    end_learning_rate : float, default 0.0001
        At least 0.
    power : float, default 1.0
        At least 0; 1 is a straight line.
    cycle : bool, default False
        Start anew after ``decay_steps``, with the smallest multiple of it that is not below ``step`` in its place.
    name : str, default "PolynomialDecay"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.schedules.PolynomialDecay(0.1, 100, 0.0)(50)
    0.05
    """

    _arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.end_learning_rate = check_rate("end_learning_rate", end_learning_rate)
        self.power = check_rate("power", power)
        self.cycle = _errors.check_flag("cycle", cycle)
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        rest = 1.0 - min(step, steps) / steps
        return float((self.initial_learning_rate - self.end_learning_rate) * rest**self.power + self.end_learning_rate)
