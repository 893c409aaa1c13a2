"""Models train on every kind of data set: the batches, their order and the carried states are what they should be."""

import threading

import numpy as np
import pytest

import recurra
from recurra import data

SERIES = np.sin(np.arange(120.0) * 0.3)[:, None]
MANY = [SERIES[:31], SERIES[:50], SERIES[20:42]]


def model(return_sequences=False, dtype="float32"):
    made = recurra.Sequential(
        [recurra.LSTM(4, return_sequences=return_sequences, seed=1, dtype=dtype), recurra.Dense(1, seed=2, dtype=dtype)]
    )
    made.compile("sgd", "mse")
    return made


def bucketed():
    return data.BucketedDataset([SERIES[:k] for k in range(3, 40)], np.arange(37.0)[:, None] / 37, 8, seed=1)


# A data set, and whether the model returns sequences for it.
KINDS = {
    "arrays": lambda: (data.ArrayDataset(SERIES.reshape(6, 20, 1), np.ones((6, 1)), batch_size=4, seed=3), False),
    "windows": lambda: (
        data.timeseries_dataset(SERIES[:-10], SERIES[10:], 10, batch_size=16, shuffle=True, seed=1),
        False,
    ),
    "buckets": lambda: (bucketed(), False),
    "stream": lambda: (data.stream_dataset(SERIES, 3, 7), True),
    "many streams": lambda: (data.stream_dataset(MANY, 2, 7, shuffle=True, seed=1), True),
    "prefetched": lambda: (data.Prefetch(bucketed()), False),
    "prefetched stream": lambda: (data.Prefetch(data.stream_dataset(SERIES, 3, 7)), True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_fit_equals_one_run_bit_for_bit(kind):
    dataset, sequences = KINDS[kind]()
    whole, parts = model(sequences), model(sequences)
    losses = whole.fit(dataset, epochs=4, verbose=0).history["loss"]
    first = parts.fit(KINDS[kind]()[0], epochs=2, verbose=0).history["loss"]
    second = parts.fit(KINDS[kind]()[0], epochs=4, initial_epoch=2, verbose=0).history["loss"]
    assert first + second == losses
    assert losses[-1] < losses[0]
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True))
    assert not [thread for thread in threading.enumerate() if thread.name == "recurra-prefetch"]


@pytest.mark.parametrize("prefetched", [False, True])
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_stretches_of_a_stream_give_the_loss_of_whole_rows(steps, prefetched):
    """119 steps in 3 rows of 39. float64, relative difference at most 1e-12."""
    made = model(True, "float64")
    rows = data.stream_dataset(SERIES, 3, 1000)[0]
    expected = made.evaluate(*rows, verbose=0)
    stream = data.stream_dataset(SERIES, 3, steps)
    stream = data.Prefetch(stream) if prefetched else stream
    assert made.evaluate(stream, verbose=0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_stretches_of_many_series_give_the_loss_of_each_from_its_beginning(steps):
    """float64, relative difference at most 1e-12."""
    made = model(True, "float64")
    x, lengths = data.pad([series[:-1] for series in MANY])
    y, _ = data.pad([series[1:] for series in MANY])
    expected = made.evaluate(x, y, lengths=lengths, verbose=0)
    assert made.evaluate(data.stream_dataset(MANY, 2, steps), verbose=0) == pytest.approx(expected, rel=1e-12)


def test_buckets_give_the_loss_of_the_sequences_one_by_one():
    """float64, relative difference at most 1e-12."""
    made = model(dtype="float64")
    dataset = bucketed()
    losses = [
        made.evaluate(sequence[None], dataset.y[number : number + 1], verbose=0)
        for number, sequence in enumerate(dataset.sequences)
    ]
    assert made.evaluate(dataset, verbose=0) == pytest.approx(np.mean(losses), rel=1e-12)


def test_fit_takes_frames_tensors_and_ragged_lists_as_they_are():
    frame = {"who": [1, 1, 2, 1], "value": [0.5, 1.0, 2.0, 1.5], "label": [0.0, 0.0, 1.0, 0.0]}
    x, y = data.from_frame(frame, "value", "label", group_by="who")
    made = model()
    assert len(made.fit(x, [t[-1:] for t in y], epochs=1, verbose=0).history["loss"]) == 1
    pandas = pytest.importorskip("pandas")
    made = recurra.Sequential([recurra.Dense(1)])
    made.compile("sgd", "mse")
    made.fit(pandas.DataFrame(frame)[["value", "who"]], pandas.DataFrame(frame)[["label"]], epochs=1, verbose=0)
