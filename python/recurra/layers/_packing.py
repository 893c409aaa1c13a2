"""Weights packed for the engine's product, kept until they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from recurra import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array
    from recurra.layers.parameters import Parameterized

_T = TypeVar("_T")


class _Kept(NamedTuple, Generic[_T]):
    version: int
    parameters: Array  # the layer's flat buffer, of which `value` was made
    source: Array | None  # a copy of it, if someone else may have written into it since
    value: _T


class Packing(Generic[_T]):
    """What a layer's calls make of its weights, made anew only when these have changed.

    A change is known as the recurrent layers know it: by the version of the parameters, which whatever in the library
    writes into them counts up; once they were handed out (``layer.parameters``), by comparing their bits.

    Parameters
    ----------
    make : callable
        From the parameters by name to what is kept; must not hold views of them.

    Notes
    -----
    Calls from several threads are safe: what is kept is never changed, only replaced.
    """

    def __init__(self, make: Callable[[dict[str, Array]], _T]) -> None:
        self._make = make
        self._kept: _Kept[_T] | None = None

    def __call__(self, layer: Parameterized) -> _T:
        """Return what was made of the layer's weights as they are."""
        version, parameters, handed_out, kept = layer._version.number, layer._theta, layer._handed_out, self._kept
        assert parameters is not None
        if kept is not None and kept.parameters is parameters:
            if not handed_out:
                if kept.version == version:
                    return kept.value
            elif kept.source is not None and _core.same_bits(kept.source, parameters):
                return kept.value
        source = parameters.copy() if handed_out else parameters
        value = self._make({w.name: source[w.place].reshape(w.shape) for w in layer.weights_declared})
        self._kept = _Kept(version, parameters, source if handed_out else None, value)
        return value
