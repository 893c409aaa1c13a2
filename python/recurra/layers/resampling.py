"""Layers that lengthen or shorten the time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class _Edges(PlainLayer):
    """What padding and cropping share: steps at the start and at the end."""

    input_axes = ("batch", "time", "features")
    _argument = ""
    _sign = 1

    def __init__(self, steps: Any, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        pair = steps if isinstance(steps, tuple | list) else (steps, steps)
        if len(pair) != 2:
            raise _errors.bad_value(self._argument, "an integer or a pair (start, end)", steps)
        self.start, self.end = (_errors.check_integer(self._argument, size, 0) for size in pair)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), self._argument: [self.start, self.end]}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the new number of steps."""
        time = input_shape[1]
        if time is not None:
            time += self._sign * (self.start + self.end)
            if time < 0:
                raise _errors.bad_value(self._argument, f"at most {input_shape[1]} steps", f"{self.start, self.end}")
        return (input_shape[0], time, input_shape[2])


class ZeroPadding1D(_Edges):
    """Steps of zeros before and behind.

    Parameters
    ----------
    padding : int or pair of int, default 1
        Steps at the start and at the end.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    With lengths, a sample's start counts, its end does not. Calls from several threads are safe. Computes what
    `keras.layers.ZeroPadding1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.ZeroPadding1D((2, 0))(np.ones((1, 2, 1), np.float32)).ravel().tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    _argument = "padding"

    def __init__(
        self, padding: Any = 1, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(padding, dtype=dtype, name=name, seed=seed)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths with the steps at the start."""
        return None if lengths is None else lengths + self.start

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        time = x.shape[1]

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return dy[:, self.start : self.start + time] if need_dx else None

        return np.pad(x, ((0, 0), (self.start, self.end), (0, 0))), pullback


class Cropping1D(_Edges):
    """Without some steps at the start and at the end of the time axis.

    Parameters
    ----------
    cropping : int or pair of int, default 1
        Steps at the start and at the end.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if there are fewer steps.

    Notes
    -----
    A view. Calls from several threads are safe. Computes what `keras.layers.Cropping1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Cropping1D((2, 1))(np.zeros((8, 30, 10), np.float32)).shape
    (8, 27, 10)
    """

    makes_lengths = True  # from the number of steps
    _argument = "cropping"
    _sign = -1

    def __init__(
        self, cropping: Any = 1, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(cropping, dtype=dtype, name=name, seed=seed)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths that are left."""
        return None if lengths is None else np.clip(lengths - self.start, 0, x.shape[1] - self.start - self.end)

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        time = self.compute_output_shape(x.shape)[1] or 0

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return np.pad(dy, ((0, 0), (self.start, self.end), (0, 0))) if need_dx else None

        return x[:, self.start : self.start + time], pullback


class UpSampling1D(PlainLayer):
    """Each step repeated.

    Parameters
    ----------
    size : int, default 2
        How often.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe. Computes what `keras.layers.UpSampling1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.UpSampling1D(2)(np.array([[[1.0], [2.0]]], np.float32)).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    input_axes = ("batch", "time", "features")

    def __init__(
        self, size: int = 2, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.repeats = _errors.check_integer("size", size, 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.repeats}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with ``size`` times the steps."""
        return (input_shape[0], None if input_shape[1] is None else input_shape[1] * self.repeats, input_shape[2])

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths times ``size``."""
        return None if lengths is None else lengths * self.repeats

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        batch, time, features = x.shape

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return dy.reshape(batch, time, self.repeats, features).sum(axis=2) if need_dx else None

        return np.repeat(x, self.repeats, axis=1), pullback
