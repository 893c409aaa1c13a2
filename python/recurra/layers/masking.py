"""Lengths from the values of an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback


class Masking(PlainLayer):
    """Steps whose features all equal ``mask_value`` are padding: set to 0, and left out by the layers that follow.

    Parameters
    ----------
    mask_value : float, default 0.0
        What padding holds.
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; in a model also where such steps come before others: padding belongs at the end.

    Notes
    -----
    Calls from several threads are safe. Computes what `keras.layers.Masking` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer, x = recurra.Masking(-1.0), np.array([[[1.0], [2.0], [-1.0]]], np.float32)
    >>> layer(x).ravel().tolist(), layer.compute_lengths(x, None).tolist()
    ([1.0, 2.0, 0.0], [2])
    """

    pointwise = True
    makes_lengths = True

    def __init__(
        self, mask_value: float = 0.0, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.mask_value = _errors.check_number("mask_value", mask_value, -1e38, 1e38, "a finite number")

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths that the steps of padding leave."""
        if x.ndim < 3:
            return lengths
        return _errors.lengths_of_padding(self._counts(x)[..., 0], lengths, f"steps of {self.mask_value} (padding)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mask_value": self.mask_value}

    def _counts(self, x: Array) -> Array:
        counts: Array = (x != x.dtype.type(self.mask_value)).any(axis=tuple(range(2, x.ndim)) or 1, keepdims=True)
        return counts

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        counts, zero = self._counts(x), x.dtype.type(0.0)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return np.where(counts, dy, zero) if need_dx else None

        return np.where(counts, x, zero), pullback
