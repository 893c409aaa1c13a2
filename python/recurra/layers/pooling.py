"""Pooling over the time axis, which leaves out what lies beyond a sample's length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class _Pooling(PlainLayer):
    """What all pooling layers share."""

    input_axes = ("batch", "time", "features")

    def __init__(self, data_format: str | None, dtype: Any, name: str | None, seed: int | None) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        if data_format not in (None, "channels_last"):
            hint = "arrays are (batch, time, features)"
            raise _errors.bad_value("data_format", "'channels_last'", repr(data_format), hint)


class _Global(_Pooling):
    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        dtype: Any = "float32",
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(data_format, dtype, name, seed)
        self.keepdims = _errors.check_flag("keepdims", keepdims)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "keepdims": self.keepdims}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, features), with ``keepdims`` (batch, 1, features)."""
        return (input_shape[0], *((1,) if self.keepdims else ()), input_shape[2])

    def compute_lengths(self, x: Array, lengths: Array | None) -> None:
        """Return None: there is no time axis any more."""


class GlobalAveragePooling1D(_Global):
    """Mean over the time steps of each sample.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        Accepted for Keras's sake: features come last.
    keepdims : bool, default False
        Keep a time axis of one step.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    With lengths, only steps that count are averaged; a sample of no steps gives 0. Calls from several threads are safe.
    Computes what `keras.layers.GlobalAveragePooling1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> x = np.array([[[1.0], [3.0], [9.0]]], np.float32)
    >>> recurra.GlobalAveragePooling1D()(x, lengths=[2]).tolist()
    [[2.0]]
    """

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        batch, time, _ = x.shape
        counts = np.full(batch, time) if lengths is None else lengths
        share = (1.0 / np.maximum(counts, 1)).astype(x.dtype)[:, None, None]
        counted = None if lengths is None else (np.arange(time) < lengths[:, None])[..., None]
        kept = x if counted is None else np.where(counted, x, x.dtype.type(0.0))
        y = kept.sum(axis=1, keepdims=True) * share
        shape = x.shape

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            each = dy.reshape(batch, 1, -1) * share
            return np.array(np.broadcast_to(each, shape)) if counted is None else each * counted

        return y if self.keepdims else y[:, 0], pullback


class GlobalMaxPooling1D(_Global):
    """Largest value over the time steps of each sample.

    Parameters
    ----------
    data_format, keepdims, dtype, name
        As in `GlobalAveragePooling1D`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if there are no steps.

    Notes
    -----
    With lengths, only steps that count are compared (Keras compares all); a sample of no steps gives 0. The first of
    equal values gets the gradient. Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> x = np.array([[[1.0], [3.0], [9.0]]], np.float32)
    >>> recurra.GlobalMaxPooling1D()(x, lengths=[2]).tolist()
    [[3.0]]
    """

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        batch, time, features = x.shape
        if not time:
            raise _errors.bad_value("x", "at least one time step", "none")
        kept = x
        if lengths is not None:
            kept = np.where((np.arange(time) < lengths[:, None])[..., None], x, x.dtype.type(-np.inf))
        place = kept.argmax(axis=1)[:, None]
        y = np.take_along_axis(kept, place, axis=1)
        empty = None if lengths is None else (lengths == 0)[:, None, None]
        if empty is not None:
            y = np.where(empty, x.dtype.type(0.0), y)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dx = np.zeros((batch, time, features), dy.dtype)
            each = dy.reshape(batch, 1, features)
            np.put_along_axis(dx, place, each if empty is None else np.where(empty, dy.dtype.type(0.0), each), axis=1)
            return dx

        return y if self.keepdims else y[:, 0], pullback


class _Windows(_Pooling):
    """What pooling over windows shares."""

    def __init__(
        self,
        pool_size: int = 2,
        strides: int | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        *,
        dtype: Any = "float32",
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(data_format, dtype, name, seed)
        self.pool_size = _errors.check_integer("pool_size", pool_size, 1)
        self.strides = self.pool_size if strides is None else _errors.check_integer("strides", strides, 1)
        self.padding = _errors.check_choice("padding", padding, ["valid", "same"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **own}

    def _count(self, steps: Any) -> Any:
        """Return how many windows a number of steps has."""
        if self.padding == "same":
            return -(-steps // self.strides)
        return np.maximum((steps - self.pool_size) // self.strides + 1, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, windows, features)."""
        time = input_shape[1]
        return (input_shape[0], None if time is None else int(self._count(time)), input_shape[2])

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the windows of each sample: all within it, or with padding "same" all that begin in it."""
        return None if lengths is None else self._count(lengths)

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        time = x.shape[1]
        windows = int(self._count(time))
        before = 0
        if self.padding == "same":
            before = max((windows - 1) * self.strides + self.pool_size - time, 0) // 2
        place = np.arange(windows)[:, None] * self.strides - before + np.arange(self.pool_size)
        counted = np.broadcast_to((place >= 0) & (place < time), (len(x), *place.shape))
        if lengths is not None:
            counted = counted & (place < lengths[:, None, None])
        place = place.clip(0, max(0, time - 1))
        y, weights = self._pool(x[:, place], counted[..., None])

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dx = np.zeros(x.shape, dy.dtype)
            each = dy[:, :, None] * weights
            for offset in range(self.pool_size):  # windows overlap, but the same place of each one never
                inside = place[:, offset]
                kept = np.flatnonzero(np.arange(windows) * self.strides - before + offset == inside)
                dx[:, inside[kept]] += each[:, kept, offset]
            return dx

        return y, pullback

    def _pool(self, values: Array, counted: Array) -> tuple[Array, Array]:
        """Return the pooled windows (batch, windows, features), and how much each value weighs in them."""
        raise NotImplementedError


class MaxPooling1D(_Windows):
    """Largest value of each window of time steps.

    Parameters
    ----------
    pool_size : int, default 2
        Steps of a window.
    strides : int, optional
        Steps from one window to the next; by default ``pool_size``.
    padding : {"valid", "same"}, default "valid"
        Whole windows alone, or as many as there are strides.
    data_format : {"channels_last"}, optional
        Accepted for Keras's sake: features come last.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    With lengths, steps beyond a sample's length do not count; a window of none of them gives 0. The first of equal
    values gets the gradient. Calls from several threads are safe. Computes what `keras.layers.MaxPooling1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.MaxPooling1D(2)(np.array([[[1.0], [3.0], [9.0]]], np.float32)).ravel().tolist()
    [3.0]
    """

    def _pool(self, values: Array, counted: Array) -> tuple[Array, Array]:
        kept = np.where(counted, values, values.dtype.type(-np.inf))
        place = kept.argmax(axis=2)[:, :, None]
        weights = (np.arange(self.pool_size)[:, None] == place) & counted
        return np.where(weights, values, values.dtype.type(0.0)).sum(axis=2), weights


class AveragePooling1D(_Windows):
    """Mean of each window of time steps.

    Parameters
    ----------
    pool_size, strides, padding, data_format, dtype, name
        As in `MaxPooling1D`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Only steps that are there, and within a sample's length, are averaged; a window of none gives 0. Calls from several
    threads are safe. Computes what `keras.layers.AveragePooling1D` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.AveragePooling1D(2)(np.array([[[1.0], [3.0], [9.0]]], np.float32)).ravel().tolist()
    [2.0]
    """

    def _pool(self, values: Array, counted: Array) -> tuple[Array, Array]:
        weights = counted / np.maximum(counted.sum(axis=2, keepdims=True), 1).astype(values.dtype)
        weights = weights.astype(values.dtype)
        return np.where(counted, values * weights, values.dtype.type(0.0)).sum(axis=2), weights
