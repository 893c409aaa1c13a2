"""Schedules: the learning rate as a function of the number of batches seen."""

from __future__ import annotations

from typing import Any

from recurra import _objects
from recurra.optimizers.schedules.base import LearningRateSchedule
from recurra.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts, OneCycleLR
from recurra.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from recurra.optimizers.schedules.warmup import LinearWarmup

_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    InverseTimeDecay,
    CosineDecay,
    CosineDecayRestarts,
    OneCycleLR,
    LinearWarmup,
)

# Every schedule by the name that files know.
SCHEDULES: dict[str, type[LearningRateSchedule]] = {schedule.__name__: schedule for schedule in _CLASSES}

__all__ = [
    "SCHEDULES",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearWarmup",
    "OneCycleLR",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the class and the arguments of a schedule, for `deserialize`."""
    return _objects.described(schedule)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, type[LearningRateSchedule]] | None = None
) -> LearningRateSchedule:
    """Return the schedule that `serialize` described.

    Parameters
    ----------
    config : dict
        With "class_name" and "config".
    custom_objects : dict of str to class, optional
        Schedules of one's own by class name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    made: LearningRateSchedule = _objects.from_description("learning_rate", config, SCHEDULES, custom_objects)
    return made
