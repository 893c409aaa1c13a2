"""Type names used in annotations; imported by type checkers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int | None, ...]
Triple: TypeAlias = tuple[str, float, float]


class Pullback(Protocol):
    """What ``vjp`` returns beside the outputs: gradients of outputs in, gradient of the input out."""

    def __call__(self, dy: Any, /, *, need_dx: bool = True) -> Any:
        """Add into the layer's gradients and return the gradient of the input (None without ``need_dx``)."""


LossFunction: TypeAlias = Callable[[Array, Array], tuple[Any, Array]]
