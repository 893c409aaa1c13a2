"""Convolution over time, against its formula in plain loops and finite differences."""

import itertools

import numpy as np
import pytest

import recurra
from recurra import _core

RNG = np.random.default_rng(20264)

# strides, padding, dilation, groups, kernel
CASES = [
    case
    for case in itertools.product((1, 2, 3), ("valid", "same", "causal"), (1, 3), (1, 2), (1, 2, 5))
    if case[0] == 1 or case[2] == 1
]


def layer_of(case, **more):
    strides, padding, dilation, groups, kernel = case
    return recurra.Conv1D(4, kernel, strides, padding, dilation_rate=dilation, groups=groups, dtype="float64", **more)


def formula(x, weight, bias, strides, padding, dilation, groups):
    """The convolution as its definition reads, one product at a time."""
    batch, time, _ = x.shape
    filters, width, kernel = weight.shape
    span = (kernel - 1) * dilation + 1
    if padding == "valid":
        outputs, left = (time - span) // strides + 1, 0
    else:
        outputs = -(-time // strides)
        left = span - 1 if padding == "causal" else max(0, (outputs - 1) * strides + span - time) // 2
    y = np.zeros((batch, outputs, filters)) + bias
    for t, k, f in itertools.product(range(outputs), range(kernel), range(filters)):
        step = t * strides + k * dilation - left
        first = f // (filters // groups) * width
        if 0 <= step < time:
            y[:, t, f] += x[:, step, first : first + width] @ weight[f, :, k]
    return y


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_convolution_is_its_formula(case):
    strides, padding, dilation, groups, _ = case
    for time in (13, 14):
        layer, x = layer_of(case, bias_initializer="he_normal"), RNG.standard_normal((3, time, 6))
        y = layer(x)
        weight, bias = layer.parameters["weight"], layer.parameters["bias"]
        np.testing.assert_allclose(y, formula(x, weight, bias, strides, padding, dilation, groups), atol=1e-12)
        assert y.shape == layer.compute_output_shape(x.shape)
        assert y.flags.c_contiguous


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_a_convolution_are_right_with_and_without_lengths(case):
    layer, x = layer_of(case, activation="tanh"), RNG.standard_normal((3, 14, 6))
    for lengths in (None, [14, 6, 0]):
        result = recurra.gradcheck(layer, x, lengths=lengths, max_elements=8)
        assert result.passed, str(result)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_padding_holds_changes_neither_outputs_nor_gradients(case):
    layer, x, lengths = layer_of(case), RNG.standard_normal((3, 14, 6)), np.array([14, 6, 0])
    layer.ensure_built(x.shape)
    found = []
    for filler in (0.0, np.nan):
        x[np.arange(14) >= lengths[:, None]] = filler
        y, pullback = layer.vjp(x, lengths=lengths)
        layer.zero_gradients()
        dx = pullback(np.cos(np.arange(y.size)).reshape(y.shape))
        found.append((y, dx, layer.flat_gradients.copy()))
        assert not dx[np.arange(14) >= lengths[:, None]].any()
    for with_zeros, with_nan in zip(*found, strict=True):
        np.testing.assert_array_equal(with_zeros, with_nan)


@pytest.mark.parametrize("case", [case for case in CASES if case[1] != "same" or case[0] == 1], ids=str)
def test_a_padded_sample_gets_the_outputs_that_it_gets_alone(case):
    layer, x = layer_of(case), RNG.standard_normal((2, 16, 6))
    short = 13
    y = layer(x, lengths=[16, short])
    counted = layer.compute_lengths(x, np.array([16, short]))
    alone = layer(np.ascontiguousarray(x[1:, :short]))
    assert alone.shape[1] == counted[1]
    np.testing.assert_allclose(y[1, : counted[1]], alone[0], atol=1e-13)
    assert not y[1, counted[1] :].any()


def test_samples_shorter_than_a_valid_filter_have_no_outputs():
    layer = recurra.Conv1D(2, 3)
    assert layer.compute_lengths(None, np.array([5, 2, 1, 0])).tolist() == [3, 0, 0, 0]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (4, 1), (3, 2)])
def test_a_causal_convolution_streams_bit_for_bit(kernel, dilation, groups):
    layer = recurra.Conv1D(8, kernel, padding="causal", dilation_rate=dilation, groups=groups, activation="relu")
    model = recurra.Sequential([layer, recurra.LSTM(5, return_sequences=True)])
    x = RNG.standard_normal((3, 9, 6)).astype(np.float32)
    expected, convolved = model(x), layer(x)
    stream, alone, out = model.stream(3), layer.stream(3), np.empty((3, 8), np.float32)
    for t in range(4):
        np.testing.assert_array_equal(stream.step(x[:, t]), expected[:, t])
        assert alone.step(x[:, t], out) is out
        np.testing.assert_array_equal(out, convolved[:, t])
    states = stream.get_state()
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), expected[:, 0])
    stream.set_state(states)
    np.testing.assert_array_equal(stream.step(x[:, 4]), expected[:, 4])


def test_the_product_reads_overlapping_rows_where_they_lie():
    flat = RNG.standard_normal(40).astype(np.float32)
    rows = np.lib.stride_tricks.sliding_window_view(flat, 6)[::2]
    weight = RNG.standard_normal((5, 6)).astype(np.float32)
    np.testing.assert_array_equal(_core.linear(weight, None, rows), _core.linear(weight, None, rows.copy()))
    for odd in (rows[::-1], np.asfortranarray(rows), rows[:, ::-1], np.broadcast_to(rows[:1], rows.shape)):
        np.testing.assert_array_equal(_core.linear(weight, None, odd), _core.linear(weight, None, odd.copy()))
        grads = [np.zeros_like(weight) for _ in range(2)]
        dy = np.ones((len(rows), 5), np.float32)
        for x, grad in zip((odd, odd.copy()), grads, strict=True):
            _core.linear_backward(weight, x, dy, grad, None)
        np.testing.assert_array_equal(*grads)


def test_a_convolution_trains_in_a_model_with_lengths():
    model = recurra.Sequential(
        [recurra.Conv1D(8, 3, strides=2, padding="same", activation="relu"), recurra.GRU(4), recurra.Dense(1)]
    )
    model.compile(recurra.optimizers.Adam(0.01), "mse")
    x, lengths = RNG.standard_normal((16, 12, 3)), RNG.integers(1, 13, 16)
    y = np.array([row[:n].mean() for row, n in zip(x, lengths, strict=True)])[:, None]
    losses = model.fit(x, y, lengths=lengths, epochs=60, batch_size=8, verbose=0, seed=1).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_initial_weights_count_the_kernel_among_inputs_and_outputs():
    layer = recurra.Conv1D(30, 5, seed=3)
    layer.build((None, None, 20))
    limit = np.sqrt(6 / (20 * 5 + 30 * 5))
    most = np.abs(layer.parameters["weight"]).max()
    assert 0.98 * limit < most <= limit


def test_regularizers_and_constraints_reach_the_weights():
    convolution = recurra.Conv1D(4, 3, kernel_regularizer="l2", bias_constraint="non_neg", bias_initializer="ones")
    model = recurra.Sequential([convolution, recurra.GRU(2)])
    model.compile("adam", "mse")
    x = RNG.standard_normal((4, 6, 3))
    y = model.predict(x)
    penalty = 0.01 * float((convolution.parameters["weight"] ** 2).sum())
    assert model.evaluate(x, y, verbose=0) == pytest.approx(penalty, rel=1e-5)
    convolution.parameters["bias"][...] = -1.0
    model.fit(x, y, verbose=0)
    assert (convolution.parameters["bias"] >= 0).all()


MISTAKES = [
    (lambda: recurra.Conv1D(0, 3), "filters: expected an integer from 1"),
    (lambda: recurra.Conv1D(4, (3, 3)), "kernel_size: expected an integer, got (3, 3)"),
    (lambda: recurra.Conv1D(4, 3, padding="full"), "padding: expected one of 'valid', 'same', 'causal', got 'full'"),
    (lambda: recurra.Conv1D(4, 3, data_format="channels_first"), "data_format: expected one of 'channels_last'"),
    (lambda: recurra.Conv1D(4, 3, groups=3), "groups: expected a divisor of the 4 filters, got 3"),
    (lambda: recurra.Conv1D(4, 3, 2, dilation_rate=2), "dilation_rate: expected 1 with strides above 1, got 2"),
    (lambda: recurra.Conv1D(4, 3, groups=2).build((None, None, 3)), "input_shape: expected features that 2 groups"),
    (lambda: recurra.Conv1D(4, 3)(np.ones((1, 2, 3), np.float32)), "x: expected at least 3 time steps, as the filter"),
    (
        lambda: recurra.Sequential([recurra.Conv1D(4, 3)]).predict(np.ones((1, 2, 3))),
        "x: expected at least 3 time steps",
    ),
    (lambda: causal(strides=2).stream(), "layer: expected one that can run step by step, got 'conv1d'; padding="),
    (lambda: causal().stream().step(np.ones((2, 3), np.float32)), "x: expected shape (1, 3), got (2, 3)"),
]


def causal(**options):
    layer = recurra.Conv1D(4, 3, padding="causal", **options)
    layer.build((None, None, 3))
    return layer


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_is_explained(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(message)
