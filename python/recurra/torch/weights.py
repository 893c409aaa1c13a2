"""A module's weights as the one flat vector that the engine takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import Parameter

from recurra import _core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
_contiguous = torch.Tensor.is_contiguous
PLAIN = {torch.Tensor, Parameter}  # subclasses have ideas of their own about what an operation is


class Plan:
    """The engine for one dtype, and the weights that it has packed while they are known not to change."""

    __slots__ = ("engine", "seen", "shapes")

    def __init__(self, options: dict[str, Any]) -> None:
        self.engine = _core.Recurrent(**options)
        self.shapes = [shape for _, shape, _ in self.engine.layout]
        self.seen: list[tuple[Any, int, int]] | None = None


class Runtime:
    """What a module keeps for its calls: engines, and the memory in which its parameters lie one behind another.

    Neither copied nor saved with the module.

    Attributes
    ----------
    trusted : int
        How many blocks of `unchanged_weights` the module is in.
    """

    __slots__ = ("_array", "_flat", "_pointers", "plans", "trusted")

    def __init__(self) -> None:
        self.plans: dict[Any, Plan] = {}
        self.trusted = 0
        self._flat: Any = None
        self._array: Array | None = None
        self._pointers: list[int] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Runtime:
        return Runtime()

    def __reduce__(self) -> tuple[type[Runtime], tuple[()]]:
        return Runtime, ()

    @staticmethod
    def of(module: Any) -> Runtime:
        """Return a module's runtime, a new one at the first time."""
        found: Runtime = module.__dict__.get("_recurra") or module.__dict__.setdefault("_recurra", Runtime())
        return found

    def flatten(self, weights: Sequence[Any]) -> None:
        """Move parameters, in the engine's order, behind one another in one piece of memory, where that is allowed.

        It is not for tensors that are no parameters of the CPU, for those that other processes share, and for one
        parameter standing at two places; they are gathered before each call.
        """
        self._flat, self._array, self._pointers = None, None, []
        dtype = weights[0].dtype if weights else None
        for weight in weights:
            if type(weight) is not Parameter or weight.device.type != "cpu" or weight.dtype is not dtype:
                return
        if dtype not in DTYPES or any(weight.is_inference() for weight in weights):
            return
        with torch.no_grad():
            flat = _consecutive(weights)
            if flat is None:
                if any(w.is_shared() for w in weights) or len({w.data_ptr() for w in weights}) < len(weights):
                    return
                flat = torch.cat([weight.detach().reshape(-1) for weight in weights])
                for weight, part in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
                    weight.data = part.view(weight.shape)
        self._flat, self._array = flat, flat.numpy()
        self._pointers = [weight.data_ptr() for weight in weights]

    def vector(self, weights: Sequence[Any], dtype: Any, shapes: list[tuple[int, ...]]) -> Array | None:
        """Return the weights as one vector; None if they are not the engine's: of another dtype, device or shape."""
        flat = self._flat
        if flat is not None and flat.dtype is dtype and flat.data_ptr() == self._pointers[0]:
            in_place = [weight.data_ptr() if type(weight) is Parameter else None for weight in weights]
            if in_place == self._pointers and all(map(_contiguous, weights)):
                return self._array
        for weight, shape in zip(weights, shapes, strict=True):
            if type(weight) not in PLAIN or weight.dtype is not dtype or weight.device.type != "cpu":
                return None
            if weight.shape != shape or weight.layout is not torch.strided:
                return None
        with torch.no_grad():
            gathered: Array = torch.cat([weight.detach().reshape(-1) for weight in weights]).numpy()
        return gathered


def _consecutive(weights: Sequence[Any]) -> Any:
    """Return the stretch of one storage that the weights fill one behind another, else None."""
    storage = weights[0].untyped_storage()
    start = offset = weights[0].storage_offset()
    for weight in weights:
        if weight.untyped_storage().data_ptr() != storage.data_ptr() or weight.storage_offset() != offset:
            return None
        if not weight.is_contiguous():
            return None
        offset += weight.numel()
    return torch.empty(0, dtype=weights[0].dtype).set_(storage, start, (offset - start,))


def marks(weights: Sequence[Any]) -> list[tuple[Any, int, int]] | None:
    """Return what tells that weights were written to by PyTorch; None where PyTorch does not keep count."""
    try:
        return [(weight, weight.data_ptr(), weight._version) for weight in weights]
    except RuntimeError:  # made in inference mode
        return None


def same(one: list[tuple[Any, int, int]], other: list[tuple[Any, int, int]] | None) -> bool:
    """Tell whether two results of `marks` are of the same tensors, not written to in between."""
    if other is None:
        return False
    return all(a is b and p == q and v == w for (a, p, v), (b, q, w) in zip(one, other, strict=True))
