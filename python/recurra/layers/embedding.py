"""The embedding layer: a row of a table for each integer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.layers import _arguments
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class Embedding(PlainLayer):
    """A table with a vector for each integer: y[n, t] = embeddings[x[n, t]].

    Parameters
    ----------
    input_dim : int
        Size of the vocabulary: x holds integers from 0 to ``input_dim - 1``.
    output_dim : int
        Size of a vector.
    embeddings_initializer : str or callable, default "uniform"
        Of the table; see `recurra.initializers`.
    embeddings_regularizer : str or object, optional
        See `recurra.regularizers`. A penalty reads the whole table at every step, whatever the batch.
    embeddings_constraint : str or object, optional
        See `recurra.constraints`; its ``axis=-1`` is a row of the table.
    mask_zero : bool, default False
        0 is padding, at the end of a sample alone: the lengths for the layers that follow are made from x.
    seed : int, optional
        For initial values.
    dtype : {"float32", "float64"}, default "float32"
        Of the table and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``embeddings`` (input_dim, output_dim). Gradients are added into the rows that x names, so a training step
        costs as much as these, whatever the size of the vocabulary.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, and on integers outside the vocabulary, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe. Gradients do not depend on the number of threads. Computes what
    `torch.nn.Embedding` and `keras.layers.Embedding` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Embedding(1000, 16)(np.array([[4, 20, 7], [1, 999, 0]])).shape
    (2, 3, 16)
    """

    pointwise = True
    integer_input = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        arguments = locals()
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.weight_options = _arguments.resolved(arguments)
        self.input_dim = _errors.check_integer("input_dim", input_dim, 1)
        self.output_dim = _errors.check_integer("output_dim", output_dim, 1)
        self.mask_zero = self.makes_lengths = _errors.check_flag("mask_zero", mask_zero)

    def build(self, input_shape: Shape) -> None:
        """Declare the table; see `Layer.build`."""
        super().build(input_shape)
        self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.weight_options["embeddings_initializer"],
            width=self.output_dim,
            sparse=True,
            **_arguments.of_weight(self.weight_options, "embeddings"),
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with an axis of ``output_dim`` behind."""
        return (*input_shape, self.output_dim)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths, with ``mask_zero`` those that the zeros of x leave."""
        if not self.mask_zero or x.ndim < 2:
            return lengths
        return _errors.lengths_of_padding(x != 0, lengths, "0 (padding, as mask_zero says)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **_arguments.serialized(self.weight_options),
            "mask_zero": self.mask_zero,
        }

    def _indices(self, x: Array) -> Array:
        """Return x as the engine's integers, all within the vocabulary."""
        if x.size and not (x.min() >= 0 and x.max() < self.input_dim):
            place = tuple(int(i) for i in np.argwhere((x < 0) | (x >= self.input_dim))[0])
            hint = f"the vocabulary of layer {self.name!r} has input_dim={self.input_dim} entries"
            raise _errors.bad_value("x", f"integers from 0 to {self.input_dim - 1}", f"{x[place]} at {place}", hint)
        return np.ascontiguousarray(x, np.int64)

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return _core.embedding(self._views[0]["embeddings"], self._indices(x))

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        indices = self._indices(x)
        if np.may_share_memory(indices, x):
            indices = indices.copy()  # the caller may fill its array anew before the pullback reads it

        def pullback(dy: Array, *, need_dx: bool = True) -> None:
            self._touch("embeddings", indices)  # first: an interrupt may come between the two
            _core.embedding_backward(indices, np.ascontiguousarray(dy), self._views[1]["embeddings"])

        return _core.embedding(self._views[0]["embeddings"], indices), pullback
