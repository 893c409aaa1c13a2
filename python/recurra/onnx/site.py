"""What a builder of an operator is told, and the room that results may take."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.graph import Graph, Node

# An operator bound to its node: its inputs in, None for those left out; an array out, or a tuple for an operator that
# may have several outputs.
Call: TypeAlias = Callable[..., Any]


class First:
    """An operator that needs the first of its inputs alone: the others never change."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __call__(self, x: Any, *_: Any) -> Any:
        """Return the result for all inputs."""
        return self.call(x)


MOST_NUMBERS = 2**27  # of a result whose size stands in the values of its inputs: beyond it a file is taken as hostile


class Site(NamedTuple):
    """Where an operator is to run.

    Attributes
    ----------
    node : Node
        The node.
    constants : tuple of numpy.ndarray or None
        Its inputs that never change.
    where : str
        What messages call it.
    opset : int
        The model's version of the operator set.
    subplan : callable or None
        Makes a plan of a graph inside of the node; None where it has none.
    """

    node: Node
    constants: tuple[Array | None, ...]
    where: str
    opset: int
    subplan: Callable[[Graph], Any] | None

    def attribute(self, name: str) -> Any:
        """Return an attribute; None if this version of the operator lacks it."""
        return self.node.attributes.get(name)

    def inner(self, name: str) -> Any:
        """Return the plan of a graph inside of the node."""
        assert self.subplan is not None
        return self.subplan(self.attribute(name))

    def constant(self, index: int) -> Array | None:
        """Return an input that never changes, or None."""
        return self.constants[index] if index < len(self.constants) else None

    def varies(self, index: int) -> bool:
        """Whether an input is given and may change from call to call."""
        return self.node.has(index) and self.constant(index) is None

    def refuse(self, expected: str, got: str, hint: str = "") -> ValueError:
        """Return the error of a node that cannot run."""
        return _errors.bad_value(self.where, expected, got, hint)


def integers(values: Any) -> tuple[int, ...]:
    """Return an array of integers, or several, as Python's."""
    return tuple(int(value) for value in np.ravel(values))


def room(shape: Any) -> tuple[int, ...]:
    """Return a shape that a result may have, or raise ValueError if no file of good faith asks for it."""
    sizes = integers(shape)
    if any(size < 0 for size in sizes) or prod(sizes) > MOST_NUMBERS:
        raise _errors.bad_value("shape", f"sizes from 0, at most {MOST_NUMBERS} numbers in all", f"{sizes}")
    return sizes
