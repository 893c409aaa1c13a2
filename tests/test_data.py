"""Data sets: every sample once an epoch, in an order that seed and epoch decide; ragged sequences; windows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recurra
from recurra import data

FAST = settings(max_examples=40, deadline=None)


def numbered(count, batch_size=3, shuffle=True, seed=5):
    return data.ArrayDataset(np.arange(count), np.arange(count) * 10, batch_size=batch_size, shuffle=shuffle, seed=seed)


def seen(dataset):
    return np.concatenate([x for x, *_ in dataset])


# Every kind of data set, made anew with a seed, and what tells its samples apart.
SEQUENCES = [np.full((length, 2), number) for number, length in enumerate([3, 1, 7, 7, 2, 9, 4, 4, 8, 1, 6])]
SERIES = np.arange(40.0)[:, None]
KINDS = {
    "ArrayDataset": lambda seed: numbered(11, seed=seed),
    "BucketedDataset": lambda seed: data.BucketedDataset(SEQUENCES, np.arange(11), 3, seed=seed),
    "WindowedDataset": lambda seed: data.timeseries_dataset(SERIES, None, 5, batch_size=4, shuffle=True, seed=seed),
    "StreamDataset": lambda seed: data.stream_dataset(SERIES, 3, 4),
    "ManyStreamsDataset": lambda seed: data.stream_dataset(SEQUENCES, 3, 4, SEQUENCES, shuffle=True, seed=seed),
    "Prefetch": lambda seed: data.Prefetch(numbered(11, seed=seed)),
}
UNSHUFFLED = {"StreamDataset"}


def flat(batches):
    """Everything in some batches as one list of bytes, to compare."""
    found = []

    def walk(value):
        if isinstance(value, tuple | list):
            for part in value:
                walk(part)
        else:
            found.append((value.shape, np.ascontiguousarray(value).tobytes()))

    walk(list(batches))
    return found


def test_every_data_set_is_among_the_kinds_tested():
    made = {name for name in data.__all__ if isinstance(getattr(data, name), type)}
    made = {name for name in made if issubclass(getattr(data, name), data.Dataset)}
    assert made - {"Dataset", "IndexedDataset"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_is_a_function_of_seed_and_epoch(kind):
    once, again, other = KINDS[kind](1), KINDS[kind](1), KINDS[kind](2)
    first = flat(once)
    assert flat(once) == first  # reading changes nothing
    once.on_epoch_end()
    second = flat(once)
    again.set_epoch(1)
    assert flat(again) == second
    again.set_epoch(0)
    assert flat(reversed([again[i] for i in reversed(range(len(again)))])) == first
    if kind not in UNSHUFFLED:
        assert second != first
        assert flat(other) != first


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_numbered_as_in_a_list(kind):
    dataset = KINDS[kind](1)
    assert dataset.num_batches == len(dataset) == len(list(dataset))
    assert flat([dataset[-1]]) == flat([dataset[len(dataset) - 1]])
    with pytest.raises(IndexError, match=r"index: expected a batch from 0 to"):
        dataset[len(dataset)]


@FAST
@given(st.integers(1, 40), st.integers(1, 50), st.booleans(), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_every_sample_comes_once_an_epoch(count, batch_size, shuffle, seed, epoch):
    dataset = numbered(count, batch_size, shuffle, seed)
    dataset.set_epoch(epoch)
    order = seen(dataset)
    assert sorted(order.tolist()) == list(range(count))
    assert all(np.array_equal(y, 10 * x) for x, y in dataset)
    assert [len(x) for x, _ in dataset][:-1] == [min(batch_size, count)] * (len(dataset) - 1)


def test_without_a_seed_the_order_comes_from_the_global_seed():
    recurra.set_random_seed(3)
    first = seen(numbered(50, seed=None))
    assert not np.array_equal(first, seen(numbered(50, seed=None)))
    recurra.set_random_seed(3)
    assert np.array_equal(first, seen(numbered(50, seed=None)))


def test_several_inputs_lengths_and_weights_stay_together():
    a, b, lengths = np.arange(7), np.arange(7) + 0.5, np.arange(7) % 3
    for x in ([a, b], {"a": a, "b": b}):
        for inputs, y, weight in data.ArrayDataset(x, a, b, batch_size=3, shuffle=True, seed=1):
            first, second = inputs.values() if isinstance(inputs, dict) else inputs
            assert np.array_equal(first, y)
            assert np.array_equal(first + 0.5, second)
            assert np.array_equal(second, weight)
    wide = np.repeat(a[:, None], 4, axis=1)
    for ((array, steps),) in data.ArrayDataset(wide, lengths=lengths, batch_size=2, shuffle=True, seed=1):
        assert np.array_equal(array[:, 0] % 3, steps)


# Padding


@FAST
@given(st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1, max_size=8), st.integers(-3, 3))
def test_pad_keeps_every_sequence_and_its_length(sequences, value):
    array, lengths = data.pad(sequences, value=value)
    assert array.shape == (len(sequences), max(map(len, sequences)))
    assert [row[:length].tolist() for row, length in zip(array, lengths, strict=True)] == sequences
    assert all((row[length:] == value).all() for row, length in zip(array, lengths, strict=True))


def test_pad_keeps_types_and_the_shape_of_steps():
    array, lengths = data.pad([np.ones((2, 3), np.float32), np.ones((4, 3), np.float32), []])
    assert (array.shape, array.dtype, lengths.tolist()) == ((3, 4, 3), np.float32, [2, 4, 0])
    assert data.pad([[1, 2], []])[0].dtype == np.int64


def pad_naively(sequences, maxlen, padding, truncating, value):
    most = max(map(len, sequences)) if maxlen is None else maxlen
    rows = []
    for row in sequences:
        kept = list(row)
        while len(kept) > most:
            del kept[0 if truncating == "pre" else -1]
        while len(kept) < most:
            kept.insert(0 if padding == "pre" else len(kept), value)
        rows.append(kept)
    return rows


@FAST
@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=5),
    st.none() | st.integers(0, 7),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
)
def test_pad_sequences_pads_and_truncates_where_it_is_told(sequences, maxlen, padding, truncating):
    array = data.pad_sequences(sequences, maxlen, padding=padding, truncating=truncating, value=-1)
    assert array.dtype == np.int32
    assert array.tolist() == pad_naively(sequences, maxlen, padding, truncating, -1)


# Buckets


def share_of_sorted(lengths, batch_size):
    """Padding of batches of sorted sequences."""
    ordered, padded = sorted(lengths), 0
    for start in range(0, len(ordered), batch_size):
        part = ordered[start : start + batch_size]
        padded += len(part) * part[-1]
    return 1 - sum(ordered) / padded if padded else 0.0


@FAST
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=80),
    st.integers(1, 9),
    st.integers(0, 2**32),
    st.integers(0, 9),
    st.booleans(),
)
def test_buckets_hold_every_sequence_once_and_pad_five_percent_more_than_sorting(lengths, size, seed, epoch, shuffle):
    sequences = [np.full(length, number) for number, length in enumerate(lengths)]
    dataset = data.BucketedDataset(sequences, np.arange(len(lengths)), size, shuffle=shuffle, seed=seed, value=-1)
    dataset.set_epoch(epoch)
    numbers, padded = [], 0
    for (x, steps), y in dataset:
        numbers += y.tolist()
        padded += x.size
        assert x.shape == (len(y), max(steps))
        for row, length, number in zip(x, steps, y, strict=True):
            assert length == lengths[number]
            assert (row[:length] == number).all()
            assert (row[length:] == -1).all()
    assert sorted(numbers) == list(range(len(lengths)))
    share = 1 - sum(lengths) / padded if padded else 0.0
    assert dataset.padding_share == pytest.approx(share, abs=1e-12)
    least = share_of_sorted(lengths, size)
    assert share <= least + 0.05 * (1 - least) + 1e-12


@pytest.mark.parametrize(("spread", "count"), [("uniform", 2000), ("lognormal", 10_000)])
def test_little_is_padded_and_batches_differ_between_epochs(spread, count):
    random = np.random.default_rng(1)
    draw = random.uniform(20, 200, count) if spread == "uniform" else random.lognormal(4, 0.6, count)
    dataset = data.BucketedDataset([np.zeros(int(length) + 1) for length in draw], np.arange(count), 32, seed=1)
    first = [frozenset(y.tolist()) for _, y in dataset]
    assert dataset.padding_share < 0.04
    dataset.on_epoch_end()
    assert dataset.padding_share < 0.04
    second = [frozenset(y.tolist()) for _, y in dataset]
    assert len(set(first) & set(second)) < len(first) / 10
    steps = [x.shape[1] for (x, _), _ in dataset]
    assert np.corrcoef(steps, np.arange(len(steps)))[0, 1] ** 2 < 0.25  # batches come in no order of length


def test_targets_of_each_step_are_padded_with_the_sequences():
    targets = [np.arange(len(s)) for s in SEQUENCES]
    weights = np.arange(11.0)
    for (x, lengths), y, weight in data.BucketedDataset(SEQUENCES, targets, 4, sample_weight=weights, seed=1):
        assert y.shape == x.shape[:2]
        for row, length in zip(y, lengths, strict=True):
            assert row.tolist() == [*range(length), *[0] * (len(row) - length)]
        assert np.array_equal(x[:, 0, 0], weight)


def test_boundaries_of_ones_own_decide_what_mixes():
    lengths = [1, 2, 3, 4] * 6
    sequences = [np.zeros(length) for length in lengths]
    dataset = data.BucketedDataset(sequences, np.array(lengths), 12, bucket_boundaries=[3], seed=2)
    assert sorted(sorted(set(y.tolist())) for _, y in dataset) == [[1, 2], [3, 4]]


# Windows


def windows_naively(series, targets, length, stride, rate, start, end):
    """Keras's documented meaning, window by window."""
    start, end = start or 0, len(series) if end is None else end
    xs, ys = [], []
    first = start
    while first + (length - 1) * rate < end and (targets is None or first < len(targets)):
        xs.append([series[first + k * rate] for k in range(length)])
        ys.append(None if targets is None else targets[first])
        first += stride
    return xs, ys


@FAST
@given(
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 7),
    st.booleans(),
    st.data(),
)
def test_windows_equal_naive_slicing(steps, length, stride, rate, batch_size, shuffle, draw):
    start = draw.draw(st.none() | st.integers(0, steps - 1))
    end = draw.draw(st.none() | st.integers((start or 0) + 1, steps))
    count = draw.draw(st.none() | st.integers((start or 0) + 1, steps))
    series = np.arange(2 * steps).reshape(steps, 2)
    targets = None if count is None else np.arange(count) + 0.5
    xs, ys = windows_naively(series, targets, length, stride, rate, start, end)

    def make():
        return data.timeseries_dataset(
            series, targets, length, stride, rate, batch_size, shuffle, 1, start_index=start, end_index=end
        )

    if not xs:
        with pytest.raises(ValueError, match=r"data: expected at least"):
            make()
        return
    batches = [batch if targets is not None else (batch, None) for batch in make()]
    x = np.concatenate([x for x, _ in batches])
    order = np.argsort(x[:, 0, 0], kind="stable")
    assert all(len(batch) == batch_size for batch, _ in batches[:-1])
    assert np.array_equal(x[order], np.array(xs))
    assert shuffle or np.array_equal(order, np.arange(len(order)))
    if targets is not None:
        assert np.array_equal(np.concatenate([y for _, y in batches])[order], np.array(ys))


def test_windows_in_order_are_views_and_shuffled_ones_contiguous_copies():
    x, y = data.timeseries_dataset(SERIES, SERIES, 5, batch_size=8)[0]
    assert np.shares_memory(x, SERIES)
    assert np.shares_memory(y, SERIES)
    wide = np.asfortranarray(np.hstack([SERIES] * 3))  # as frames of pandas are
    x, y = data.timeseries_dataset(wide, wide, 5, batch_size=8, shuffle=True, seed=1)[0]
    assert not np.shares_memory(x, wide)
    assert x.flags.c_contiguous


@pytest.mark.parametrize("shuffle", [False, True])
def test_of_a_memory_map_only_the_batch_is_read(tmp_path, shuffle):
    """The windows of the whole series would take 100 times its 8 MB; a batch's take 0.3 MB."""
    steps, length, batch_size = 1_000_000, 100, 384
    series = np.memmap(tmp_path / "series", np.float64, "w+", shape=(steps, 1))
    series[:, 0] = np.arange(steps)
    dataset = data.timeseries_dataset(series, series, length, 50, batch_size=batch_size, shuffle=shuffle, seed=1)
    dataset.order()  # 8 bytes for each window, once an epoch
    tracemalloc.start()
    try:
        for number in (0, 20, len(dataset) - 1):
            x, y = dataset[number]
            assert np.array_equal(x[:, :, 0], y + np.arange(length))
            del x, y
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * batch_size * length * 8


def test_an_array_data_set_gathers_the_rows_of_a_batch_alone(tmp_path):
    array = np.memmap(tmp_path / "array", np.float32, "w+", shape=(20_000, 100))
    dataset = data.ArrayDataset(array, array, batch_size=10, shuffle=True, seed=1)
    dataset.order()
    tracemalloc.start()
    try:
        x, y = dataset[3]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert x.shape == y.shape == (10, 100)
    assert peak < 50_000


@FAST
@given(st.integers(2, 30), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_multi_step_targets_follow_their_windows(steps, length, horizon, rate):
    series = np.arange(steps)
    if steps < (length + horizon - 1) * rate + 1:
        with pytest.raises(ValueError, match=r"series: expected at least"):
            data.multi_step_targets(series, length, horizon, rate)
        return
    targets = data.multi_step_targets(series, length, horizon, rate)
    assert np.shares_memory(targets, series)
    for x, y in data.timeseries_dataset(series, targets, length, sampling_rate=rate, batch_size=4):
        joined = np.concatenate([x, y], axis=1)
        assert np.array_equal(joined, joined[:, :1] + rate * np.arange(length + horizon))
    assert len(targets) == steps - (length + horizon - 1) * rate


def test_a_series_is_split_in_time():
    a, b = np.arange(10), np.arange(20).reshape(10, 2)
    parts = data.split_series(a, b, test_size=0.25)
    assert [len(part) for part in parts] == [7, 3, 7, 3]
    assert np.array_equal(np.concatenate(parts[2:]), b)
    assert [len(part) for part in data.split_series(a, test_size=4)] == [6, 4]
