"""The contract of every optimizer: one pass over a model's parameters and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer


class Optimizer:
    """Base of the optimizers; a subclass supplies its update rule and the names of its slots.

    Parameters
    ----------
    learning_rate : float
        May be changed between steps.

    Attributes
    ----------
    learning_rate : float
        As above.
    iterations : int
        Steps taken.
    slots : dict of str to numpy.ndarray
        What the rule remembers, each laid out as the model's ``flat_parameters``.

    Notes
    -----
    An optimizer serves one model, from one thread.
    """

    # What the rule remembers, by name.
    slot_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: float) -> None:
        high = float(np.finfo(np.float64).max)
        self.learning_rate = _errors.check_number("learning_rate", learning_rate, 0.0, high, "a number of at least 0")
        self.iterations = 0
        self.slots: dict[str, Array] = {}

    def step(self, model: Layer) -> None:
        """Move the parameters of a model, or of a layer, by its gradients.

        Parameters
        ----------
        model : Layer
            Its gradients are read and stay as they are.

        Raises
        ------
        ValueError
            If the optimizer has served a model of another size.
        """
        gradients, parameters = model.flat_gradients, model._theta
        assert parameters is not None
        if not self.slots and self.slot_names:
            self.slots = {name: np.zeros_like(parameters) for name in self.slot_names}
        for name in self.slot_names:
            if self.slots[name].shape != parameters.shape:
                hint = "make a new optimizer for each model"
                sizes = self.slots[name].size, parameters.size
                raise _errors.bad_value("optimizer", f"the model of its first step ({sizes[0]} parameters)",
                                        f"another of {sizes[1]}", hint)  # fmt: skip
        try:
            self.update(parameters, gradients)
        finally:
            model._version.number += 1  # afterwards: a call meanwhile must not pass for one with the new values
        self.iterations += 1

    def update(self, parameters: Array, gradients: Array) -> None:
        """Apply the rule to the flat parameters, in place; ``iterations`` steps were taken before."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"learning_rate": self.learning_rate}
