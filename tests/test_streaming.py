"""Streams: the outputs and states of the whole sequence, bit for bit, one step at a time."""

import threading

import numpy as np
import pytest

import recurra
from recurra import _core

LAYERS = {
    "rnn": lambda: recurra.RNN(20, return_sequences=True),
    "lstm": lambda: recurra.LSTM(20, return_sequences=True),
    "gru": lambda: recurra.GRU(33, return_sequences=True),
    "gru, reset before": lambda: recurra.GRU(20, reset_after=False, return_sequences=True),
    "wide lstm": lambda: recurra.LSTM(260, return_sequences=True),
    "two layers": lambda: recurra.LSTM(20, num_layers=2, return_sequences=True),
    "projection": lambda: recurra.LSTM(20, proj_size=7, return_sequences=True),
    "peepholes, layer norm": lambda: recurra.LSTM(20, use_peepholes=True, layer_norm=True, return_sequences=True),
    "zoneout": lambda: recurra.LSTM(20, zoneout=(0.1, 0.2), return_sequences=True),
    "learned state": lambda: recurra.LSTM(20, trainable_initial_state=True, return_sequences=True),
    "float64": lambda: recurra.LSTM(20, dtype="float64", return_sequences=True),
}


def built(layer, features=6):
    layer.build((None, None, features))
    layer.flat_parameters[...] = np.random.default_rng(1).standard_normal(layer.size) * 0.3
    return layer


def inputs(layer, batch=3, time=7, features=6):
    return np.random.default_rng(2).standard_normal((batch, time, features)).astype(layer.dtype)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_steps_give_the_bits_of_the_sequence(name, batch, threads):
    layer = built(LAYERS[name]())
    before = recurra.get_num_threads()
    recurra.set_num_threads(threads)
    try:
        x = inputs(layer, batch)
        expected = layer(x)
        stream = layer.stream(batch)
        for t in range(x.shape[1]):
            np.testing.assert_array_equal(stream.step(np.ascontiguousarray(x[:, t])), expected[:, t])
    finally:
        recurra.set_num_threads(before)


def test_a_model_streams_through_all_its_layers():
    model = recurra.Sequential(
        [recurra.GRU(8, return_sequences=True), recurra.Dropout(0.5), recurra.LSTM(9), recurra.Dense(2, "sigmoid")]
    )
    built(model)
    x = inputs(model)
    stream, out = model.stream(3), np.empty((3, 2), np.float32)
    for t in range(x.shape[1]):
        assert stream.step(x[:, t], out) is out
    np.testing.assert_array_equal(out, model(x))
    assert [state.shape for state in stream.get_state()] == [(3, 8), (3, 9), (3, 9)]


def test_the_states_are_those_that_the_layer_returns_and_takes():
    layer = built(recurra.LSTM(20, num_layers=2, return_state=True))
    x = inputs(layer)
    _, *expected = layer(x)
    stream = layer.stream(3)
    for t in range(4):
        stream.step(x[:, t])
    other = layer.stream(3)
    other.set_state(stream.get_state())
    for t in range(4, 7):
        other.step(x[:, t])
    for state, wanted in zip(other.get_state(), expected, strict=True):
        np.testing.assert_array_equal(state, wanted)


def test_reset_starts_anew_all_rows_or_some():
    layer = built(LAYERS["learned state"]())
    x = inputs(layer)[:, 0]
    stream = layer.stream(3)
    first = stream.step(x)
    second = stream.step(x)
    assert not np.array_equal(first, second)
    stream.reset([0, 2])
    mixed = stream.step(x)
    np.testing.assert_array_equal(mixed[[0, 2]], first[[0, 2]])
    assert not np.array_equal(mixed[1], first[1])
    stream.reset()
    np.testing.assert_array_equal(stream.step(x), first)


def test_a_stream_keeps_the_weights_it_was_made_with():
    layer = built(LAYERS["lstm"]())
    x = inputs(layer)[:, 0]
    stream, expected = layer.stream(3), layer.stream(3).step(x)
    layer.flat_parameters.fill(0)
    np.testing.assert_array_equal(stream.step(x), expected)
    assert not layer.stream(3).step(x).any()


def test_the_other_layers_of_a_model_keep_their_weights_too():
    model = built(recurra.Sequential([recurra.LSTM(9, return_sequences=True), recurra.Dense(2)]))
    x = inputs(model)[:, 0]
    stream, expected = model.stream(3), model.stream(3).step(x)
    model.flat_parameters.fill(0)
    np.testing.assert_array_equal(stream.step(x), expected)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: built(recurra.LSTM(4, bidirectional=True)),
            "layer: expected one that runs forward in time, got 'lstm'",
        ),
        (
            lambda: built(recurra.LSTM(4, go_backwards=True)),
            "layer: expected one that runs forward in time, got 'lstm'",
        ),
        (lambda: recurra.LSTM(4), "built"),
    ],
)
def test_a_layer_that_cannot_stream_is_refused_by_name(layer, message):
    with pytest.raises(ValueError, match=message):
        layer().stream()


@pytest.mark.parametrize(
    ("x", "out", "kind", "message"),
    [
        (np.zeros((3, 5), np.float32), None, ValueError, r"x: expected shape \(3, 6\), got \(3, 5\)"),
        (np.zeros((3, 6)), None, TypeError, "x: expected float32, got float64"),
        ([[0.0] * 6] * 3, None, TypeError, "x: expected a NumPy array, got list"),
        (np.zeros((3, 6), np.float32), np.zeros((3, 19), np.float32), ValueError, r"out: expected shape \(3, 20\)"),
        (np.zeros((3, 6), np.float32), np.zeros((20, 3), np.float32).T, ValueError, "out: expected a C-contiguous"),
    ],
)
def test_bad_arrays_are_refused_and_change_nothing(x, out, kind, message):
    layer = built(LAYERS["lstm"]())
    stream = layer.stream(3)
    stream.step(inputs(layer)[:, 0])
    before = stream.get_state()
    with pytest.raises(kind, match=message):
        stream.step(x, out)
    for state, wanted in zip(stream.get_state(), before, strict=True):
        np.testing.assert_array_equal(state, wanted)


def test_an_output_over_the_input_is_refused():
    layer = built(recurra.RNN(6))
    x = inputs(layer)[:, 0].copy()
    with pytest.raises(ValueError, match="out: expected memory apart from x"):
        layer.stream(3).step(x, x)


def test_states_that_do_not_fit_are_refused_and_change_nothing():
    stream = built(LAYERS["lstm"]()).stream(3)
    stream.step(np.ones((3, 6), np.float32))
    before = stream.get_state()
    with pytest.raises(ValueError, match=r"states: expected 2 arrays, got 1; as get_state returns them"):
        stream.set_state(before[:1])
    with pytest.raises(ValueError, match=r"states\[1\]: expected shape"):
        stream.set_state([np.zeros((3, 20), np.float32), np.zeros((3, 21), np.float32)])
    np.testing.assert_array_equal(stream.get_state(), before)


def test_strided_steps_are_read_as_they_are():
    layer = built(LAYERS["gru"]())
    x = np.asfortranarray(inputs(layer)[:, 0])
    np.testing.assert_array_equal(layer.stream(3).step(x), layer.stream(3).step(np.ascontiguousarray(x)))


def test_two_threads_never_share_a_step():
    layer = built(recurra.LSTM(1024))  # its step lasts long enough for the others to come
    stream, x = layer.stream(1), np.ones((1, 6), np.float32)
    refused = []

    def feed():
        for _ in range(50):
            try:
                stream.step(x)
            except ValueError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert all("stream: expected one thread at a time" in text for text in refused)
    assert np.isfinite(stream.get_state()[0]).all()


def test_the_engine_refuses_what_python_refuses():
    layer = built(recurra.LSTM(4, bidirectional=True))
    with pytest.raises(ValueError, match="stream: expected a layer that runs forward in time"):
        _core.Stream(layer._engine, layer._engine_weights, 1)
    layer = built(recurra.LSTM(4))
    with pytest.raises(ValueError, match="batch_size: expected an integer from 1, got 0"):
        _core.Stream(layer._engine, layer._engine_weights, 0)
