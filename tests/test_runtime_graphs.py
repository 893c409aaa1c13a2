"""Graphs in the C ABI against the layers themselves: the same bits, whole and step by step."""

import numpy as np
import pytest

import recurra
import runtime_graphs as graphs
import runtime_models as models
from recurra.runtime import Model
from runtime_models import compare, saved


@pytest.mark.parametrize("name", [*graphs.STREAMING, *graphs.WHOLE])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_graphs_give_the_same_bits(name, dtype, tmp_path):
    rng = np.random.default_rng(0)
    model = graphs.draw((graphs.STREAMING | graphs.WHOLE)[name]).clone(dtype)
    models.fill(model, rng)
    assert compare(model, graphs.FEATURES, tmp_path, rng).can_step == (name in graphs.STREAMING)


def test_padding_of_masks_leaves_the_same_lengths_in_all_branches(tmp_path):
    rng = np.random.default_rng(1)
    words = recurra.Input((None,), dtype="int64")
    both = [recurra.Embedding(size, 4, mask_zero=True)(words) for size in (9, 7)]
    y = recurra.Add()([recurra.LSTM(4)(both[0]), recurra.GRU(4)(both[1])])
    model = models.fill(recurra.Model(words, y), rng)
    loaded = Model(saved(tmp_path, model))
    x = np.array([[3, 4, 0, 0], [1, 2, 6, 5], [0, 0, 0, 0]])
    np.testing.assert_array_equal(loaded(x), model(x))
    np.testing.assert_array_equal(loaded(x, [1, 4, 4]), model(x, lengths=[1, 4, 4]))
    with pytest.raises(ValueError, match="x: expected integers from 0 to 6, got 7"):
        loaded(np.array([[7, 1]]))


def test_padding_that_one_branch_alone_leaves_out_is_refused(tmp_path):
    x = recurra.Input((None, 3))
    y = recurra.Concatenate()([recurra.LSTM(2)(recurra.Masking()(x)), recurra.LSTM(2)(x)])
    with pytest.raises(ValueError, match="padding that all layers behind the input leave out, got 1 of 2 that do"):
        Model(saved(tmp_path, recurra.Model(x, y)))


def test_several_inputs_or_outputs_are_refused_by_name(tmp_path):
    a, b = recurra.Input((None, 3), name="left"), recurra.Input((None, 3), name="right")
    h = recurra.LSTM(2, name="memory")(a)
    for model, message in (
        (recurra.Model([a, b], recurra.Add()([a, b])), 'inputs: expected one, got 2: .*"left".*"right"'),
        (recurra.Model(a, [h, recurra.Dense(1)(h)]), r'outputs: expected one, got 2: \["memory", "dense"\]'),
    ):
        with pytest.raises(ValueError, match=message):
            Model(saved(tmp_path, model))


def test_layers_that_graphs_cannot_run_are_refused_by_name(tmp_path):
    x = recurra.Input((4, 3))
    for y, message in (
        (recurra.Dot((1, 1), name="dot")([x, x]), "layer 'dot': .* got Dot"),
        (recurra.Concatenate(axis=1, name="long")([x, x]), "layer 'long': .* a Concatenate along another axis"),
        (recurra.GlobalMaxPooling1D(name="pool")(x), "layer 'pool': .* got GlobalMaxPooling1D"),
    ):
        with pytest.raises(ValueError, match=message):
            Model(saved(tmp_path, recurra.Model(x, recurra.Dense(2)(y))))


def test_a_vector_is_joined_along_its_only_axis(tmp_path):
    rng = np.random.default_rng(2)
    x = recurra.Input((3,))
    y = recurra.Concatenate(axis=1)([recurra.Dense(2)(x), recurra.Softmax(axis=1)(x)])
    model = models.fill(recurra.Model(x, y), rng)
    given = models.inputs(rng, 3, 4, 1)[:, 0]
    stream = Model(saved(tmp_path, model)).stream(4)
    np.testing.assert_array_equal(stream.step(given), model(given))


@pytest.mark.parametrize("join", graphs.JOINS)
def test_what_is_no_number_is_joined_as_numpy_joins_it(join, tmp_path):
    """ReLU makes zeros of NaN, so that one of two inputs alone is none."""
    layer = getattr(recurra, join)()

    def draw(x):
        relu = recurra.ReLU()(x)
        return recurra.Concatenate()([layer([x, relu]), layer([relu, x])])

    x = np.array([[[np.nan, 1, np.inf, -np.inf, 2]], [[1, np.nan, -np.inf, np.nan, 3]]], np.float32)
    model = graphs.draw(draw)
    with np.errstate(invalid="ignore"):
        wanted = model(x)
    np.testing.assert_array_equal(Model(saved(tmp_path, model))(x), wanted)


def test_a_graph_tells_of_its_layers_and_of_the_states_of_each_call(tmp_path):
    x = recurra.Input((None, 3))
    shared = recurra.LSTM(2, return_sequences=True, name="shared")
    model = recurra.Model(x, recurra.Dense(1, name="end")(shared(recurra.Dense(2)(shared(recurra.Dense(2)(x))))))
    loaded = Model(saved(tmp_path, models.fill(model, np.random.default_rng(4))))
    assert loaded.parameters == model.size
    assert repr(loaded) == "dense (Dense): 3 -> 2\nshared (LSTM): 2 -> 2\ndense_1 (Dense): 2 -> 2\nend (Dense): 2 -> 1"
    assert [graphs.state_of(loaded, index) for index in range(4)] == [(1, "h"), (1, "c"), (1, "h#2"), (1, "c#2")]
    assert [state.shape for state in loaded.stream(3).get_state()] == [(3, 2)] * 4


def test_rows_of_a_graph_are_reset_alone(tmp_path):
    rng = np.random.default_rng(5)
    stream = Model(saved(tmp_path, models.fill(graphs.draw(graphs.shared), rng))).stream(3)
    start = stream.get_state()
    stream.run(models.inputs(rng, graphs.FEATURES, 3, 5))
    after = stream.get_state()
    stream.reset([1])
    assert len(start) == 8
    for now, old, first in zip(stream.get_state(), after, start, strict=True):
        np.testing.assert_array_equal(now, [old[0], first[1], old[2]])
        assert np.abs(first).min() > 0


@pytest.mark.parametrize("name", ["shared", "final_states", "encoder_decoder", "bidirectional_states"])
def test_threads_share_the_rows_of_a_graph_and_change_no_bit(name, tmp_path):
    rng = np.random.default_rng(6)
    path = saved(tmp_path, models.fill(graphs.draw((graphs.STREAMING | graphs.WHOLE)[name]), rng))
    x, lengths = models.inputs(rng, graphs.FEATURES, 7, 20), rng.integers(0, 21, 7)
    alone = Model(path)(x, lengths)
    for threads in (2, 3):
        np.testing.assert_array_equal(Model(path, threads=threads)(x, lengths), alone)


@pytest.mark.parametrize("name", graphs.ATTENTION)
def test_attention_over_long_sequences_gives_the_same_bits(name, tmp_path):
    """More queries than a block holds, and lengths within one and behind it."""
    rng = np.random.default_rng(8)
    model = models.fill(graphs.draw(graphs.ATTENTION[name]), rng)
    path, x = saved(tmp_path, model), models.inputs(rng, graphs.FEATURES, 6, 41)
    x[2, 20:] = np.nan
    lengths = np.array([41, 40, 20, 16, 1, 0])
    wanted = model(x, lengths=lengths)
    assert np.isfinite(wanted[0]).all()
    for threads in (1, 3):
        np.testing.assert_array_equal(Model(path, threads=threads)(x, lengths), wanted)
    np.testing.assert_array_equal(Model(path)(x[:1]), model(x[:1]))


def test_weights_of_a_shared_layer_are_held_once(tmp_path):
    x = recurra.Input((None, 100))
    one, shared = recurra.LSTM(100, return_sequences=True), recurra.LSTM(100, return_sequences=True)
    small = Model(saved(tmp_path, models.fill(recurra.Model(x, one(x)), np.random.default_rng(7))))
    y = x
    for _ in range(20):
        y = shared(y)
    large = Model(saved(tmp_path, models.fill(recurra.Model(x, y), np.random.default_rng(7))))
    assert large.memory - small.memory < 40_000
