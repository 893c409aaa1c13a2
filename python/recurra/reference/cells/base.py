"""What every cell offers: one step forward, and that step's backward beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from .._types import Array, Parameters
from ..activations import Activation, Gate
from ..options import Options
from ..product import Product, ProductSaved, Tally


class Step(NamedTuple):
    """The result of one step, before zoneout."""

    h: Array  # (N, R)
    c: Array | None  # (N, H), LSTM only
    saved: Any  # for backward()


class StepGradient(NamedTuple):
    """The gradients of what entered one step."""

    a: Array  # (N, G*H)
    h: Array | None  # (N, R), of the h used outside of the products; None: 0
    h_dropped: Array  # (N, R), of the h that entered the products
    c: Array | None  # (N, H), LSTM only


class Cell(ABC):
    """A recurrent cell with its parameters.

    Parameters
    ----------
    options : Options
    parameters : dict
        Those of one layer and direction.
    """

    def __init__(self, options: Options, parameters: Parameters) -> None:
        self.options, self.parameters, self.units = options, parameters, options.hidden_size
        self.candidate = Gate(Activation.of(options.activation), options.clip)
        self.gate = Gate(Activation.of(options.recurrent_activation), options.clip)
        self.all_rows = slice(0, options.gates * options.hidden_size)
        self.input = Product(parameters, "ih", self.all_rows, self.groups())

    def groups(self) -> list[slice]:
        """Gates that layer normalisation treats together: all of them, unless a cell says otherwise."""
        return [self.all_rows]

    def inputs(self, x: Array) -> tuple[Array, ProductSaved]:
        """Return ``a`` (T*N, G*H), the inputs' part of all gates for all time steps at once; x is (T*N, I)."""
        return self.input.forward(x)

    def inputs_backward(self, da: Array, saved: ProductSaved, tally: Tally, *, need_dx: bool) -> Array | None:
        """Return the gradient of x (T*N, I), or None if not needed."""
        if need_dx:
            return self.input.backward(da, saved, tally)
        self.input.note(da, saved, tally)
        return None

    @abstractmethod
    def step(self, a: Array, h: Array, h_dropped: Array, c: Array | None) -> Step:
        """Do one step.

        Parameters
        ----------
        a : ndarray (N, G*H)
            The inputs' part of the gates, ``W_ih x + b_ih``.
        h : ndarray (N, R)
            Hidden state.
        h_dropped : ndarray (N, R)
            Hidden state after recurrent dropout, for the products.
        c : ndarray (N, H) or None
            Cell state, LSTM only.
        """

    @abstractmethod
    def backward(self, dh: Array, dc: Array | None, saved: Any, tally: Tally) -> StepGradient:
        """Return the gradients of what entered step(), from those of its h (N, R) and c (N, H)."""

    def blocks(self, z: Array) -> list[Array]:
        """Split the last axis of z (..., k*H) into views of H units each."""
        return [z[..., start : start + self.units] for start in range(0, z.shape[-1], self.units)]
