"""Losses: a number, and its gradient with respect to the model's outputs."""

from __future__ import annotations

from typing import Any

from recurra import _errors, _objects
from recurra.losses.base import ElementLoss, FunctionLoss, Loss
from recurra.losses.binary import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalHinge,
    Hinge,
    SquaredHinge,
)
from recurra.losses.crossentropy import CategoricalCrossentropy, SparseCategoricalCrossentropy
from recurra.losses.distributions import GaussianNLL, KLDivergence, Poisson, Quantile
from recurra.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)
from recurra.losses.sequence import CTC, LinearChainCRF

_CLASSES: tuple[type[Loss], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Huber,
    LogCosh,
    CosineSimilarity,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
    Poisson,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    GaussianNLL,
    Quantile,
    CTC,
    LinearChainCRF,
)
_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "logcosh": "log_cosh",
    "pinball": "quantile",
}

# Every loss by the names that `compile` and files know.
LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in _CLASSES}
LOSSES.update({alias: LOSSES[name] for alias, name in _ALIASES.items()})

__all__ = [
    "CTC",
    "LOSSES",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "ElementLoss",
    "FunctionLoss",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LinearChainCRF",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "deserialize",
    "get",
    "serialize",
]


def get(loss: Any) -> Loss:
    """Return the loss that a name, a configuration or a function stands for, or the object itself.

    Raises
    ------
    TypeError, ValueError
        If it stands for none.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        made: Loss = _errors.find_class("loss", loss, LOSSES)()
        return made
    if isinstance(loss, dict):
        return deserialize(loss)
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    raise _errors.bad_type("loss", "a name such as 'mse', a Loss or a function", loss)


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the class and the arguments of a loss, for `deserialize`."""
    return _objects.described(loss)


def deserialize(config: dict[str, Any], custom_objects: dict[str, type[Loss]] | None = None) -> Loss:
    """Return the loss that `serialize` described.

    Parameters
    ----------
    config : dict
        With "class_name" and "config".
    custom_objects : dict of str to class, optional
        Losses of one's own by class name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    made: Loss = _objects.from_description("loss", config, LOSSES, custom_objects)
    return made
