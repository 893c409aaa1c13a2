"""What other libraries hold becomes arrays, without a copy where there is a way; frames become sequences."""

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

import recurra
from recurra import data


class Tensor:
    """A tensor of another library: DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnGpu(Tensor):
    device = "cuda:0"

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        raise BufferError("not on the CPU")


def test_arrays_pass_through_untouched():
    for array in (np.ones(3), np.ones((2, 2), np.float32)[:, ::-1], np.array(3), np.zeros(2, bool)):
        assert data.as_array(array) is array


def test_a_memory_map_stays_one(tmp_path):
    array = np.memmap(tmp_path / "a", np.float32, "w+", shape=(3,))
    assert data.as_array(array) is array


def test_tensors_share_their_memory():
    source = np.arange(6.0).reshape(2, 3)
    array = data.as_array(Tensor(source))
    assert np.shares_memory(array, source)
    assert np.array_equal(array, source)
    assert data.as_array([Tensor(source), Tensor(source)]).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ((1.5, 2), np.array([1.5, 2.0])),
        (3, np.array(3)),
        ([None, 1], np.array([np.nan, 1.0])),
        (np.array([Decimal("0.5"), 2], object), np.array([0.5, 2.0])),
        (range(3), np.arange(3)),
    ],
)
def test_lists_and_numbers_become_arrays(value, expected):
    array = data.as_array(value)
    assert array.dtype == expected.dtype
    assert np.array_equal(array, expected, equal_nan=expected.dtype.kind == "f")


TABLE = {
    "who": ["b", "a", "b", "a", "c", "b"],
    "day": [3, 2, 1, 1, 1, 2],
    "pulse": [3.0, 20.0, 1.0, 10.0, 100.0, 2.0],
    "weight": [9, 8, 7, 6, 5, 4],
    "ill": [1, 0, 1, 0, 0, 1],
}


def frames():
    """The same table as each library holds it, with its name."""

    def pandas():
        return pytest.importorskip("pandas").DataFrame(TABLE, index=[5, 5, 1, 2, 3, 4])

    def polars():
        return pytest.importorskip("polars").DataFrame(TABLE)

    return [pytest.param(make, id=make.__name__) for make in (pandas, polars, lambda: TABLE)]


@pytest.mark.parametrize("make", frames())
def test_a_frame_becomes_inputs_and_targets(make):
    x, y = data.from_frame(make(), ["pulse", "weight"], "ill")
    assert np.array_equal(x, np.column_stack([TABLE["pulse"], TABLE["weight"]]))
    assert y.tolist() == TABLE["ill"]
    x, y = data.from_frame(make(), "pulse", ["ill", "weight"], order_by=["day", "weight"])
    assert x[:, 0].tolist() == [100.0, 10.0, 1.0, 2.0, 20.0, 3.0]
    assert y.tolist() == [[0, 5], [0, 6], [1, 7], [1, 4], [0, 8], [1, 9]]
    assert data.from_frame(make(), "pulse")[1] is None


@pytest.mark.parametrize("make", frames())
def test_groups_become_sequences_in_the_order_of_their_first_step(make):
    x, y = data.from_frame(make(), "pulse", "ill", group_by="who", order_by="day")
    assert [part[:, 0].tolist() for part in x] == [[1.0, 2.0, 3.0], [10.0, 20.0], [100.0]]
    assert [part.tolist() for part in y] == [[1, 1, 1], [0, 0], [0]]
    x, _ = data.from_frame(make(), "pulse", group_by=["ill", "who"])
    assert [part[:, 0].tolist() for part in x] == [[3.0, 1.0, 2.0], [20.0, 10.0], [100.0]]
    array, lengths = data.pad(x)
    assert (array.shape, lengths.tolist()) == ((3, 3, 1), [3, 2, 1])


@pytest.mark.parametrize("make", frames()[:2])
def test_frames_and_series_are_arrays(make):
    frame = make()
    assert data.as_array(frame[["day", "pulse"]]).shape == (6, 2)
    assert data.as_array(frame["pulse"]).tolist() == TABLE["pulse"]
    with pytest.raises(TypeError, match=r"x: expected numbers, got"):
        data.as_array(frame["who"], "x")


def test_missing_numbers_of_pandas_become_nan():
    pandas = pytest.importorskip("pandas")
    for kind in ("Int64", "Float32", "float64"):
        array = data.as_array(pandas.Series([1, None, 3], dtype=kind))
        assert array.dtype.kind == "f"
        assert np.array_equal(array, [1.0, np.nan, 3.0], equal_nan=True)


def test_missing_numbers_of_polars_become_nan():
    polars = pytest.importorskip("polars")
    assert np.array_equal(data.as_array(polars.Series([1, None, 3])), [1.0, np.nan, 3.0], equal_nan=True)


@pytest.mark.parametrize("make", frames())
def test_times_sort_as_times(make):
    frame = make()
    days = np.array(["2020-01-03", "2020-01-02", "2019-12-31", "2020-01-01", "2018-01-01", "2021-01-01"], "M8[us]")
    if isinstance(frame, dict):
        frame = {**frame, "day": days}
    elif hasattr(frame, "with_columns"):
        frame = frame.with_columns(pytest.importorskip("polars").Series("day", days))
    else:
        frame["day"] = days
    x, _ = data.from_frame(frame, "pulse", order_by="day")
    assert x[:, 0].tolist() == [100.0, 1.0, 10.0, 20.0, 3.0, 2.0]


def test_data_loads_nothing_but_numpy_and_comes_when_asked_for():
    code = """
import sys, recurra
assert "recurra.data" not in sys.modules
recurra.data.as_array([1.0]), recurra.data.from_frame({"a": [1.0]}, "a")
print(*{"pandas", "polars", "torch", "tokenizers", "jax"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout == "\n"


def test_class_weights_make_all_classes_count_alike():
    y = np.array([0] * 6 + [1] * 3 + [4])
    weights = data.class_weights(y)
    assert weights == {0: pytest.approx(10 / 18), 1: pytest.approx(10 / 9), 4: pytest.approx(10 / 3)}
    totals = {c: weights[c] * (y == c).sum() for c in weights}
    assert list(totals.values()) == pytest.approx([10 / 3] * 3)
    assert data.class_weights(np.eye(5)[y]) == weights
    assert data.class_weights(y[:9].astype(float)) == {0: 0.75, 1: 1.5}
    assert data.class_weights(y.reshape(2, 5)) == weights


@pytest.mark.slow
def test_tensors_of_pytorch_and_jax_share_their_memory():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0).reshape(2, 3)
    array = data.as_array(tensor)
    tensor[0, 0] = 7.0
    assert array[0, 0] == 7.0
    assert data.as_array(tensor.requires_grad_()).shape == (2, 3)
    with pytest.raises(
        TypeError, match=r"x: expected a tensor on the CPU .* got Tensor on cpu of torch.bfloat16; move"
    ):
        data.as_array(torch.ones(2, dtype=torch.bfloat16), "x")
    jax = pytest.importorskip("jax")
    assert data.as_array(jax.numpy.arange(3)).tolist() == [0, 1, 2]


# Messages


def dataset(**options):
    return data.ArrayDataset(np.zeros((4, 2)), np.zeros(4), **options)


def vectorization(**options):
    return data.TextVectorization(**options)


SERIES = np.zeros((9, 2))
RAGGED = [np.zeros((2, 3)), np.zeros((4, 3))]
ERRORS = [
    (lambda: data.as_array("abc", "x"), TypeError, "x: expected numbers: an array, tensor, frame or list, got 'abc'"),
    (lambda: data.as_array(["a"], "x"), TypeError, "x: expected numbers, got an array of <U1; TextVectorization"),
    (lambda: data.as_array([[1], [1, 2]], "x"), ValueError, "x: expected one array, got sequences of different l"),
    (lambda: data.as_array([1, object()], "x"), TypeError, "x: expected numbers, got <object object at"),
    (lambda: data.as_array(OnGpu(SERIES), "x"), TypeError, "x: expected a tensor on the CPU of a type that NumPy has,"),
    (lambda: data.ArrayDataset(np.zeros((0, 2))), ValueError, "x: expected at least one sample, got none"),
    (lambda: data.ArrayDataset(np.zeros(3), np.zeros(2)), ValueError, "y: expected 3 samples, as x has, got 2"),
    (lambda: data.ArrayDataset([np.zeros(3), np.zeros(2)]), ValueError, "x: expected 3 samples, as x has, got 2"),
    (lambda: data.ArrayDataset(SERIES, lengths=[3] * 9), ValueError, "lengths: expected values from 0 to 2, got 3"),
    (lambda: dataset(batch_size=0), ValueError, "batch_size: expected an integer from 1"),
    (lambda: dataset(seed=-1), ValueError, "seed: expected an integer from 0"),
    (lambda: dataset().set_epoch(-1), ValueError, "epoch: expected an integer from 0"),
    (lambda: dataset()[1.5], TypeError, "index: expected an integer, got 1.5"),
    (lambda: dataset()[1], IndexError, "index: expected a batch from 0 to 0, got 1"),
    (lambda: data.pad([]), ValueError, "sequences: expected at least one sequence, got none"),
    (lambda: data.pad([1, 2]), TypeError, "sequences[0]: expected a sequence, got a number"),
    (lambda: data.pad([RAGGED[0], SERIES]), ValueError, "sequences[1]: expected steps of shape (3,), got (2,)"),
    (lambda: data.pad_sequences([[1]], padding="left"), ValueError, "padding: expected one of 'pre', 'post'"),
    (lambda: data.BucketedDataset([]), ValueError, "sequences: expected at least one sequence, got none"),
    (lambda: data.BucketedDataset(RAGGED, np.zeros(3)), ValueError, "y: expected 2 samples, as x has, got 3"),
    (lambda: data.BucketedDataset(RAGGED, [[1, 2], [1]]), ValueError, "y[1]: expected 4 steps, got 1; one target"),
    (lambda: data.BucketedDataset(RAGGED, bucket_boundaries=[5, 5]), ValueError, "bucket_boundaries: expected incr"),
    (lambda: data.timeseries_dataset(SERIES, None, 10), ValueError, "data: expected at least 10 steps, got 9 to use"),
    (lambda: data.timeseries_dataset(SERIES, None, 2, 0), ValueError, "sequence_stride: expected an integer from 1"),
    (
        lambda: data.timeseries_dataset(SERIES, None, 2, start_index=5, end_index=5),
        ValueError,
        "end_index: expected a step after start_index, 5, got 5",
    ),
    (
        lambda: data.timeseries_dataset(SERIES, SERIES[:4], 2, start_index=4),
        ValueError,
        "targets: expected at least 5 values, got 4",
    ),
    (lambda: data.split_series(SERIES, test_size=1.0), ValueError, "test_size: expected steps on both sides, got 1.0"),
    (lambda: data.split_series(SERIES, SERIES[1:]), ValueError, "arrays[1]: expected 9 steps, as the first one has"),
    (lambda: data.stream_dataset(SERIES, 9, 2), ValueError, "series: expected at least 10 steps, got 9"),
    (lambda: data.stream_dataset(SERIES, 2, 2, SERIES[1:]), ValueError, "targets: expected 9 steps, as the series"),
    (lambda: data.stream_dataset(SERIES, 2, 2, shuffle=True), ValueError, "shuffle: expected False for one series"),
    (lambda: data.stream_dataset(RAGGED, 2, 2, RAGGED[:1]), ValueError, "targets: expected a list of 2, one for each"),
    (lambda: data.stream_dataset([[1, 2], [1]], 2, 2), ValueError, "series[1]: expected at least two steps, got 1"),
    (lambda: data.from_frame(TABLE, "puls"), ValueError, "features: expected columns of the frame, got 'puls'; it has"),
    (lambda: data.from_frame(TABLE, "who"), TypeError, "column 'who': expected numbers, got an array of <U1"),
    (lambda: data.from_frame(3, "who"), TypeError, "frame: expected a DataFrame of pandas or Polars"),
    (
        lambda: data.from_frame({"a": [1, 2], "t": [None, 1]}, "a", order_by="t"),
        ValueError,
        "column 't': expected a value in every row, got missing ones",
    ),
    (
        lambda: data.from_frame({"a": [1, 2], "b": [1]}, ["a", "b"]),
        ValueError,
        "column 'b': expected 2 rows, as the first feature has, got 1",
    ),
    (lambda: data.from_frame({"a": [1], "b": [1, 2]}, "a", group_by="b"), ValueError, "group_by: expected 1 rows, as"),
    (lambda: data.from_frame({"a": [1], "b": [1, 2]}, "a", "b"), ValueError, "target: expected 1 rows, as the first"),
    (lambda: data.class_weights([]), ValueError, "y: expected at least one sample, got none"),
    (lambda: data.class_weights([0.5]), ValueError, "y: expected integers, or one-hot rows, got an array of float64"),
    (lambda: data.class_weights([-1, 0]), ValueError, "y: expected classes from 0, got -1"),
    (lambda: data.Prefetch(3), TypeError, "dataset: expected a Dataset: batches by number, got 3"),
    (lambda: data.Prefetch([], 0), ValueError, "size: expected an integer from 1"),
    (lambda: vectorization()(["a"]), ValueError, "vocabulary: expected one, got none; call adapt(texts)"),
    (lambda: vectorization().adapt("abc"), TypeError, "texts: expected a list of texts, got 'abc'"),
    (lambda: vectorization().adapt(["a", 3]), TypeError, "texts[1]: expected a text, got 3"),
    (lambda: vectorization().adapt(["!!"]), ValueError, "data: expected texts with at least one token, got none"),
    (lambda: vectorization(max_tokens=2), ValueError, "max_tokens: expected an integer from 3"),
    (
        lambda: vectorization(max_tokens=3, vocabulary=["a", "b"]),
        ValueError,
        "vocabulary: expected 1 to 1 tokens, got 2; max_tokens=3 counts padding and unknown token",
    ),
    (lambda: vectorization(vocabulary=["a", "a"]), ValueError, "vocabulary: expected each token once, got 'a' again"),
    (lambda: vectorization(vocabulary=["a", ""]), ValueError, "vocabulary: expected tokens, got '' at 1; padding"),
    (lambda: vectorization(vocabulary=[1]), TypeError, "vocabulary[0]: expected a text, got 1"),
    (lambda: vectorization(vocabulary=[]), ValueError, "vocabulary: expected 1 to any number of tokens, got 0"),
    (lambda: vectorization(vocabulary=["a"]).decode([3]), ValueError, "ids: expected an integer from 0 to 2, got 3"),
    (lambda: vectorization(split="words"), ValueError, "split: expected one of 'whitespace', 'character', got 'words'"),
    (lambda: vectorization(standardize="up"), ValueError, "standardize: expected one of 'lower_and_strip_punctuation'"),
    (lambda: vectorization(output_mode="count"), ValueError, "output_mode: expected one of 'int', got 'count'"),
    (lambda: vectorization(split=str.split).get_config(), TypeError, "split: expected a name, to be written, got"),
    (lambda: vectorization(split=lambda _: [None]).adapt(["a"]), TypeError, "split: expected a list of text, got None"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:60] for _, _, text in ERRORS])
def test_a_mistake_is_named(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value).startswith(text)


def test_all_names_are_there():
    assert set(data.__all__) == {name for name in data.__all__ if getattr(recurra.data, name, None) is not None}
