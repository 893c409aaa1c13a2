"""What layers without a recurrence compute, each against its formula in plain NumPy; and what they refuse."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, LENGTHS, TESTED_IN, N, T, label
from recurra.layers import LAYERS

CASES = [example for example in EXAMPLES if example.name not in TESTED_IN]
RNG = np.random.default_rng(47)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def relu(layer, x):
    y = np.where(x > layer.threshold, x, layer.negative_slope * (x - layer.threshold))
    return np.where(x >= layer.max_value, layer.max_value, y)


def normalised(layer, x, mean, variance):
    unit = (x - mean) / np.sqrt(variance + layer.epsilon)
    return unit * layer.parameters.get("gamma", 1.0) + layer.parameters.get("beta", 0.0)


def pooled(layer, x, reduce):
    """One window after the other; windows of padding "same" are centred and cut at the edges."""
    time, size, step = x.shape[1], layer.pool_size, layer.strides
    count = -(-time // step) if layer.padding == "same" else (time - size) // step + 1
    before = max((count - 1) * step + size - time, 0) // 2 if layer.padding == "same" else 0
    starts = np.arange(count) * step - before
    return np.stack([reduce(x[:, max(0, start) : start + size], 1) for start in starts], 1)


def wide(x):
    count = max(part.ndim for part in x)
    return [part.reshape(len(part), *(1,) * (count - part.ndim), *part.shape[1:]) for part in x]


def dot(layer, x):
    if layer.normalize:
        x = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in x]
    if x[0].ndim == 2:
        return (x[0] * x[1]).sum(1, keepdims=True)
    return np.stack([first @ second.T for first, second in zip(*x, strict=True)])


def each_step(layer, x):
    """The inner layer on one step of all samples after the other."""
    return np.stack([layer.layer(x[:, step]) for step in range(x.shape[1])], 1)


FORMULAS = {
    "Dense": lambda layer, x: (np.tanh if layer.activation.name == "tanh" else np.asarray)(
        x @ layer.parameters["weight"].T + layer.parameters["bias"]
    ),
    "Dropout": lambda layer, x: x,
    "Embedding": lambda layer, x: layer.parameters["embeddings"][x],
    "Activation": lambda layer, x: softmax(x) if layer.activation.name == "softmax" else 1 / (1 + np.exp(-x)),
    "ReLU": relu,
    "LeakyReLU": lambda layer, x: np.where(x > 0, x, 0.2 * x),
    "ELU": lambda layer, x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)),
    "Softmax": lambda layer, x: softmax(x, layer.axis),
    "Masking": lambda layer, x: x * (x != 0.5).any(-1, keepdims=True),
    "TimeDistributed": each_step,
    "LayerNormalization": lambda layer, x: normalised(layer, x, x.mean(-1, keepdims=True), x.var(-1, keepdims=True)),
    "BatchNormalization": lambda layer, x: normalised(
        layer, x, layer.parameters["moving_mean"], layer.parameters["moving_variance"]
    ),
    "Flatten": lambda layer, x: x.reshape(N, -1),
    "Reshape": lambda layer, x: x.reshape(N, 2, -1),
    "Permute": lambda layer, x: x.transpose(0, *layer.dims),
    "RepeatVector": lambda layer, x: np.stack([x] * 3, 1),
    "ZeroPadding1D": lambda layer, x: np.concatenate([np.zeros((N, 2, 4)), x, np.zeros((N, 1, 4))], 1),
    "Cropping1D": lambda layer, x: x[:, 1:-2],
    "UpSampling1D": lambda layer, x: x[:, np.arange(3 * T) // 3],
    "GlobalAveragePooling1D": lambda layer, x: x.mean(1),
    "GlobalMaxPooling1D": lambda layer, x: x.max(1, keepdims=True),
    "MaxPooling1D": lambda layer, x: pooled(layer, x, np.max),
    "AveragePooling1D": lambda layer, x: pooled(layer, x, np.mean),
    "Concatenate": lambda layer, x: np.concatenate(x, layer.axis),
    "Add": lambda layer, x: sum(wide(x)),
    "Subtract": lambda layer, x: x[0] - x[1],
    "Multiply": lambda layer, x: np.prod(np.stack(np.broadcast_arrays(*wide(x))), 0),
    "Average": lambda layer, x: np.mean(x, 0),
    "Maximum": lambda layer, x: np.max(x, 0),
    "Minimum": lambda layer, x: np.min(x, 0),
    "Dot": dot,
    "SpatialDropout1D": lambda layer, x: x,
    "GaussianNoise": lambda layer, x: x,
    "GaussianDropout": lambda layer, x: x,
}


def test_every_layer_has_its_formula():
    assert set(FORMULAS) | set(TESTED_IN) == set(LAYERS)
    for name, file in TESTED_IN.items():
        assert name in (Path(__file__).parent / file).read_text()


@pytest.mark.parametrize("example", CASES, ids=label)
def test_outputs_are_those_of_the_formula(example):
    layer, x = example.make("float64"), example.inputs()
    layer(x)
    for name, value in layer.parameters.items():
        value[...] = RNG.uniform(0.2, 0.9, value.shape) * (
            1 if "variance" in name else RNG.choice([-1, 1], value.shape)
        )
    np.testing.assert_allclose(layer(x), FORMULAS[example.name](layer, x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cls", ["GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D", "AveragePooling1D"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_with_lengths_is_pooling_of_each_sample_alone(cls, padding):
    options = {} if cls.startswith("Global") else {"pool_size": 2, "strides": 1, "padding": padding}
    layer, x = LAYERS[cls](dtype="float64", **options), RNG.standard_normal((N, T, 2))
    y, lengths = layer(x, lengths=LENGTHS), layer.compute_lengths(x, LENGTHS)
    for row, count in enumerate(LENGTHS):
        alone = layer(x[row : row + 1, :count])[0]
        np.testing.assert_allclose(y[row] if lengths is None else y[row, : lengths[row]], alone, rtol=1e-14)
        assert lengths is None or lengths[row] == len(alone)
    assert not layer(x, lengths=[0, 0, 0]).any()


# Normalization


def test_batch_statistics_are_those_of_the_steps_that_count():
    layer, x = recurra.BatchNormalization(momentum=0.9, dtype="float64"), 3 * RNG.standard_normal((N, T, 4)) + 2
    counted = np.concatenate([x[row, :count] for row, count in enumerate(LENGTHS)])
    mean, variance = counted.mean(0), counted.var(0)
    y, pullback = layer.vjp(x, lengths=LENGTHS)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-12)
    assert not layer.parameters["moving_mean"].any()  # until the pullback
    for steps in (1, 2):
        pullback(np.ones_like(y))
        np.testing.assert_allclose(layer.parameters["moving_mean"], (1 - 0.9**steps) * mean, rtol=1e-12)
        expected = 0.9**steps + (1 - 0.9**steps) * variance
        np.testing.assert_allclose(layer.parameters["moving_variance"], expected, rtol=1e-12)


def test_a_frozen_or_inferring_batch_normalization_uses_and_keeps_the_moving_statistics():
    layer, x = recurra.BatchNormalization(), RNG.standard_normal((N, 4)).astype(np.float32)
    calm = layer(x)
    before = layer.flat_parameters.copy()
    layer.vjp(x, training=False)[1](np.ones_like(x))
    layer.trainable = False
    y, pullback = layer.vjp(x)
    pullback(np.ones_like(x))
    np.testing.assert_array_equal(y, calm)
    np.testing.assert_array_equal(layer.flat_parameters, before)


def test_a_batch_without_steps_changes_no_statistics():
    layer, x = recurra.BatchNormalization(), np.ones((N, T, 2), np.float32)
    y, pullback = layer.vjp(x, lengths=[0, 0, 0])
    before = layer.flat_parameters.copy()
    assert np.isfinite(y).all()
    assert np.isfinite(pullback(np.zeros_like(y))).all()
    np.testing.assert_array_equal(layer.flat_parameters, before)


def test_statistics_are_kept_by_training_and_files(tmp_path):
    model = recurra.Sequential([recurra.BatchNormalization(momentum=0.5), recurra.Dense(1)])
    model.compile(recurra.optimizers.SGD(0.01), "mse")
    x = (4 + RNG.standard_normal((64, 3))).astype(np.float32)
    model.fit(x, x[:, :1], epochs=6, verbose=0)
    assert abs(model.parameters["batch_normalization.moving_mean"] - 4).max() < 1
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(recurra.load_model(tmp_path / "model.safetensors").predict(x), model.predict(x))


# Noise


def test_draws_have_the_moments_they_are_said_to_have():
    x = np.full((200, 50, 4), 2.0)
    noisy = recurra.GaussianNoise(0.5, dtype="float64")(x, training=True, seed=1)
    assert abs(noisy.mean() - 2) < 0.01  # 40,000 draws
    assert noisy.std() == pytest.approx(0.5, rel=0.02)
    scaled = recurra.GaussianDropout(0.2, dtype="float64")(x, training=True, seed=1) / x
    assert abs(scaled.mean() - 1) < 0.01
    assert scaled.std() == pytest.approx(0.5, rel=0.02)  # sqrt(0.2 / 0.8)
    masked = recurra.SpatialDropout1D(0.25, dtype="float64")(x, training=True, seed=1)
    assert (masked == masked[:, :1]).all()
    np.testing.assert_allclose(np.unique(masked), [0, 2 / 0.75])
    assert abs((masked[:, 0] == 0).mean() - 0.25) < 0.06  # 800 draws


# Joining and reshaping in time


def test_sequences_side_by_side_in_time_add_their_lengths():
    x = [np.ones((N, 2, 3), np.float32), np.ones((N, T, 3), np.float32)]
    layer = recurra.Concatenate(axis=1)
    assert layer.compute_lengths(x, [None, LENGTHS]).tolist() == [2 + T, 4, 5]
    assert layer.compute_lengths(x, [np.array([2, 2, 2]), LENGTHS]).tolist() == [2 + T, 4, 5]
    with pytest.raises(ValueError, match=r"^lengths: expected full length of x\[0\] before another input, got padding"):
        layer.compute_lengths(x, [np.array([2, 1, 2]), None])


def test_a_step_of_a_merged_sequence_counts_if_it_does_in_one_of_them():
    x, y, vector = np.ones((N, T, 3)), np.ones((N, T, 3)), np.ones((N, 3))
    for layer in (recurra.Add(), recurra.Concatenate()):
        assert layer.compute_lengths([x, y], [LENGTHS, np.array([1, 4, 2])]).tolist() == [T, 4, 3]
        assert layer.compute_lengths([x, y], [LENGTHS, None]) is None
    assert recurra.Add().compute_lengths([x, vector], [LENGTHS, None]).tolist() == LENGTHS.tolist()


def test_masked_steps_give_zeros_and_get_no_gradient():
    layer, x = recurra.Masking(-1.0, dtype="float64"), RNG.standard_normal((N, T, 2))
    x[0, 3:], x[1, 4] = -1.0, (-1.0, 2.0)
    y, pullback = layer.vjp(x)
    assert not y[0, 3:].any()
    np.testing.assert_array_equal(y[1:], x[1:])
    dx = pullback(np.ones_like(y))
    assert not dx[0, 3:].any()
    assert (dx[1:] == 1).all()
    assert layer.compute_lengths(x, None).tolist() == [3, T, T]
    x[0, 4] = 0.5
    with pytest.raises(
        ValueError, match=r"^x: expected steps of -1.0 \(padding\) after all other steps, got some before"
    ):
        layer.compute_lengths(x, None)


def test_lengths_move_with_the_steps():
    x = np.ones((N, T, 4))
    for layer, expected in (
        (recurra.ZeroPadding1D((2, 1)), LENGTHS + 2),
        (recurra.Cropping1D((1, 2)), [2, 1, 2]),
        (recurra.UpSampling1D(3), 3 * LENGTHS),
        (recurra.MaxPooling1D(2), [2, 1, 1]),
        (recurra.MaxPooling1D(2, padding="same"), [3, 1, 2]),
        (recurra.Permute((1, 2)), LENGTHS),
    ):
        np.testing.assert_array_equal(layer.compute_lengths(x, LENGTHS), expected)
    for layer in (recurra.Flatten(), recurra.Reshape((-1,)), recurra.Permute((2, 1)), recurra.GlobalMaxPooling1D()):
        assert layer.compute_lengths(x, LENGTHS) is None


def test_cropping_in_a_chain_reads_its_own_number_of_steps():
    model = recurra.Sequential([recurra.UpSampling1D(2), recurra.Cropping1D((0, 3))])
    x = np.ones((N, T, 2), np.float32)
    assert model.compute_lengths(x, LENGTHS).tolist() == [7, 4, 6]


def test_flattening_in_a_chain_needs_no_sizes_beforehand():
    model = recurra.Sequential([recurra.GRU(4, return_sequences=True), recurra.Flatten(), recurra.Dense(2)])
    assert model(np.ones((N, T, 3), np.float32)).shape == (N, 2)
    assert model.parameters["dense.weight"].shape == (2, 4 * T)


def test_steps_that_do_not_count_are_zero_and_unread_by_a_wrapped_layer():
    layer, x = recurra.TimeDistributed(recurra.Dense(3, seed=1)), np.ones((N, T, 4), np.float32)
    whole = layer(x)
    x[1, 2:] = np.nan
    y = layer(x, lengths=LENGTHS)
    np.testing.assert_array_equal(y[1, :2], whole[1, :2])
    assert not y[1, 2:].any()
    assert layer(x, lengths=[0, 0, 0]).shape == (N, T, 3)


class Doubled(recurra.layers.Layer):
    def __call__(self, x):
        return 2 * x

    def vjp(self, x):
        return 2 * x, lambda dy, *, need_dx=True: 2 * dy


def test_a_layer_of_ones_own_may_be_wrapped_saved_and_sent(tmp_path):
    model = recurra.Sequential([recurra.TimeDistributed(Doubled()), recurra.GRU(2)])
    x = np.ones((N, T, 4), np.float32)
    y = model(x)
    model.save(tmp_path / "model.safetensors")
    loaded = recurra.load_model(tmp_path / "model.safetensors", custom_objects={"Doubled": Doubled})
    for copy in (loaded, pickle.loads(pickle.dumps(model)), model.clone()):
        np.testing.assert_array_equal(copy(x), y)


# Mistakes

X = np.ones((N, T, 4), np.float32)
MISTAKES = [
    (lambda: recurra.LayerNormalization(axis=1)(X), ValueError, "axis: expected the last axis, got 1; bring the axis"),
    (lambda: recurra.BatchNormalization(axis=0), ValueError, "axis: expected the last axis, -1, got 0"),
    (lambda: recurra.BatchNormalization(momentum=2), ValueError, "momentum: expected a number from 0 to 1, got 2"),
    (lambda: recurra.Add()([X, X[:, :3]]), ValueError, "x[1]: expected size 5 or 1 on axis 1, got 3; the inputs have"),
    (lambda: recurra.Add()(X), TypeError, "x: expected a list of arrays for 'add'"),
    (lambda: recurra.Add()([X, X.astype(np.float64)]), TypeError, "x[1]: expected float32, got float64"),
    (lambda: recurra.Subtract()([X, X, X]), ValueError, "x: expected 2 inputs, got 3"),
    (lambda: recurra.Add()([X, X], lengths=[5]), TypeError, "lengths: expected a list of 2, None for an input without"),
    (lambda: recurra.Add()([X, X], mask=X), ValueError, "mask: expected None where there are several inputs"),
    (lambda: recurra.Concatenate()([X, X[:, :3]]), ValueError, "x[1]: expected shape (3, 5, axis), got (3, 3, 4)"),
    (lambda: recurra.Concatenate(axis=0)([X, X]), ValueError, "axis: expected an axis from 1 to 2, or from -2 to -1"),
    (lambda: recurra.Dot(axes=(1, 2))([X, X]), ValueError, "x[1]: expected size 5 on axis 2, got 4; as x[0] has"),
    (lambda: recurra.Dot(axes=1)([X]), ValueError, "x: expected 2 inputs, got 1"),
    (lambda: recurra.Reshape((3, 3))(X), ValueError, "target_shape: expected a shape of 20 values, got (3, 3)"),
    (lambda: recurra.Reshape((-1, -1)), ValueError, "target_shape: expected at most one -1, got (-1, -1)"),
    (lambda: recurra.Permute((2, 2)), ValueError, "dims: expected each of the axes 1, 2, ... once, got (2, 2)"),
    (lambda: recurra.Permute((3, 2, 1))(X), ValueError, "input_shape: expected 4 axes for dims=(3, 2, 1), got"),
    (lambda: recurra.Cropping1D((3, 3))(X), ValueError, "cropping: expected at most 5 steps, got (3, 3)"),
    (lambda: recurra.ZeroPadding1D((1, 2, 3)), ValueError, "padding: expected an integer or a pair (start, end)"),
    (lambda: recurra.GlobalMaxPooling1D("channels_first"), ValueError, "data_format: expected 'channels_last', got"),
    (lambda: recurra.MaxPooling1D(padding="causal"), ValueError, "padding: expected one of 'valid', 'same', got 'caus"),
    (lambda: recurra.RepeatVector(3)(X), ValueError, "x: expected shape (batch, features), got (3, 5, 4)"),
    (lambda: recurra.TimeDistributed(3), TypeError, "layer: expected a Layer, got 3"),
    (lambda: recurra.TimeDistributed(recurra.Add()), ValueError, "layer: expected a layer of one input and one output"),
    (
        lambda: recurra.TimeDistributed(recurra.Dense(2))(X[:, 0]),
        ValueError,
        "input_shape: expected (batch, time, ...)",
    ),
    (lambda: recurra.Activation("swoosh"), ValueError, "activation: expected one of 'tanh', 'sigmoid'"),
    (lambda: recurra.LeakyReLU(-0.1), ValueError, "negative_slope: expected a number from 0, got -0.1"),
    (lambda: recurra.SpatialDropout1D(1.0), ValueError, "rate: expected a rate from 0 to below 1, got 1.0"),
    (lambda: recurra.Flatten()(X[:, 0], lengths=[1, 2, 3]), ValueError, "lengths: expected an input with a time axis"),
]


@pytest.mark.parametrize(
    ("call", "kind", "text"), MISTAKES, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_a_mistake_is_named(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(text)
