"""Layers that make one array of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array, Pullback, Shape

    Lengths = Sequence[Array | None]


class Merge(PlainLayer):
    """Base of the elementwise merging layers: a subclass supplies ``_merge``.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Notes
    -----
    Axes of size 1 are repeated, and inputs with fewer axes get such behind the batch axis, as in Keras: a vector for
    each sample goes with all its steps. A step counts in the output if it does in one of the inputs with a time axis.
    """

    merges = True
    inputs: int | None = None  # how many a layer takes, None for any number

    def build(self, input_shape: Any) -> None:
        """Check that the inputs fit each other; see `Layer.build`."""
        super().build(input_shape)
        self._check_count(len(input_shape))
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the common shape."""
        count = max(len(shape) for shape in input_shape)
        result: list[int | None] = [1] * count
        for index, shape in enumerate(input_shape):
            wide = (shape[0], *(1,) * (count - len(shape)), *shape[1:])
            for axis, (known, size) in enumerate(zip(result, wide, strict=True)):
                if size != 1 and known not in (1, None) and size is not None and size != known:
                    hint = f"the inputs have shapes {', '.join(str(tuple(shape)) for shape in input_shape)}"
                    raise _errors.bad_value(f"x[{index}]", f"size {known} or 1 on axis {axis}", f"{size}", hint)
                if known == 1 or (known is None and size not in (1, None)):
                    result[axis] = size
        return tuple(result)

    def compute_lengths(self, x: Sequence[Array], lengths: Lengths) -> Array | None:
        """Return the largest lengths, None if all steps of an input count."""
        time = max((part.shape[1] for part in x if part.ndim > 2), default=0)
        pairs = zip(x, lengths, strict=True)
        return _longest([some for part, some in pairs if part.ndim > 2 and part.shape[1] == time])

    def _check_count(self, count: int) -> None:
        if self.inputs is not None and count != self.inputs:
            raise _errors.bad_value("x", f"{self.inputs} inputs", f"{count}")

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        self._check_count(len(x))
        self.compute_output_shape([part.shape for part in x])
        count = max(part.ndim for part in x)
        wide = [part.reshape(len(part), *(1,) * (count - part.ndim), *part.shape[1:]) for part in x]
        shapes = [part.shape for part in x]
        y, gradients = self._merge(wide)

        def pullback(dy: Array, *, need_dx: bool = True) -> list[Array | None]:
            if not need_dx:
                return [None] * len(shapes)
            return [
                _narrowed(d, part.shape).reshape(shape)
                for d, part, shape in zip(gradients(dy), wide, shapes, strict=True)
            ]

        return y, pullback

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        """Return the result, and the function from its gradient to those of the inputs, all in its shape."""
        raise NotImplementedError(f"{type(self).__name__} defines no _merge")


class Add(Merge):
    """Sum of the inputs; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Add()([np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)]).tolist()
    [[2.0, 2.0]]
    """

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        y = x[0]
        for part in x[1:]:
            y = y + part
        return y, lambda dy: [dy] * len(x)


class Subtract(Merge):
    """First input minus the second; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Subtract()([np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)]).tolist()
    [[0.0, 0.0]]
    """

    inputs = 2

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        return x[0] - x[1], lambda dy: [dy, -dy]


class Average(Add):
    """Mean of the inputs; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Average()([np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32)]).tolist()
    [[0.5, 0.5]]
    """

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        share = 1.0 / len(x)
        return super()._merge(x)[0] * share, lambda dy: [dy * share] * len(x)


class Multiply(Merge):
    """Product of the inputs; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Multiply()([np.full((1, 2), 3, np.float32), np.full((1, 2), 2, np.float32)]).tolist()
    [[6.0, 6.0]]
    """

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        before = [np.ones_like(x[0])]
        for part in x:
            before.append(before[-1] * part)

        def gradients(dy: Array) -> list[Array]:
            found, after = [], dy  # no division: a factor may be 0
            for part, product in zip(reversed(x), reversed(before[:-1]), strict=True):
                found.append(after * product)
                after = after * part
            return found[::-1]

        return before[-1], gradients


class Maximum(Merge):
    """Largest of the inputs, value by value; the first of equal ones gets the gradient; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Maximum()([np.array([[1, 5]], np.float32), np.array([[2, 3]], np.float32)]).tolist()
    [[2.0, 5.0]]
    """

    _better: Any = np.greater

    def _merge(self, x: list[Array]) -> tuple[Array, Any]:
        y, chosen = x[0], np.zeros(x[0].shape, np.int64)
        for number, part in enumerate(x[1:], 1):
            better = self._better(part, y)
            y, chosen = np.where(better, part, y), np.where(better, number, chosen)
        return y, lambda dy: [np.where(chosen == number, dy, dy.dtype.type(0.0)) for number in range(len(x))]


class Minimum(Maximum):
    """Smallest of the inputs, value by value; the first of equal ones gets the gradient; see `Merge`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Minimum()([np.array([[1, 5]], np.float32), np.array([[2, 3]], np.float32)]).tolist()
    [[1.0, 3.0]]
    """

    _better = np.less


def _longest(lengths: Lengths) -> Array | None:
    """Return the largest of several lengths, where None means all steps."""
    given = [some for some in lengths if some is not None]
    return np.maximum.reduce(given) if given and len(given) == len(lengths) else None


def _narrowed(d: Array, shape: tuple[int, ...]) -> Array:
    """Return a gradient summed over the axes along which its input was repeated."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and d.shape[axis] != 1)
    return d.sum(axis=axes, keepdims=True) if axes else d
