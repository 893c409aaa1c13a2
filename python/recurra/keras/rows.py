"""Keras's layers that hold no other layers, each with what its options are here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recurra import activations, layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra.keras.options import Options
    from recurra.layers.base import Layer


@dataclass(frozen=True)
class Row:
    """How one of Keras's layers becomes one of ours.

    Attributes
    ----------
    make : callable
        Our class, or a function, called with the arguments.
    same : tuple of str
        Options that have the same name and meaning here.
    activations : tuple of str
        Options that are activations.
    weights : dict of str to int
        Weights with initializer, regularizer and constraint, by the beginning of the options' names; and the number
        of axes in Keras, whose order is the opposite one here (1: the same order).
    renamed : dict of str to str
        Options of another name here; several of Keras's may be one of ours, the later one counts.
    only : dict of str to tuple
        Options that must have one of these values.
    idle : tuple of str
        Options that change nothing here.
    fixed : dict
        Further arguments of ``make``.
    missing : dict
        Options as they were before files had them.
    convert : dict of str to callable
        What is done to an option's value.
    """

    make: Callable[..., Layer]
    same: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    only: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Any] = field(default_factory=dict)
    convert: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def arguments(self, options: Options) -> dict[str, Any]:
        """Return the arguments of ``make``, having taken all options."""
        found: dict[str, Any] = dict(self.fixed)
        for key in self.same:
            if key in options.config or key in self.missing:
                found[key] = options.take(key, self.missing.get(key))
        for key, name in self.renamed.items():
            if key in options.config:
                found[name] = options.take(key)
        for key, convert in self.convert.items():
            if found.get(key) is not None:
                found[key] = convert(found[key])
        for key in self.activations:
            if key in options.config:
                found[key] = options.activation(key)
        for key, axes in self.weights.items():
            found.update(options.weight(key, axes))
        for key, allowed in self.only.items():
            options.only(key, *allowed)
        options.idle(*self.idle)
        return found

    def layer(self, options: Options) -> Layer:
        """Return the layer of a configuration."""
        found = self.arguments(options)
        options.finish()
        found["dtype"] = options.dtype()
        return self.make(**found)


def _one(value: Any) -> Any:
    """Return the one number of a list, as Keras writes sizes and axes."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _affine(scale: Any, offset: Any = 0.0, **options: Any) -> Layer:
    return layers.Activation(activations.affine(scale, offset), **options)


def _identity(**options: Any) -> Layer:
    return layers.Activation("linear", **options)


def _thresholded(theta: float = 1.0, **options: Any) -> Layer:
    return layers.Activation(activations.thresholded_relu(theta), **options)


_KERNEL = {"kernel": 2, "bias": 1}
_CELL = {**_KERNEL, "recurrent": 2}
_RATES = ("units", "use_bias", "dropout", "recurrent_dropout")
_FLOW = ("return_sequences", "return_state", "go_backwards")
_GATES = ("activation", "recurrent_activation")
_RUN = ("implementation", "unroll", "stateful", "zero_output_for_mask", "use_cudnn", "input_dim", "input_length")
_BATCH = {"time_major": (False,)}
_CUDNN: dict[str, Any] = {"weights": _CELL, "only": _BATCH, "idle": _RUN, "same": ("units", *_FLOW)}
_FORMAT = {"data_format": (None, "channels_last")}
_POOL: dict[str, Any] = {
    "same": ("pool_size", "strides", "padding"),
    "convert": {"pool_size": _one, "strides": _one},
    "only": _FORMAT,
}
_BATCH_NORM_WEIGHTS = {"beta": 1, "gamma": 1, "moving_mean": 1, "moving_variance": 1}

CELLS: dict[str, Row] = {
    "SimpleRNNCell": Row(layers.SimpleRNNCell, _RATES, ("activation",), _CELL, idle=_RUN),
    "LSTMCell": Row(layers.LSTMCell, (*_RATES, "unit_forget_bias"), _GATES, _CELL, idle=_RUN),
    "GRUCell": Row(layers.GRUCell, (*_RATES, "reset_after"), _GATES, _CELL, idle=_RUN, missing={"reset_after": False}),
}

ROWS: dict[str, Row] = {
    "SimpleRNN": Row(layers.RNN, (*_RATES, *_FLOW), ("activation",), _CELL, only=_BATCH, idle=_RUN),
    "LSTM": Row(layers.LSTM, (*_RATES, *_FLOW, "unit_forget_bias"), _GATES, _CELL, only=_BATCH, idle=_RUN),
    "GRU": Row(
        layers.GRU, (*_RATES, *_FLOW, "reset_after"), _GATES, _CELL, only=_BATCH, idle=_RUN,
        missing={"reset_after": False},
    ),
    "CuDNNLSTM": Row(layers.LSTM, **{**_CUDNN, "same": (*_CUDNN["same"], "unit_forget_bias")}),
    "CuDNNGRU": Row(layers.GRU, **_CUDNN),
    "Embedding": Row(
        layers.Embedding, ("input_dim", "output_dim", "mask_zero"), weights={"embeddings": 1}, idle=("input_length",),
        only={"sparse": (False,), "weights": (None,)},
    ),
    "Dense": Row(layers.Dense, ("units", "use_bias"), ("activation",), _KERNEL, idle=("input_dim",)),
    "Conv1D": Row(
        layers.Conv1D, ("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "use_bias"),
        ("activation",), {"kernel": 3, "bias": 1}, only=_FORMAT,
        convert={"kernel_size": _one, "strides": _one, "dilation_rate": _one},
    ),
    "MaxPooling1D": Row(layers.MaxPooling1D, **_POOL),
    "AveragePooling1D": Row(layers.AveragePooling1D, **_POOL),
    "GlobalMaxPooling1D": Row(layers.GlobalMaxPooling1D, ("keepdims",), only=_FORMAT),
    "GlobalAveragePooling1D": Row(layers.GlobalAveragePooling1D, ("keepdims",), only=_FORMAT),
    "Dropout": Row(layers.Dropout, ("rate",)),
    "SpatialDropout1D": Row(layers.SpatialDropout1D, ("rate",), only=_FORMAT),
    "GaussianNoise": Row(layers.GaussianNoise, ("stddev",)),
    "GaussianDropout": Row(layers.GaussianDropout, ("rate",)),
    "Activation": Row(layers.Activation, activations=("activation",)),
    "ReLU": Row(layers.ReLU, ("max_value", "negative_slope", "threshold")),
    "LeakyReLU": Row(layers.LeakyReLU, renamed={"alpha": "negative_slope", "negative_slope": "negative_slope"}),
    "ELU": Row(layers.ELU, ("alpha",)),
    "Softmax": Row(layers.Softmax, ("axis",), convert={"axis": _one}),
    "ThresholdedReLU": Row(_thresholded, ("theta",)),
    "Identity": Row(_identity),
    "Rescaling": Row(_affine, ("scale", "offset")),
    "BatchNormalization": Row(
        layers.BatchNormalization, ("axis", "momentum", "epsilon", "center", "scale"), weights=_BATCH_NORM_WEIGHTS,
        convert={"axis": _one}, idle=("fused", "renorm_clipping", "renorm_momentum"),
        only={"renorm": (False,), "virtual_batch_size": (None,), "synchronized": (False,), "adjustment": (None,)},
    ),
    "LayerNormalization": Row(
        layers.LayerNormalization, ("axis", "epsilon", "center", "scale"), weights={"beta": 1, "gamma": 1},
        convert={"axis": _one}, only={"rms_scaling": (False,)},
    ),
    "Normalization": Row(layers.Normalization, ("axis", "mean", "variance", "invert"), convert={"axis": _one}),
    "Masking": Row(layers.Masking, ("mask_value",)),
    "Flatten": Row(layers.Flatten, only=_FORMAT),
    "Reshape": Row(layers.Reshape, ("target_shape",)),
    "Permute": Row(layers.Permute, ("dims",)),
    "RepeatVector": Row(layers.RepeatVector, ("n",)),
    "ZeroPadding1D": Row(layers.ZeroPadding1D, ("padding",), only=_FORMAT),
    "Cropping1D": Row(layers.Cropping1D, ("cropping",)),
    "UpSampling1D": Row(layers.UpSampling1D, ("size",)),
    "Concatenate": Row(layers.Concatenate, ("axis",)),
    "Dot": Row(layers.Dot, ("axes", "normalize")),
    **{kind: Row(getattr(layers, kind)) for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
    "Attention": Row(layers.Attention, ("use_scale", "score_mode", "dropout"), only={"causal": (False,)}),
    "AdditiveAttention": Row(layers.AdditiveAttention, ("use_scale", "dropout"), only={"causal": (False,)}),
}  # fmt: skip
