"""Streams for truncated backpropagation: batch i + 1 continues batch i, and resets say where that is not so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import data

FAST = settings(max_examples=40, deadline=None)


def followed(dataset, rows):
    """What each row read between two resets: lists of inputs and targets, series by series."""
    read = [[] for _ in range(rows)]
    for number, (x, y) in enumerate(dataset):
        x, lengths = x if isinstance(x, tuple) else (x, np.full(len(x), x.shape[1]))
        assert len(x) == len(y) == rows
        for row, (fresh, length) in enumerate(zip(dataset.resets(number), lengths, strict=True)):
            if fresh:
                read[row].append(([], []))
            read[row][-1][0].extend(x[row, :length].tolist())
            read[row][-1][1].extend(y[row, :length].tolist())
    return [part for row in read for part in row if part[0]]


@FAST
@given(st.integers(2, 60), st.integers(1, 6), st.integers(1, 9), st.booleans())
def test_rows_of_one_series_continue_and_cover_it(steps, rows, stretch, given_targets):
    series = np.arange(steps)
    targets = series * 3 if given_targets else None
    usable = steps if given_targets else steps - 1
    if usable < rows:
        with pytest.raises(ValueError, match=r"series: expected at least"):
            data.stream_dataset(series, rows, stretch, targets)
        return
    dataset = data.stream_dataset(series, rows, stretch, targets)
    read = followed(dataset, rows)
    assert len(read) == rows
    assert [value for x, _ in read for value in x] == list(range(usable // rows * rows))
    for x, y in read:
        assert y == [value * 3 if given_targets else value + 1 for value in x]
    assert all(x.shape[1] == stretch for x, _ in list(dataset)[:-1])


def test_a_series_with_features_is_not_copied():
    series = np.arange(80.0).reshape(40, 2)
    x, y = data.stream_dataset(series, 3, 5)[1]
    assert x.shape == y.shape == (3, 5, 2)
    assert np.shares_memory(x, series)
    assert np.shares_memory(y, series)
    assert np.array_equal(x[1], series[18:23])  # row 1 begins at step 13


@FAST
@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 5),
)
def test_each_of_many_series_is_read_once_by_one_row(lengths, rows, stretch, shuffle, epoch):
    series = [1000 * number + np.arange(length) for number, length in enumerate(lengths)]
    dataset = data.stream_dataset(series, rows, stretch, shuffle=shuffle, seed=4)
    dataset.set_epoch(epoch)
    read = followed(dataset, rows)
    assert sorted(x for x, _ in read) == sorted(values[:-1].tolist() for values in series)
    assert all(y == [value + 1 for value in x] for x, y in read)


def test_rows_are_filled_evenly():
    random = np.random.default_rng(2)
    series = [np.zeros(length) for length in random.integers(50, 500, 60)]
    dataset = data.stream_dataset(series, 4, 10, series)
    stretches = sum(-(-len(values) // 10) for values in series)
    assert len(dataset) <= 1.02 * stretches / 4 + 1


def test_padding_of_many_series_ends_with_the_longest_stretch():
    (x, lengths), y = data.stream_dataset([np.arange(4), np.arange(3)], 3, 10)[0]
    assert x.tolist() == [[0, 1, 2], [0, 1, 0], [0, 0, 0]]
    assert y.tolist() == [[1, 2, 3], [1, 2, 0], [0, 0, 0]]
    assert lengths.tolist() == [3, 2, 0]
