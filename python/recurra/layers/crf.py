"""The layer of a linear-chain conditional random field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, initializers
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class CRF(Layer):
    """Scores of labels, each by itself, into scores of steps from label to label (Lafferty et al. 2001).

    The output (batch, time, labels, labels) is, for labels i before and j now::

        y[t, i, j] = transitions[i, j] + x[t, j]        y[0, i, j] = start[j] + x[0, j]

    and end[j] is added at a sample's last step. Train it with ``loss="linear_chain_crf"``; `recurra.crf_decode` finds
    the best path of labels in its outputs.

    Parameters
    ----------
    units : int
        Number of labels K, also of input features; a `Dense` layer before it makes them.
    chain_initializer : str or callable, default "orthogonal"
        Of the transitions; see `recurra.initializers`.
    use_boundary : bool, default True
        Have scores of starting and ending with a label.
    boundary_initializer : str or callable, default "zeros"
        Of those.
    seed : int, optional
        For initial values.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``transitions`` (K, K), from label to label; ``start`` and ``end`` (K).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Arguments are named as in `tensorflow_addons.layers.CRF`, the scores are those of the package pytorch-crf. Calls
    from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> tagger = recurra.Sequential([recurra.LSTM(8, return_sequences=True), recurra.Dense(3), recurra.layers.CRF(3)])
    >>> tagger.compile(loss="linear_chain_crf")
    >>> x, tags = np.zeros((4, 6, 5)), np.zeros((4, 6), int)
    >>> history = tagger.fit(x, tags, epochs=1, verbose=0)
    >>> paths, scores = recurra.crf_decode(tagger.predict(x))
    >>> paths.shape
    (4, 6)
    """

    input_axes = ("batch", "time", "features")

    def __init__(
        self,
        units: int,
        chain_initializer: Any = "orthogonal",
        use_boundary: bool = True,
        boundary_initializer: Any = "zeros",
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.units = _errors.check_integer("units", units, 1)
        self.use_boundary = _errors.check_flag("use_boundary", use_boundary)
        self.chain_initializer = initializers.check("chain_initializer", chain_initializer)
        self.boundary_initializer = initializers.check("boundary_initializer", boundary_initializer)

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, time, units); see `Layer.build`."""
        if isinstance(input_shape, tuple | list) and input_shape and input_shape[-1] != self.units:
            hint = f"put recurra.Dense({self.units}) before it"
            raise _errors.bad_value("input_shape", f"{self.units} features, one per label", f"{input_shape[-1]}", hint)
        super().build(input_shape)
        self.add_weight("transitions", (self.units, self.units), self.chain_initializer, width=self.units)
        if self.use_boundary:
            self.add_weight("start", (self.units,), self.boundary_initializer, width=self.units)
            self.add_weight("end", (self.units,), self.boundary_initializer, width=self.units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with two axes of labels in place of the features."""
        return (*input_shape[:-1], self.units, self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("units", "chain_initializer", "use_boundary", "boundary_initializer")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def __call__(self, x: Array, *, lengths: Any = None, mask: Any = None) -> Array:
        """Return the potentials.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, time, units)
            Scores of labels.
        lengths : array_like of int, shape (batch,), optional
            Steps of each sample; all by default.
        mask : array_like of bool, shape (batch, time), optional
            The same as a mask.

        Returns
        -------
        numpy.ndarray, shape (batch, time, units, units)
            The potentials.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        self.check_input(x)
        return self._apply(x, _errors.resolve_lengths(lengths, mask, *x.shape[:2]), False, 0)

    def vjp(self, x: Array, *, lengths: Any = None, mask: Any = None) -> tuple[Array, Pullback]:
        """Return the potentials and the function that backpropagates through this call; see `Layer.vjp`."""
        self.check_input(x)
        return self._differentiate(x, _errors.resolve_lengths(lengths, mask, *x.shape[:2]), True, 0)

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        weights = self._views[0]
        y: Array = x[:, :, None, :] + weights["transitions"]
        if not x.shape[1]:
            return y
        y[:, 0] = (x[:, 0] + weights["start"] if self.use_boundary else x[:, 0])[:, None, :]
        if self.use_boundary:
            y[_last_steps(x, lengths)] += weights["end"]
        return y

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            shape = (*x.shape, self.units)
            _errors.check_array("dy", dy, self.dtype, ("batch", "time", "labels", "labels"), shape)
            gradients = self._views[1]
            gradients["transitions"] += dy[:, 1:].sum(axis=(0, 1))
            if not (self.use_boundary or need_dx):
                return None
            entered: Array = dy.sum(axis=2)
            if self.use_boundary and x.shape[1]:
                gradients["start"] += entered[:, 0].sum(axis=0)
                gradients["end"] += entered[_last_steps(x, lengths)].sum(axis=0)
            return entered if need_dx else None

        return self._apply(x, lengths, True, seed), pullback


def _last_steps(x: Array, lengths: Array | None) -> tuple[Array, Array]:
    """Return samples that have steps, and the last step of each."""
    if lengths is None:
        return np.arange(len(x)), np.full(len(x), x.shape[1] - 1)
    some = np.flatnonzero(lengths)
    return some, lengths[some] - 1
