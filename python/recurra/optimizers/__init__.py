"""Optimizers: each one fused pass over a model's flat parameters; schedules of their learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, _objects
from recurra.optimizers import schedules
from recurra.optimizers.adagrad import Adadelta, Adagrad
from recurra.optimizers.adam import Adam, Adamax, AdamW, Nadam
from recurra.optimizers.base import Optimizer
from recurra.optimizers.lion import Lion
from recurra.optimizers.rmsprop import RMSprop
from recurra.optimizers.sgd import SGD

if TYPE_CHECKING:
    from collections.abc import Callable


def amsgrad(*arguments: Any, **options: Any) -> Adam:
    """Return `Adam` with ``amsgrad=True``."""
    return Adam(*arguments, **{"amsgrad": True, **options})


# Every optimizer by the name that `compile` and files know.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "amsgrad": amsgrad,
    "adamw": AdamW,
    "nadam": Nadam,
    "adamax": Adamax,
    "lion": Lion,
}

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def get(optimizer: object) -> Optimizer:
    """Return the optimizer that a name or a configuration stands for, or the object itself.

    Raises
    ------
    TypeError, ValueError
        If it stands for none.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        return OPTIMIZERS[_errors.check_choice("optimizer", optimizer.lower(), OPTIMIZERS)]()
    if isinstance(optimizer, dict):
        return deserialize(optimizer)
    raise _errors.bad_type("optimizer", "a name such as 'adam' or an Optimizer", optimizer)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the class and the arguments of an optimizer, for `deserialize`."""
    return _objects.described(optimizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, type[Optimizer]] | None = None) -> Optimizer:
    """Return the optimizer that `serialize` described, as new.

    Parameters
    ----------
    config : dict
        With "class_name" and "config".
    custom_objects : dict of str to class, optional
        Optimizers of one's own by class name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    made: Optimizer = _objects.from_description("optimizer", config, OPTIMIZERS, custom_objects)
    return made
