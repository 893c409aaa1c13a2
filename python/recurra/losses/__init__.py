"""Losses: a mean, and its gradient with respect to the model's outputs."""

from __future__ import annotations

from typing import Any

from recurra import _errors
from recurra.losses.base import FunctionLoss, Loss
from recurra.losses.crossentropy import CategoricalCrossentropy, SparseCategoricalCrossentropy
from recurra.losses.regression import MeanSquaredError

# Every loss by the name that `compile` and files know.
LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (MeanSquaredError, CategoricalCrossentropy, SparseCategoricalCrossentropy)
}
_ALIASES = {"mean_squared_error": "mse"}

__all__ = [
    "LOSSES",
    "CategoricalCrossentropy",
    "FunctionLoss",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]


def get(loss: Any) -> Loss:
    """Return the loss that a name or a function stands for, or the object itself."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        name = _ALIASES.get(loss.lower(), loss.lower())
        return LOSSES[_errors.check_choice("loss", name, LOSSES)]()
    if callable(loss):
        return FunctionLoss(loss)
    raise _errors.bad_type("loss", "a name such as 'mse', a Loss or a function", loss)
