"""Dropout between layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _core, _errors
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback


class Dropout(Layer):
    """Dropout (Srivastava et al. 2014): in training, each value is 0 at this rate, else scaled by 1 / (1 - rate).

    Parameters
    ----------
    rate : float
        From 0 to below 1.
    seed : int, optional
        Of the masks.
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    A row's mask depends on the seed and the row's place in the batch alone. Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> x = np.ones((8, 20), np.float32)
    >>> layer = recurra.Dropout(0.5, seed=1)
    >>> bool((layer(x) == x).all()), sorted(set(layer(x, training=True).ravel().tolist()))
    (True, [0.0, 2.0])
    """

    pointwise = True

    def __init__(
        self, rate: float, seed: int | None = None, *, dtype: Any = "float32", name: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.rate = _errors.check_rate("rate", rate)
        self.random = self.rate > 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}

    def __call__(self, x: Array, training: bool = False, seed: int | None = None) -> Array:
        """Return ``x``, with ``training`` a masked and scaled copy.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, ...)
            Of the layer's dtype.
        training : bool, default False
            Draw a mask.
        seed : int, optional
            Of the mask; by default each call draws a new one.

        Returns
        -------
        numpy.ndarray
            In the shape of ``x``.
        """
        self.check_input(x)
        return self._apply(x, None, training, self._call_seed(seed, training))

    def vjp(self, x: Array, training: bool = True, seed: int | None = None) -> tuple[Array, Pullback]:
        """Return the masked ``x`` and the function that masks its gradient likewise; see `Layer.vjp`."""
        self.check_input(x)
        return self._differentiate(x, None, training, self._call_seed(seed, training))

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        if not (training and self.random) or not x.size:
            return x
        return _core.dropout(x.reshape(len(x), -1), self.rate, seed, 0).reshape(x.shape)

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        shape = x.shape

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            _errors.check_array("dy", dy, self.dtype, ("batch", *("axis",) * (len(shape) - 1)), shape)
            return self._apply(dy, None, training, seed) if need_dx else None

        return self._apply(x, lengths, training, seed), pullback
