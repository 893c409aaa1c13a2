"""Layers that put several arrays side by side or contract them: Concatenate and Dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.merging import _longest
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array, Pullback, Shape

    Lengths = Sequence[Array | None]

_LETTERS = "bcdefghij"


class Concatenate(PlainLayer):
    """The inputs side by side along an axis.

    Parameters
    ----------
    axis : int, default -1
        Not the batch axis.
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, if the other axes differ, or if an input with padding would come before another in time.

    Notes
    -----
    Along the features, a step counts in the output if it does in one of the inputs. Calls from several threads are
    safe. Computes what `keras.layers.Concatenate` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> x = np.zeros((8, 30, 10), np.float32)
    >>> recurra.Concatenate()([x, x]).shape, recurra.Concatenate(axis=1)([x, x, x]).shape
    ((8, 30, 20), (8, 90, 10))
    """

    merges = True

    def __init__(
        self, axis: int = -1, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.axis = _errors.check_integer("axis", axis, -8, 7)

    def build(self, input_shape: Any) -> None:
        """Check that the inputs fit each other; see `Layer.build`."""
        super().build(input_shape)
        self.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape with the sizes along ``axis`` added up."""
        result: list[int | None] = list(input_shape[0])
        axis = _errors.check_axis("axis", self.axis, len(result))
        for index, shape in enumerate(input_shape[1:], 1):
            axes = ("batch", *("axis",) * (len(result) - 1))
            open_ = [None if place == axis else size for place, size in enumerate(result)]
            sizes = tuple(0 if size is None else size for size in shape)
            expected = tuple(None if shape[place : place + 1] == (None,) else size for place, size in enumerate(open_))
            _errors.check_shape(f"x[{index}]", sizes, axes, expected)
            total, more = result[axis], shape[axis]
            result = [known if known is not None else size for known, size in zip(result, shape, strict=True)]
            result[axis] = None if total is None or more is None else total + more
        return tuple(result)

    def compute_lengths(self, x: Sequence[Array], lengths: Lengths) -> Array | None:
        """Return the largest lengths along the features; along time those of the last input behind the others."""
        if x[0].ndim < 3 or all(some is None for some in lengths):
            return None
        if _errors.check_axis("axis", self.axis, x[0].ndim) != 1:
            return _longest(lengths)
        total = np.zeros(len(x[0]), np.int64)
        for index, (part, some) in enumerate(zip(x, lengths, strict=True)):
            if index + 1 < len(x) and some is not None and (some < part.shape[1]).any():
                hint = "padding would lie between steps: put that input last, or concatenate the features"
                raise _errors.bad_value("lengths", f"full length of x[{index}] before another input", "padding", hint)
            total = total + (part.shape[1] if some is None else some)
        return total

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        self.compute_output_shape([part.shape for part in x])
        ends = np.cumsum([part.shape[self.axis] for part in x])[:-1]

        def pullback(dy: Array, *, need_dx: bool = True) -> list[Any]:
            return list(np.split(dy, ends, axis=self.axis)) if need_dx else [None] * (len(ends) + 1)

        return np.concatenate(x, axis=self.axis), pullback


class Dot(PlainLayer):
    """Products of two inputs, summed over one axis of each, sample by sample.

    Parameters
    ----------
    axes : int or pair of int
        The axis of both inputs, or of each; not the batch axis.
    normalize : bool, default False
        Scale both to norm 1 along that axis first: cosines.
    dtype, name
        As in `Concatenate`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if the axes differ in size.

    Notes
    -----
    The output has the other axes of the first input, then those of the second; (batch, 1) if there are none. Lengths
    end here. Calls from several threads are safe. Computes what `keras.layers.Dot` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Dot(axes=(2, 2))([np.zeros((8, 30, 10), np.float32), np.zeros((8, 5, 10), np.float32)]).shape
    (8, 30, 5)
    """

    merges = True

    def __init__(
        self,
        axes: Any,
        normalize: bool = False,
        *,
        dtype: Any = "float32",
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        pair = axes if isinstance(axes, tuple | list) else (axes, axes)
        if len(pair) != 2:
            raise _errors.bad_value("axes", "an axis or a pair of axes", axes)
        self.axes = tuple(_errors.check_integer("axes", axis, -8, 7) for axis in pair)
        self.normalize = _errors.check_flag("normalize", normalize)

    def build(self, input_shape: Any) -> None:
        """Check that the inputs fit each other; see `Layer.build`."""
        super().build(input_shape)
        self.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axes": list(self.axes), "normalize": self.normalize}

    def _places(self, shapes: Any) -> list[int]:
        if len(shapes) != 2:
            raise _errors.bad_value("x", "2 inputs", f"{len(shapes)}")
        places = [_errors.check_axis("axes", axis, len(shape)) for axis, shape in zip(self.axes, shapes, strict=True)]
        sizes = [shape[place] for shape, place in zip(shapes, places, strict=True)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise _errors.bad_value("x[1]", f"size {sizes[0]} on axis {places[1]}", f"{sizes[1]}", "as x[0] has")
        return places

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, other axes of the first input, other axes of the second)."""
        first, second = self._places(input_shape)
        shapes = list(input_shape[0]), list(input_shape[1])
        del shapes[0][first], shapes[1][second]
        rest = (*shapes[0][1:], *shapes[1][1:])
        return (shapes[0][0], *(rest or (1,)))

    def compute_lengths(self, x: Any, lengths: Any) -> None:
        """Return None: there is no time axis any more."""

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        first, second = places = self._places([part.shape for part in x])
        units, scales = zip(*map(self._unit, x, places), strict=True)
        *mine, out = einsum_letters(x[0].ndim, x[1].ndim, first, second)
        y = np.einsum(f"{mine[0]},{mine[1]}->{out}", *units, optimize=True)
        shape = y.shape

        def pullback(dy: Array, *, need_dx: bool = True) -> list[Any]:
            if not need_dx:
                return [None, None]
            dy = dy.reshape(shape)
            dunits = [np.einsum(f"{out},{mine[1 - i]}->{mine[i]}", dy, units[1 - i], optimize=True) for i in (0, 1)]
            return [self._unit_backward(d, *rest) for d, *rest in zip(dunits, units, scales, places, strict=True)]

        return y.reshape(self.compute_output_shape([part.shape for part in x])), pullback

    def _unit(self, x: Array, axis: int) -> tuple[Array, Array | None]:
        """Return the input with norm 1 along the axis, and what it was multiplied by."""
        if not self.normalize:
            return x, None
        square = np.square(x).sum(axis=axis, keepdims=True)
        scale = 1.0 / np.sqrt(np.maximum(square, x.dtype.type(1e-12)))
        return x * scale, scale

    def _unit_backward(self, d: Array, unit: Array, scale: Array | None, axis: int) -> Array:
        if scale is None:
            return d
        dx: Array = (d - unit * (d * unit).sum(axis=axis, keepdims=True)) * scale
        return dx


def einsum_letters(rank: int, other: int, first: int, second: int) -> tuple[str, str, str]:
    """Return the axes of two arrays and of their products, summed over one axis of each, as letters of einsum."""
    letters = "a" + _LETTERS[: rank - 1], "a" + _LETTERS[rank - 1 :][: other - 1]
    joined = letters[1][:second] + letters[0][first] + letters[1][second + 1 :]
    out = (letters[0][:first] + letters[0][first + 1 :]) + (letters[1][1:second] + letters[1][second + 1 :])
    return letters[0], joined, out
