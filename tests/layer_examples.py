"""One or more examples of every layer in LAYERS: how to make it, and what it reads. A new layer gets its line here."""

from typing import Any, NamedTuple

import numpy as np

import recurra
from recurra.layers import LAYERS

N, T, F = 3, 5, 4
SEQUENCES, VECTORS = (N, T, F), (N, F)
LENGTHS = np.array([T, 2, 3])


class Example(NamedTuple):
    """A layer by its class's name, its arguments, and the shapes of its inputs.

    ``integers``: the input is integers below this. ``padded``: with lengths, what counts in the output depends on what
    counts in the input alone. ``inner``: makes more arguments from the dtype, for layers that hold layers.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    shapes: tuple[tuple[int, ...], ...] = (SEQUENCES,)
    integers: int = 0
    padded: bool = True
    inner: Any = None

    def make(self, dtype: str = "float32", **more: Any) -> recurra.layers.Layer:
        """Return the layer, not built."""
        own = {"dtype": dtype, "seed": 7} if self.inner is None else self.inner(dtype)
        options = {**self.options, **own}
        return LAYERS[self.name](**options, **more)

    def inputs(self, dtype: str = "float64", seed: int = 0) -> Any:
        """Return what the layer is called on."""
        rng = np.random.default_rng(seed)
        if self.integers:
            return rng.integers(1, self.integers, self.shapes[0])
        arrays = [rng.standard_normal(shape).astype(dtype) for shape in self.shapes]
        return arrays if LAYERS[self.name].merges else arrays[0]

    def lengths(self) -> Any:
        """Return lengths for the inputs, None where one has no time axis."""
        axes = 2 if self.integers else 3
        each = [LENGTHS if len(shape) >= axes and shape[1] == T else None for shape in self.shapes]
        return each if LAYERS[self.name].merges else each[0]


def two_layers(dtype: str) -> list[recurra.layers.Layer]:
    """Return what a stack holds."""
    kinds = (recurra.LSTM, recurra.GRU)
    return [cls(3, return_sequences=True, return_state=True, dtype=dtype, seed=7) for cls in kinds]


TWO, THREE = (SEQUENCES,) * 2, (SEQUENCES, SEQUENCES, SEQUENCES)

EXAMPLES = [
    Example("RNN", {"units": 3, "return_sequences": True}),
    Example("LSTM", {"units": 3, "return_sequences": True, "kernel_regularizer": "l2", "bias_constraint": "max_norm"}),
    Example("LSTM", {"units": 3, "recurrent_dropout": 0.3}),
    Example("GRU", {"units": 3, "return_sequences": True, "recurrent_initializer": recurra.initializers.Constant(0.1)}),
    Example("Bidirectional", {"merge_mode": "sum"}, inner=lambda dtype: {"layer": recurra.GRU(3, dtype=dtype, seed=7)}),
    Example("Dense", {"units": 3, "activation": "tanh", "kernel_regularizer": "l1", "bias_constraint": "non_neg"}),
    Example("Dense", {"units": 3}, (VECTORS,)),
    Example("Dropout", {"rate": 0.4}),
    Example("RecurrentStack", inner=lambda dtype: {"layers": two_layers(dtype)}),
    Example(
        "CellRNN", {"return_sequences": True}, inner=lambda dtype: {"cell": recurra.LSTMCell(3, dtype=dtype, seed=7)}
    ),
    Example("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal", "activation": "tanh"}),
    Example("Conv1D", {"filters": 2, "kernel_size": 3}, padded=True),
    Example("Attention", {"use_scale": True}, (SEQUENCES, SEQUENCES)),
    Example("AdditiveAttention", {"dropout": 0.2}, (SEQUENCES, SEQUENCES)),
    Example("Embedding", {"input_dim": 9, "output_dim": 3}, ((N, T),), integers=9),
    Example("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True}, ((N, T),), integers=9),
    Example("CRF", {"units": F}),
    Example("Activation", {"activation": "sigmoid"}),
    Example("Activation", {"activation": "softmax"}),
    Example("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3}),
    Example("LeakyReLU", {"negative_slope": 0.2}),
    Example("ELU", {"alpha": 0.7}),
    Example("Softmax"),
    Example("Softmax", {"axis": 1}, padded=False),
    Example("Masking", {"mask_value": 0.5}),
    Example("TimeDistributed", inner=lambda dtype: {"layer": recurra.Dense(3, activation="tanh", dtype=dtype, seed=7)}),
    Example("TimeDistributed", {}, ((N, T, 2, F),), inner=lambda dtype: {"layer": recurra.GRU(3, dtype=dtype, seed=7)}),
    Example("TimeDistributed", inner=lambda dtype: {"layer": recurra.BatchNormalization(dtype=dtype)}),
    Example("LayerNormalization", {"gamma_regularizer": "l2"}),
    Example("LayerNormalization", {"center": False, "epsilon": 1e-5}, (VECTORS,)),
    Example("Normalization", {"mean": 0.5, "variance": [1.0, 4.0, 0.25, 0.0]}),
    Example("Normalization", {"axis": None, "mean": 0.5, "variance": 4.0, "invert": True}, (VECTORS,)),
    Example("BatchNormalization", {"momentum": 0.9, "gamma_constraint": "non_neg"}),
    Example("BatchNormalization", {"scale": False}, (VECTORS,)),
    Example("Flatten", padded=False),
    Example("Reshape", {"target_shape": [2, -1]}, padded=False),
    Example("Permute", {"dims": [2, 1]}, padded=False),
    Example("Permute", {"dims": [1, 3, 2]}, ((N, T, 2, F),)),
    Example("Permute", {"dims": [2, 3, 1]}, ((N, T, 2, F),), padded=False),
    Example("RepeatVector", {"n": 3}, (VECTORS,)),
    Example("ZeroPadding1D", {"padding": [2, 1]}),
    Example("Cropping1D", {"cropping": [1, 2]}),
    Example("UpSampling1D", {"size": 3}),
    Example("GlobalAveragePooling1D"),
    Example("GlobalMaxPooling1D", {"keepdims": True}),
    Example("MaxPooling1D"),
    Example("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    Example("AveragePooling1D", {"pool_size": 3, "strides": 1}),
    Example("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    Example("Concatenate", {}, (SEQUENCES, (N, T, 2))),
    Example("Concatenate", {"axis": 1}, (VECTORS, VECTORS)),
    Example("Add", {}, THREE),
    Example("Add", {}, (SEQUENCES, VECTORS, (N, 1, 1))),
    Example("Subtract", {}, TWO),
    Example("Multiply", {}, THREE),
    Example("Multiply", {}, (VECTORS, SEQUENCES)),
    Example("Average", {}, THREE),
    Example("Maximum", {}, THREE),
    Example("Minimum", {}, TWO),
    Example("Dot", {"axes": [2, 2]}, (SEQUENCES, (N, 2, F)), padded=False),
    Example("Dot", {"axes": 1, "normalize": True}, (VECTORS, VECTORS)),
    Example("SpatialDropout1D", {"rate": 0.4}),
    Example("GaussianNoise", {"stddev": 0.3}),
    Example("GaussianDropout", {"rate": 0.4}),
]

# Layers whose formula, and whose counterpart in Keras, other files know than those that go through EXAMPLES.
TESTED_IN = {
    **dict.fromkeys(("RNN", "LSTM", "GRU", "Bidirectional"), "test_layers.py"),
    **dict.fromkeys(("RecurrentStack", "CellRNN"), "test_cells.py"),
    **dict.fromkeys(("Attention", "AdditiveAttention"), "test_attention.py"),
    "Conv1D": "test_conv.py",
    "Normalization": "test_normalization.py",
    "CRF": "test_sequence_losses.py",
}


def label(example: Example) -> str:
    """Return a short name for a test's report."""
    return "-".join([example.name, *(f"{key}={value}" for key, value in example.options.items())])[:60]
