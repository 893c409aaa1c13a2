"""The fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.layers import _arguments, _pointwise
from recurra.layers._packing import Packing
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class Dense(Layer):
    """Fully connected layer on the last axis: y = f(W x + b).

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str, tuple or Activation, optional
        f: none by default, "softmax" over the outputs, or one of `recurra.activations`.
    use_bias : bool, default True
        Have b.
    kernel_initializer, bias_initializer : str or callable, default "glorot_uniform" and "zeros"
        Of W and b; see `recurra.initializers`.
    kernel_regularizer, bias_regularizer : str or object, optional
        Penalties on W and b; see `recurra.regularizers`.
    activity_regularizer : None
        In Keras's place: outputs cannot be penalised here.
    kernel_constraint, bias_constraint : str or object, optional
        On W and b; see `recurra.constraints`.
    seed : int, optional
        For initial values.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``weight`` (units, features) and ``bias`` (units).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Takes ``(batch, features)``, ``(batch, time, features)`` or more axes. Calls from several threads are safe.
    Computes what `torch.nn.Linear` and `keras.layers.Dense` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Dense(5, activation="softmax")(np.zeros((8, 20), np.float32)).shape
    (8, 5)
    """

    pointwise = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: None = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        arguments = locals()
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.units = _errors.check_integer("units", units, 1)
        self.use_bias = _errors.check_flag("use_bias", use_bias)
        self.activation = _pointwise.resolve("activation", activation)
        self.weight_options = _arguments.resolved(arguments)
        self._packing = Packing(_packed)

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, ..., features); see `Layer.build`."""
        super().build(input_shape)
        assert self.input_shape is not None
        features = self.input_shape[-1] or 0
        shapes = {"kernel": (self.units, features), **({"bias": (self.units,)} if self.use_bias else {})}
        for kind, shape in shapes.items():
            name, start = "weight" if kind == "kernel" else kind, self.weight_options[f"{kind}_initializer"]
            self.add_weight(name, shape, start, width=features, **_arguments.of_weight(self.weight_options, kind))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with ``units`` in place of the features."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": _pointwise.config(self.activation),
            "use_bias": self.use_bias,
            **_arguments.serialized(self.weight_options),
        }

    def __call__(self, x: Array) -> Array:
        """Return f(W x + b).

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, ..., features)
            Of the layer's dtype.

        Returns
        -------
        numpy.ndarray, shape (batch, ..., units)
            The outputs.
        """
        self.check_input(x)
        return self._apply(x, None, False, 0)

    def vjp(self, x: Array) -> tuple[Array, Pullback]:
        """Return f(W x + b) and the function that backpropagates through this call; see `Layer.vjp`."""
        self.check_input(x)
        return self._differentiate(x, None, True, 0)

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        y = _pointwise.forward(self.activation, self._packing(self)(_rows(x)))
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], self.units)

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        rows, weights = _rows(x), self._views[0]
        y = _pointwise.forward(self.activation, _core.linear(weights["weight"], weights.get("bias"), rows))
        flat, shape = x.ndim == 2, (*x.shape[:-1], self.units)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            _errors.check_array("dy", dy, self.dtype, ("batch", *("axis",) * (len(shape) - 2), "outputs"), shape)
            dy = np.ascontiguousarray(dy)
            dz = _pointwise.backward(self.activation, y, dy if flat else dy.reshape(y.shape))
            weight, gradients = self._views[0]["weight"], self._views[1]
            dx = _core.linear_backward(weight, rows, dz, gradients["weight"], gradients.get("bias"), need_dx)
            return dx if flat or dx is None else dx.reshape(x.shape)

        return y if flat else y.reshape(shape), pullback


def _rows(x: Array) -> Array:
    """Return the input (batch, ..., features) as rows of features."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _packed(weights: dict[str, Array]) -> _core.Linear:
    return _core.Linear(weights["weight"], weights.get("bias"))
