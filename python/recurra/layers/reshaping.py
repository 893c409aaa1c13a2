"""Layers that move values and compute nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class Flatten(PlainLayer):
    """All axes but the batch made one: (batch, time, features) becomes (batch, time * features).

    Parameters
    ----------
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Notes
    -----
    A view where memory allows. Calls from several threads are safe. Computes what `keras.layers.Flatten` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Flatten()(np.zeros((8, 30, 10), np.float32)).shape
    (8, 300)
    """

    sized = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, product of the other sizes)."""
        sizes = [size for size in input_shape[1:] if size is not None]
        return (input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)

    def compute_lengths(self, x: Array, lengths: Array | None) -> None:
        """Return None: there is no time axis any more."""

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        return _reshaped(x, (len(x), math.prod(x.shape[1:])))


class Reshape(PlainLayer):
    """Other axes behind the batch axis.

    Parameters
    ----------
    target_shape : tuple of int
        Sizes without the batch axis; one of them may be -1, for what is left.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if the number of values does not fit.

    Notes
    -----
    Lengths end here: whether the new axis 1 is time, nobody knows. Calls from several threads are safe. Computes what
    `keras.layers.Reshape` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Reshape((-1, 5))(np.zeros((8, 30), np.float32)).shape
    (8, 6, 5)
    """

    sized = True

    def __init__(
        self, target_shape: Any, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        if not isinstance(target_shape, tuple | list) or not target_shape:
            raise _errors.bad_type("target_shape", "a tuple of sizes without the batch axis", target_shape)
        self.target_shape = tuple(_errors.check_integer("target_shape", size, -1) for size in target_shape)
        if self.target_shape.count(-1) > 1:
            raise _errors.bad_value("target_shape", "at most one -1", f"{self.target_shape}")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "target_shape": list(self.target_shape)}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, target_shape), -1 resolved where the input's sizes are known."""
        sizes = [size for size in input_shape[1:] if size is not None]
        known = math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None
        fixed = math.prod(size for size in self.target_shape if size != -1)
        if known is not None and (known % max(1, fixed) if -1 in self.target_shape else known != fixed):
            raise _errors.bad_value("target_shape", f"a shape of {known} values", f"{self.target_shape}")
        rest = None if known is None else known // max(1, fixed)
        return (input_shape[0], *(rest if size == -1 else size for size in self.target_shape))

    def compute_lengths(self, x: Array, lengths: Array | None) -> None:
        """Return None: all steps of the new shape count."""

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        return _reshaped(x, tuple(size or 0 for size in self.compute_output_shape(x.shape)))


class Permute(PlainLayer):
    """Axes in another order.

    Parameters
    ----------
    dims : tuple of int
        The input's axes in the order of the output, counted from 1; the batch axis stays first.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if the input has another number of axes.

    Notes
    -----
    Lengths go on where axis 1 stays. A view. Calls from several threads are safe. Computes what `keras.layers.Permute`
    computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Permute((2, 1))(np.zeros((8, 30, 10), np.float32)).shape
    (8, 10, 30)
    """

    sized = True

    def __init__(self, dims: Any, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        if not isinstance(dims, tuple | list) or sorted(dims) != list(range(1, len(dims) + 1)):
            raise _errors.bad_value("dims", "each of the axes 1, 2, ... once", dims, "the batch axis stays first")
        self.dims = tuple(int(axis) for axis in dims)

    def build(self, input_shape: Shape) -> None:
        """Check the number of axes; see `Layer.build`."""
        super().build(input_shape)
        if len(input_shape) != len(self.dims) + 1:
            raise _errors.bad_value("input_shape", f"{len(self.dims) + 1} axes for dims={self.dims}", f"{input_shape}")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dims": list(self.dims)}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the sizes in the new order."""
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths where the time axis stays."""
        return lengths if self.dims[0] == 1 else None

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        order = (0, *self.dims)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return dy.transpose(np.argsort(order)) if need_dx else None

        return x.transpose(order), pullback


class RepeatVector(PlainLayer):
    """(batch, features) repeated as ``n`` time steps.

    Parameters
    ----------
    n : int
        Steps.
    dtype, name
        As in `Flatten`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe. Computes what `keras.layers.RepeatVector` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.RepeatVector(30)(np.zeros((8, 10), np.float32)).shape
    (8, 30, 10)
    """

    input_axes = ("batch", "features")

    def __init__(self, n: int, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.n = _errors.check_integer("n", n, 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "n": self.n}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, n, features)."""
        return (input_shape[0], self.n, input_shape[1])

    def compute_lengths(self, x: Array, lengths: Array | None) -> None:
        """Return None: all steps count."""

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return dy.sum(axis=1) if need_dx else None

        return np.repeat(x[:, None], self.n, axis=1), pullback


def _reshaped(x: Array, shape: tuple[int, ...]) -> tuple[Array, Pullback]:
    before = x.shape

    def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy.reshape(before) if need_dx else None

    return x.reshape(shape), pullback
