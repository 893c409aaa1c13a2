"""Convolution over time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.layers import _arguments, _pointwise
from recurra.layers._correlation import Correlation, packed
from recurra.layers._packing import Packing
from recurra.layers._scores import silence
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recurra._typing import Array, Pullback, Shape
    from recurra.streaming import Stepper

PADDINGS = ("valid", "same", "causal")


class Conv1D(Layer):
    """Convolution over time (a correlation, as everywhere in the field)::

        y[t] = f(sum over k of W[:, :, k] x[t * strides + k * dilation_rate - left] + b)

    with 0 outside of x, and left = 0 for "valid", (kernel_size - 1) * dilation_rate for "causal", half of what makes
    ceil(time / strides) outputs for "same".

    Parameters
    ----------
    filters : int
        Number of outputs of each step.
    kernel_size : int
        Steps under a filter.
    strides : int, default 1
        Steps from one output to the next.
    padding : {"valid", "same", "causal"}, default "valid"
        "valid": only where the filter fits; "same" and "causal": ceil(time / strides) outputs, those of "causal" seeing
        no later step.
    data_format : {"channels_last"}, optional
        Accepted for Keras's sake: the features are the last axis.
    dilation_rate : int, default 1
        Steps from one tap of a filter to the next; above 1 strides must be 1.
    groups : int, default 1
        Parts of the features and filters that see only each other; divides both.
    activation : str, tuple or Activation, optional
        f: none by default, "softmax" over the filters, or one of `recurra.activations`.
    use_bias : bool, default True
        Have b.
    kernel_initializer, bias_initializer : str or callable, default "glorot_uniform" and "zeros"
        Of W and b; see `recurra.initializers`.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint : str or object, optional
        See `recurra.regularizers` and `recurra.constraints`.
    activity_regularizer : None
        Accepted for Keras's sake, as None alone.
    seed : int, optional
        For initial values.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``weight`` (filters, features / groups, kernel_size), as in `torch.nn.Conv1d`, and ``bias`` (filters).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``; or if "valid" leaves no output.

    Notes
    -----
    With lengths, steps beyond a sample's length count as zero whatever they hold, and outputs beyond its outputs are
    0: ceil(length / strides) of them, for "valid" those whose steps all count. A causal layer with strides of 1 can be
    a stream. Calls from several threads are safe. Computes what `torch.nn.Conv1d` and `keras.layers.Conv1D` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.Conv1D(16, 3, padding="causal", activation="relu")
    >>> layer(np.zeros((8, 30, 10), np.float32), lengths=[30, 7, 0, 1, 2, 3, 4, 5]).shape
    (8, 30, 16)
    """

    input_axes = ("batch", "time", "features")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        self.name = "conv1d" if name is None else self.name
        self.filters = _errors.check_integer("filters", filters, 1)
        self.kernel_size = _one("kernel_size", kernel_size)
        self.strides = _one("strides", strides)
        self.dilation_rate = _one("dilation_rate", dilation_rate)
        self.padding = _errors.check_choice("padding", padding, PADDINGS)
        _errors.check_choice("data_format", data_format or "channels_last", ("channels_last",))
        self.groups = _errors.check_integer("groups", groups, 1)
        if self.filters % self.groups:
            raise _errors.bad_value("groups", f"a divisor of the {self.filters} filters", repr(groups))
        if self.strides > 1 and self.dilation_rate > 1:
            raise _errors.bad_value("dilation_rate", "1 with strides above 1", repr(dilation_rate))
        self.activation = _pointwise.resolve("activation", activation)
        self.use_bias = _errors.check_flag("use_bias", use_bias)
        self.weight_options = _arguments.resolved(arguments)
        self._packing = Packing(functools.partial(packed, groups=self.groups))

    @property
    def span(self) -> int:
        """The number of steps from a filter's first tap to its last, both included."""
        return (self.kernel_size - 1) * self.dilation_rate + 1

    # Shapes

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, time, features); see `Layer.build`."""
        super().build(input_shape)
        assert self.input_shape is not None
        features = self.input_shape[-1] or 0
        if features % self.groups:
            self.built = False
            raise _errors.bad_value("input_shape", f"features that {self.groups} groups divide", f"{features}")
        self._outputs(self.input_shape[1])
        shape = (self.filters, features // self.groups, self.kernel_size)
        width = shape[1] * shape[2]
        shapes = {"kernel": shape, **({"bias": (self.filters,)} if self.use_bias else {})}
        for kind, size in shapes.items():
            name, start = "weight" if kind == "kernel" else kind, self.weight_options[f"{kind}_initializer"]
            self.add_weight(name, size, start, width=width, **_arguments.of_weight(self.weight_options, kind))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, outputs, filters)."""
        return (input_shape[0], self._outputs(input_shape[1]), self.filters)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return how many outputs of each sample count."""
        if lengths is None:
            return None
        if self.padding == "valid":
            whole: Array = np.maximum(0, (lengths - self.span) // self.strides + 1)
            return whole
        return -(-lengths // self.strides)

    def _outputs(self, time: int | None) -> Any:
        """Return the number of outputs for so many steps."""
        if time is None:
            return None
        if self.padding != "valid":
            return -(-time // self.strides)
        if time < self.span:
            hint = 'or pad: padding="same" or "causal"'
            raise _errors.bad_value("x", f"at least {self.span} time steps, as the filter spans", f"{time}", hint)
        return (time - self.span) // self.strides + 1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": _pointwise.config(self.activation),
            "use_bias": self.use_bias,
            **_arguments.serialized(self.weight_options),
        }

    # The verbs

    def __call__(self, x: Array, lengths: Any = None, mask: Any = None) -> Array:
        """Return the filters' outputs.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, time, features)
            Of the layer's dtype.
        lengths : array of int, shape (batch,), optional
            Steps that count of each sample.
        mask : array of bool, shape (batch, time), optional
            The same said by steps.

        Returns
        -------
        numpy.ndarray, shape (batch, outputs, filters)
            The outputs.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        self.check_input(x)
        return self._apply(x, _errors.resolve_lengths(lengths, mask, x.shape[0], x.shape[1]), False, 0)

    def vjp(self, x: Array, lengths: Any = None, mask: Any = None) -> tuple[Array, Pullback]:
        """Return the outputs and the function that backpropagates through this call; see `Layer.vjp`."""
        self.check_input(x)
        return self._differentiate(x, _errors.resolve_lengths(lengths, mask, x.shape[0], x.shape[1]), True, 0)

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return self._run(x, lengths, self._packing(self))[0]

    def _run(
        self, x: Array, lengths: Array | None, products: list[_core.Linear] | None = None
    ) -> tuple[Array, list[Correlation], int]:
        """Return the outputs, the correlation of each group, and the zeros put before each sample.

        ``products``: the groups' filters packed, for outputs alone.
        """
        outputs = self._outputs(x.shape[1])
        left, steps = self._places(x.shape[1], outputs)
        weight, bias = self._views[0]["weight"], self._views[0].get("bias")
        parts = []
        for group in range(self.groups):
            own = slice(group * weight.shape[1], (group + 1) * weight.shape[1])
            padded = _padded(x if self.groups == 1 else x[..., own], left, steps, lengths)
            parts.append(Correlation(padded, weight[self._own(group)], self.strides, self.dilation_rate, outputs))
        found = [
            part.forward(None if bias is None else bias[self._own(g)], None if products is None else products[g])
            for g, part in enumerate(parts)
        ]
        y = _pointwise.forward(self.activation, found[0] if self.groups == 1 else np.concatenate(found, axis=-1))
        silence(y, self.compute_lengths(x, lengths))
        return y, parts, left

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        y, parts, left = self._run(x, lengths)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            _errors.check_array("dy", dy, self.dtype, ("batch", "time", "outputs"), y.shape)
            dz = _pointwise.backward(self.activation, y, np.ascontiguousarray(dy))
            if lengths is not None:
                dz = dz.copy() if dz is dy else dz
                silence(dz, self.compute_lengths(x, lengths))
            dweight, dbias = self._views[1]["weight"], self._views[1].get("bias")
            dx = np.zeros(x.shape, x.dtype) if need_dx else None
            for group, part in enumerate(parts):
                own = self._own(group)
                slope = np.ascontiguousarray(dz[..., own])
                dpadded = part.backward(slope, dweight[own], None if dbias is None else dbias[own], need_dx)
                if dx is not None and dpadded is not None:
                    width = part.shape[2]
                    reach = min(x.shape[1], part.shape[1] - left)
                    dx[:, :reach, group * width : (group + 1) * width] = dpadded[:, left : left + reach]
            if dx is not None:
                silence(dx, lengths)
            return dx

        return y, pullback

    def _own(self, group: int) -> slice:
        """Return the filters of a group."""
        count = self.filters // self.groups
        return slice(group * count, (group + 1) * count)

    def _places(self, time: int, outputs: int) -> tuple[int, int]:
        """Return the zeros before a sample, and its steps with all padding."""
        needed = max(0, (outputs - 1) * self.strides + self.span)
        left = {"valid": 0, "causal": self.span - 1, "same": max(0, needed - time) // 2}[self.padding]
        return left, -(-needed // self.strides) * self.strides

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        from recurra.layers._conv_stepper import ConvStepper

        return [ConvStepper(self, batch_size)]


def _one(argument: str, value: Any) -> int:
    """Return a positive integer, which may stand in a tuple as Keras's does."""
    alone = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    return _errors.check_integer(argument, alone, 1)


def _padded(x: Array, left: int, steps: int, lengths: Array | None) -> Array:
    """Return ``x`` behind ``left`` zeros, cut or filled to ``steps``, zero beyond the lengths; itself if it is that."""
    if left == 0 and steps == x.shape[1] and lengths is None:
        return np.ascontiguousarray(x)
    padded = np.zeros((x.shape[0], steps, x.shape[2]), x.dtype)
    kept = x[:, : steps - left]
    padded[:, left : left + kept.shape[1]] = kept
    if lengths is not None:
        silence(padded, lengths + left)
    return padded
