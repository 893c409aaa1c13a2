"""The fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors, activations, initializers
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
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.units = _errors.check_integer("units", units, 1)
        self.use_bias = _errors.check_flag("use_bias", use_bias)
        softmax = activations.Activation("softmax")
        given = activation == "softmax" or (isinstance(activation, tuple | list) and activation[:1] == ["softmax"])
        self.activation = softmax if given else activations.resolve("activation", activation)
        self.kernel_initializer = initializers.check("kernel_initializer", kernel_initializer)
        self.bias_initializer = initializers.check("bias_initializer", bias_initializer)

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, ..., features); see `Layer.build`."""
        super().build(input_shape)
        assert self.input_shape is not None
        features = self.input_shape[-1] or 0
        self.add_weight("weight", (self.units, features), self.kernel_initializer, width=features)
        if self.use_bias:
            self.add_weight("bias", (self.units,), self.bias_initializer, width=features)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with ``units`` in place of the features."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": "softmax" if self.activation.name == "softmax" else list(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer,
            "bias_initializer": self.bias_initializer,
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

    def _linear(self, x: Array) -> tuple[Array, Array]:
        """Return the input as rows, and the activated outputs as rows."""
        rows = x.reshape(-1, x.shape[-1])
        weights = self._views[0]
        z = _core.linear(weights["weight"], weights.get("bias"), rows)
        name, alpha, beta = self.activation
        if name == "softmax":
            z = _core.softmax(z)
        elif name != "identity":
            z = _core.activation(name, alpha, beta, z)
        return rows, z

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return self._linear(x)[1].reshape(*x.shape[:-1], self.units)

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        rows, y = self._linear(x)
        shape = (*x.shape[:-1], self.units)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            axes = ("batch", *("axis",) * (len(shape) - 2), "outputs")
            _errors.check_array("dy", dy, self.dtype, axes, shape)
            dz = self._activation_backward(y, np.ascontiguousarray(dy).reshape(y.shape))
            weight, gradients = self._views[0]["weight"], self._views[1]
            dx = _core.linear_backward(weight, rows, dz, gradients["weight"], gradients.get("bias"), need_dx)
            return None if dx is None else dx.reshape(x.shape)

        return y.reshape(shape), pullback

    def _activation_backward(self, y: Array, dy: Array) -> Array:
        name, alpha, beta = self.activation
        if name == "identity":
            return dy
        if name == "softmax":
            return _core.softmax_backward(y, dy)
        return _core.activation_backward(name, alpha, beta, y, dy)
