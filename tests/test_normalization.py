"""Normalization: the statistics are those of the data, however it comes, and no training moves them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recurra
from recurra import data

RANDOM = np.random.default_rng(3)
X = RANDOM.normal([5.0, -2.0, 0.0], [3.0, 0.5, 1.0], (40, 7, 3))
LENGTHS = RANDOM.integers(0, 8, 40)
COUNTED = np.concatenate([row[:length] for row, length in zip(X, LENGTHS, strict=True)])
PADDED = np.where((np.arange(7) < LENGTHS[:, None])[..., None], X, 1e6)


def adapted(source, **options):
    layer = recurra.Normalization(dtype="float64", **options)
    layer.adapt(source)
    return layer


WHOLE = {
    "array": lambda: X,
    "list": lambda: X.tolist(),
    "rows": lambda: X.reshape(-1, 3),
    "iterable of arrays": lambda: (X[start : start + 7] for start in range(0, 40, 7)),
    "data set": lambda: data.ArrayDataset(X, np.zeros(40), batch_size=9, shuffle=True, seed=1),
}
PARTS = {
    "padded": lambda: (PADDED, LENGTHS),
    "ragged": lambda: [row[:length] for row, length in zip(X, LENGTHS, strict=True)],
    "data set": lambda: data.BucketedDataset(PARTS["ragged"](), np.zeros(40), 9, value=1e6, seed=1),
}


@pytest.mark.parametrize(
    ("source", "values"),
    [*((make, X.reshape(-1, 3)) for make in WHOLE.values()), *((make, COUNTED) for make in PARTS.values())],
    ids=[*WHOLE, *(f"{name} with lengths" for name in PARTS)],
)
def test_statistics_are_those_of_the_steps_that_count(source, values):
    """Relative difference at most 1e-12."""
    layer = adapted(source())
    np.testing.assert_allclose(layer.parameters["mean"], values.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.parameters["variance"], values.var(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer(X), (X - values.mean(axis=0)) / values.std(axis=0), rtol=1e-10, atol=1e-10)
    one = adapted(source(), axis=None)
    np.testing.assert_allclose(one.parameters["mean"], [values.mean()], rtol=1e-12)
    np.testing.assert_allclose(one.parameters["variance"], [values.var()], rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.floats(-1e6, 1e6))
def test_batches_join_without_loss_of_digits(sizes, offset):
    """Far from zero, where the mean of squares would lose all: relative difference at most 1e-7."""
    batches = [offset + np.random.default_rng(size).normal(size=(size, 2)) for size in sizes]
    layer, values = adapted(iter(batches)), np.concatenate(batches)
    np.testing.assert_allclose(layer.parameters["variance"], values.var(axis=0), rtol=1e-7, atol=1e-9)


def test_large_arrays_are_read_in_chunks(monkeypatch):
    from recurra.layers import feature_normalization

    monkeypatch.setattr(feature_normalization, "_CHUNK", 50)
    np.testing.assert_allclose(adapted(X).parameters["variance"], X.reshape(-1, 3).var(axis=0), rtol=1e-12)


def test_invert_undoes_it_and_a_constant_feature_becomes_zero():
    """Difference at most 1e-12."""
    source = X.copy()
    source[..., 2] = 4.0
    layer, back = adapted(source), adapted(source, invert=True)
    assert not layer(source)[..., 2].any()
    np.testing.assert_allclose(back(layer(source)), source, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"invert": True}, {"axis": None}, {"mean": 2.0, "variance": [1.0, 4.0, 9.0]}])
def test_gradients_are_difference_quotients(options):
    layer = recurra.Normalization(dtype="float64", **options)
    if "mean" not in options:
        layer.adapt(X)
    x, dy = X[:2, :2].copy(), RANDOM.normal(size=(2, 2, 3))
    _, pullback = layer.vjp(x)
    dx, step = pullback(dy), 1e-6
    assert pullback(dy, need_dx=False) is None
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        assert dx[place] == pytest.approx(((layer(moved[0]) - layer(moved[1])) * dy).sum() / (2 * step), rel=1e-6)


def test_training_leaves_the_statistics_and_files_keep_them(tmp_path):
    layer = recurra.Normalization()
    layer.adapt(X)
    before = layer.get_weights()
    assert not any(weight.moves for weight in layer.weights_declared)
    model = recurra.Sequential([layer, recurra.GRU(3), recurra.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, np.ones((40, 1)), epochs=2, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before, strict=True))
    model.save(tmp_path / "model.safetensors")
    loaded = recurra.load_model(tmp_path / "model.safetensors")
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert loaded.predict(1e3 * X).shape == (40, 1)


def test_adapting_again_in_a_model_is_seen_by_the_next_call():
    layer = recurra.Normalization()
    model = recurra.Sequential([layer, recurra.LSTM(3, seed=1)])
    before = model.predict(X)
    layer.adapt(X)
    after = model.predict(X)
    assert not np.allclose(before, after)
    normalized = ((X - X.mean(axis=(0, 1))) / X.std(axis=(0, 1))).astype(np.float32)
    np.testing.assert_allclose(after, model.layers[1](normalized), atol=1e-5)


ERRORS = [
    (lambda: recurra.Normalization(mean=1.0), ValueError, "mean and variance, or neither, got one alone"),
    (lambda: recurra.Normalization(mean=[0.0], variance=[-1.0]), ValueError, "variance: expected numbers of at least"),
    (lambda: recurra.Normalization(mean=[], variance=[]), ValueError, "mean: expected one finite number for each fe"),
    (lambda: recurra.Normalization(1).build((None, 5, 3)), ValueError, "axis: expected the last axis, or None, got 1"),
    (lambda: recurra.Normalization(-1, [1, 2], [1, 2]).build((None, 3)), ValueError, "mean: expected 3 numbers, as"),
    (lambda: recurra.Normalization(-1, 0, 1).adapt(X), ValueError, "data: expected none, as mean and variance were"),
    (lambda: adapted(np.zeros((0, 3))), ValueError, "data: expected at least one sample, got none"),
    (lambda: adapted(iter([])), ValueError, "data: expected at least one sample, got none"),
    (lambda: adapted(np.zeros(3)), ValueError, "data: expected an array (batch, ..., features), got shape (3,)"),
    (lambda: adapted(3), TypeError, "data: expected an array, a list of sequences, or batches, got 3"),
    (lambda: adapted(np.full((2, 3), np.nan)), ValueError, "data: expected finite numbers, got others"),
    (lambda: adapted(iter([X, X[..., :2]])), ValueError, "data: expected 3 features in each batch, got 2"),
    (lambda: adapted(X).adapt(X[..., :2]), ValueError, "weights: expected shape (3,) for 'mean', got (2,)"),
    (lambda: adapted(X)(X[..., :2]), ValueError, "x: expected shape (batch, time, 3), got (40, 7, 2)"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:50] for _, _, text in ERRORS])
def test_a_mistake_is_named_and_changes_nothing(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("axis", [-1, None])
def test_statistics_and_outputs_equal_those_of_keras(axis):
    """Difference at most 1e-5."""
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")  # what Keras's layer needs on every backend
    x = X.astype(np.float32)
    for source in (lambda: x, lambda: (x[start : start + 8] for start in range(0, 40, 8))):
        for invert in (False, True):
            ours = recurra.Normalization(axis, invert=invert)
            theirs = keras.layers.Normalization(axis, invert=invert)
            ours.adapt(source())
            theirs.adapt(source())
            expected = keras.ops.convert_to_numpy(theirs(x))
            np.testing.assert_allclose(ours(x), expected, rtol=1e-5, atol=1e-5)
