"""Optimizers: each one fused pass over a model's flat parameters."""

from __future__ import annotations

from collections.abc import Callable

from recurra import _errors
from recurra.optimizers.adam import Adam
from recurra.optimizers.base import Optimizer
from recurra.optimizers.sgd import SGD

# Every optimizer by the name that `compile` and files know.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam}

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer", "get"]


def get(optimizer: object) -> Optimizer:
    """Return the optimizer that a name stands for, or the object itself."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        return OPTIMIZERS[_errors.check_choice("optimizer", optimizer.lower(), OPTIMIZERS)]()
    raise _errors.bad_type("optimizer", "a name such as 'adam' or an Optimizer", optimizer)
