"""Embedding tables: gathered and added into, by rows alone, with the same bits for any number of threads."""

import numpy as np
import pytest

import recurra
from recurra import _core

RNG = np.random.default_rng(41)


def summed(x, dy, rows):
    """The gradient of the table by NumPy, which adds in order of position too."""
    table = np.zeros((rows, dy.shape[-1]), dy.dtype)
    np.add.at(table, x.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return table


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 37, 64, 300])
def test_rows_are_read_and_added_with_the_same_bits_for_any_threads(width, dtype):
    x = RNG.integers(0, 50, (64, 40))
    table, dy = RNG.standard_normal((50, width)).astype(dtype), RNG.standard_normal((64, 40, width)).astype(dtype)
    expected = summed(x, dy, 50)
    for count in (1, 2, 3, 8):
        _core.set_num_threads(count)
        np.testing.assert_array_equal(_core.embedding(table, x), table[x])
        gradient = np.zeros_like(table)
        _core.embedding_backward(x, dy, gradient)
        np.testing.assert_array_equal(gradient, expected)


def test_gradients_are_added_to_those_that_are_there():
    gradient = np.ones((3, 2))
    _core.embedding_backward(np.array([2, 0, 2]), np.full((3, 2), 0.5), gradient)
    np.testing.assert_array_equal(gradient, [[1.5, 1.5], [1, 1], [2, 2]])


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ((np.zeros((3, 2)), np.array([3])), ValueError, "indices: expected integers from 0 to 2, got 3"),
        ((np.zeros((3, 2)), np.array([-1])), ValueError, "indices: expected integers from 0 to 2, got -1"),
        ((np.zeros((3, 2)), np.array([1.0])), TypeError, "indices: expected int64"),
        ((np.zeros(3), np.array([1])), ValueError, "table: expected two axes"),
        ((np.zeros((3, 2), np.int64), np.array([1])), TypeError, "table: expected float32 or float64"),
    ],
)
def test_the_compiled_function_refuses_what_would_read_elsewhere(arguments, kind, text):
    with pytest.raises(kind, match=f"^{text}"):
        _core.embedding(*arguments)


def test_the_compiled_backward_function_refuses_wrong_shapes():
    table, x = np.zeros((3, 2)), np.array([0, 1])
    for dy in (np.zeros((2, 3)), np.zeros((1, 2)), np.zeros((2, 2), np.float32)):
        with pytest.raises((ValueError, TypeError), match=r"^dy: expected"):
            _core.embedding_backward(x, dy, table)
    with pytest.raises(ValueError, match=r"^dtable: expected a C-contiguous array"):
        _core.embedding_backward(x, np.zeros((2, 2)), np.zeros((2, 3)).T)
    with pytest.raises(ValueError, match="memory apart"):
        _core.embedding_backward(x, table[:2], table)


def layer_and_data(vocabulary=20, **options):
    layer = recurra.Embedding(vocabulary, 4, dtype="float64", seed=1, **options)
    x = RNG.integers(1, vocabulary, (3, 5))
    layer(x)
    return layer, x


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "uint64", "int64"])
def test_integers_of_any_size_and_strides_will_do(kind):
    layer, x = layer_and_data()
    expected = layer.parameters["embeddings"][x]
    np.testing.assert_array_equal(layer(x.astype(kind)), expected)
    np.testing.assert_array_equal(layer(np.asfortranarray(x.astype(kind))), expected)
    np.testing.assert_array_equal(layer(x[:, 0].astype(kind)), expected[:, 0])


@pytest.mark.parametrize(("value", "kind"), [(20, "int64"), (-1, "int64"), (200, "uint8"), (2**63, "uint64")])
def test_an_integer_outside_the_vocabulary_is_named(value, kind):
    layer, x = layer_and_data()
    x = x.astype(kind)
    x[1, 2] = value
    text = rf"^x: expected integers from 0 to 19, got {value} at \(1, 2\); the vocabulary of layer 'embedding' has"
    for call in (layer, layer.vjp):
        with pytest.raises(ValueError, match=text):
            call(x)


@pytest.mark.parametrize("x", [np.ones((2, 3)), np.ones((2, 3), bool), [[1, 2]]])
def test_other_input_is_refused(x):
    with pytest.raises(TypeError, match=r"^x: expected .*integers"):
        recurra.Embedding(5, 2)(x)


def test_the_input_may_be_filled_anew_before_the_pullback():
    layer, x = layer_and_data()
    kept = x.copy()
    y, pullback = layer.vjp(x)
    x[...] = 0
    dy = RNG.standard_normal(y.shape)
    layer.zero_gradients()
    assert pullback(dy) is None
    np.testing.assert_allclose(layer.gradients["embeddings"], summed(kept, dy, 20), rtol=1e-15)


def test_a_training_step_visits_touched_rows_alone():
    layer, x = layer_and_data()
    layer.zero_gradients()
    y, pullback = layer.vjp(x)
    pullback(np.ones_like(y))
    (part,) = layer._parts()
    np.testing.assert_array_equal(part.rows, np.unique(x))
    assert part.width == 4
    untouched = np.setdiff1d(np.arange(20), x)
    layer.gradients["embeddings"][untouched] = 7.0  # would be visited if the whole table were
    layer.zero_gradients()
    assert (layer.gradients["embeddings"][untouched] == 7.0).all()
    assert not layer.gradients["embeddings"][np.unique(x)].any()
    assert layer._parts()[0].rows.size == 0


def test_zeros_at_the_end_make_the_lengths():
    layer, x = layer_and_data(mask_zero=True)
    x[0, 2:], x[2] = 0, 0
    assert layer.compute_lengths(x, None).tolist() == [2, 5, 0]
    assert layer.compute_lengths(x, np.array([1, 4, 3])).tolist() == [1, 4, 0]
    masked = recurra.Sequential([recurra.Embedding(20, 4, mask_zero=True, seed=1), recurra.LSTM(3, seed=2)])
    plain = recurra.Sequential([recurra.Embedding(20, 4, seed=1), recurra.LSTM(3, seed=2)])
    np.testing.assert_array_equal(masked(x), plain(x, lengths=[2, 5, 0]))
    x[0, 4] = 3
    text = r"^x: expected 0 \(padding, .* after all other steps, got some before step 4 of sample 0; pad at the end"
    with pytest.raises(ValueError, match=text):
        masked(x)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_model_of_words_learns_and_leaves_rows_alone_that_it_never_reads(optimizer):
    x = RNG.integers(1, 10, (64, 6))
    model = recurra.Sequential(
        [recurra.Embedding(1000, 8, mask_zero=True, seed=1), recurra.GRU(8, seed=2), recurra.Dense(1, seed=3)]
    )
    model.compile(optimizer, "mse")
    model.build((None, None))
    before = model.parameters["embedding.embeddings"].copy()
    losses = model.fit(x, (x[:, :1] > 5).astype(np.float32), epochs=15, verbose=0, seed=4).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    moved = (model.parameters["embedding.embeddings"] != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), np.unique(x))


def test_a_table_of_unit_rows_stays_one_and_a_penalised_one_shrinks():
    x = RNG.integers(0, 10, (32, 4))
    for options, check in (
        (
            {"embeddings_constraint": "unit_norm"},
            lambda table: np.allclose(np.linalg.norm(table, axis=1), 1, atol=1e-5),
        ),
        ({"embeddings_regularizer": recurra.regularizers.L2(1.0)}, lambda table: np.abs(table).max() < 1e-3),
    ):
        model = recurra.Sequential([recurra.Embedding(10, 3, **options, seed=1), recurra.GRU(2, seed=2)])
        model.compile(recurra.optimizers.SGD(0.3), "mse")
        model.fit(x, np.zeros((32, 2)), epochs=20, verbose=0)
        assert check(model.parameters["embedding.embeddings"])


def test_a_graph_takes_sequences_of_any_length():
    words = recurra.Input((None,), dtype="int64")
    model = recurra.Model(words, recurra.GRU(3)(recurra.Embedding(10, 4)(words)))
    assert model(RNG.integers(0, 10, (2, 5))).shape == (2, 3)
    assert model(RNG.integers(0, 10, (2, 7))).shape == (2, 3)


def test_a_stream_of_words_takes_one_integer_a_row():
    model = recurra.Sequential([recurra.Embedding(10, 4, seed=1), recurra.GRU(3, return_sequences=True, seed=2)])
    x = RNG.integers(0, 10, (2, 5))
    y = model(x)
    stream = model.stream(2)
    for step in range(5):
        np.testing.assert_allclose(stream.step(x[:, step]), y[:, step], atol=1e-6)
