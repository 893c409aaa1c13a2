"""Cells: what `RNN(cell)` makes of them, one step at a time, and cells of one's own."""

import pickle

import numpy as np
import pytest

import recurra
from recurra.layers import CELLS, Cell, CellRNN, RecurrentStack

RNG = np.random.default_rng(20266)
N, T, F, H = 4, 6, 3, 5
LENGTHS = np.array([T, 3, 0, 1])


class Leaky(Cell):
    """s' = a s + x W, y = s' ** 2 + m; m' = m + 1 counts steps: two states of different sizes, an output of a third."""

    def __init__(self, width, *, dtype="float32", name=None, seed=None):
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.width, self.state_size = width, [width, 1]

    def build(self, input_shape):
        super().build(input_shape)
        self.add_weight("w", (input_shape[-1], self.width), "glorot_uniform")
        self.add_weight("a", (self.width,), lambda shape, seed, stream: np.full(shape, 0.8))

    def get_config(self):
        return {**super().get_config(), "width": self.width}

    def step(self, x, states):
        s = self.parameters["a"] * states[0] + x @ self.parameters["w"]
        return s * s + states[1], [s, states[1] + 1]

    def step_vjp(self, x, states):
        y, new = self.step(x, states)

        def pullback(dy, dstates):
            ds = dstates[0] + 2 * new[0] * dy
            self.gradients["a"] += (ds * states[0]).sum(axis=0)
            self.gradients["w"] += x.T @ ds
            dm = dstates[1] + dy.sum(axis=1, keepdims=True)
            return ds @ self.parameters["w"].T, [self.parameters["a"] * ds, dm]

        return (y, new), pullback


def x64(*shape):
    return RNG.standard_normal(shape or (N, T, F))


BUILT_IN = [("SimpleRNNCell", "RNN", {"activation": "relu"}), ("LSTMCell", "LSTM", {}), ("GRUCell", "GRU", {})]


@pytest.mark.parametrize(("cell", "layer", "options"), BUILT_IN)
def test_a_built_in_cell_makes_the_fused_layer(cell, layer, options):
    made = recurra.RNN(CELLS[cell](H, seed=4, **options), return_sequences=True, return_state=True, name="mine")
    plain = getattr(recurra, layer)(H, seed=4, return_sequences=True, return_state=True, **options)
    assert type(made) is type(plain)
    assert made.name == "mine"
    x = x64().astype(np.float32)
    for ours, theirs in zip(made(x), plain(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert type(recurra.RNN([CELLS[cell](H)])) is type(plain)
    assert recurra.RNN(recurra.StackedRNNCells([CELLS[cell](H)]), go_backwards=True).options["go_backwards"]
    assert set(CELLS) == {name for name, _, _ in BUILT_IN}


@pytest.mark.parametrize(("name", "layer", "options"), BUILT_IN)
def test_steps_of_a_cell_are_those_of_the_layer(name, layer, options):
    cell = CELLS[name](H, dtype="float64", seed=2, **options)
    made = recurra.RNN(CELLS[name](H, dtype="float64", seed=2, **options), return_state=True)
    x = x64()
    states = cell.get_initial_state(N)
    for t in range(T):
        y, states = cell(x[:, t], states)
    for ours, theirs in zip([y, *states], made(x), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)


def test_a_single_state_goes_in_and_comes_out_bare_or_listed():
    cell, x, h = recurra.GRUCell(H), np.ones((N, F), np.float32), np.ones((N, H), np.float32)
    y, new = cell(x, h)
    listed_y, listed = cell(x, [h])
    assert isinstance(new, np.ndarray)
    assert isinstance(listed, list)
    np.testing.assert_array_equal(new, listed[0])
    np.testing.assert_array_equal(y, listed_y)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("name", "layer", "options"), BUILT_IN)
def test_the_loop_over_a_cell_gives_outputs_states_and_gradients_of_the_engine(
    name, layer, options, sequences, go_backwards
):
    arguments = {"return_sequences": sequences, "return_state": True, "go_backwards": go_backwards}
    fused = recurra.RNN(CELLS[name](H, dtype="float64", seed=1, **options), **arguments)
    loop = CellRNN(CELLS[name](H, dtype="float64", seed=1, **options), **arguments)
    x = x64()
    for lengths in (None, LENGTHS if sequences else np.maximum(LENGTHS, 1)):
        start = [x64(N, H) for _ in range(2 if name == "LSTMCell" else 1)]
        found = []
        for made in (fused, loop):
            made.ensure_built(x.shape)
            made.zero_gradients()
            outputs, pullback = made.vjp(x, initial_state=start, lengths=lengths)
            slopes = [np.cos(np.arange(y.size)).reshape(y.shape) for y in outputs]
            dx, dstart = pullback.with_states(slopes[0], slopes[1:])
            found.append([*outputs, dx, *dstart, made.flat_gradients.copy()])
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-12)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_through_a_cell_of_ones_own_are_right(sequences, go_backwards):
    layer = recurra.RNN(Leaky(H), sequences, True, go_backwards)
    assert isinstance(layer, CellRNN)
    for lengths in (None, LENGTHS):
        for start in (None, [x64(N, H), x64(N, 1)]):
            result = recurra.gradcheck(layer, x64(), initial_state=start, lengths=lengths, max_elements=20)
            assert result.passed, str(result)


def test_a_cell_of_ones_own_counts_the_steps_of_each_sample():
    layer = recurra.RNN(Leaky(H), return_sequences=True, return_state=True)
    y, _, count = layer(x64().astype(np.float32), lengths=LENGTHS)
    np.testing.assert_array_equal(count[:, 0], LENGTHS)
    assert not y[np.arange(T) >= LENGTHS[:, None]].any()


MIXED = {
    "fused": lambda **o: recurra.RNN([recurra.LSTMCell(H), recurra.GRUCell(3), recurra.SimpleRNNCell(2)], **o),
    "mixed": lambda **o: recurra.RNN(recurra.StackedRNNCells([recurra.LSTMCell(H), Leaky(3), recurra.GRUCell(2)]), **o),
}


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", MIXED)
def test_a_stack_is_its_layers_one_after_the_other(kind, go_backwards):
    stack = MIXED[kind](return_state=True, go_backwards=go_backwards).clone("float64")
    assert isinstance(stack, RecurrentStack)
    x = x64()
    for lengths in (None, LENGTHS):
        y, *states = stack(x, lengths=lengths)
        inner, expected = x, []
        for layer in stack.layers:
            inner, *new = layer(inner, lengths=lengths)
            expected += new
        np.testing.assert_array_equal(y, inner)
        assert [state.shape[1] for state in states] == stack.state_sizes
        for state, new in zip(states, expected, strict=True):
            np.testing.assert_array_equal(state, new)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", MIXED)
def test_gradients_of_a_stack_are_right_from_states_to_states(kind, sequences):
    stack = MIXED[kind](return_state=True, return_sequences=sequences)
    stack.ensure_built((N, T, F))
    start = [x64(N, size) for size in stack.state_sizes]
    for initial in (None, start):
        result = recurra.gradcheck(stack, x64(), initial_state=initial, lengths=LENGTHS, max_elements=12)
        assert result.passed, str(result)


def test_states_may_come_nested_as_keras_lists_them():
    stack = MIXED["fused"](return_state=True)
    x = x64().astype(np.float32)
    stack(x)
    h, c, g, r = (x64(N, size).astype(np.float32) for size in stack.state_sizes)
    for flat, nested in zip(stack(x, [h, c, g, r]), stack(x, [[h, c], g, [r]]), strict=True):
        np.testing.assert_array_equal(flat, nested)


def test_stacked_cells_step_like_their_layer():
    cells = recurra.StackedRNNCells([recurra.LSTMCell(H, seed=1), recurra.GRUCell(3, seed=2)])
    layer = recurra.RNN([recurra.LSTMCell(H, seed=1), recurra.GRUCell(3, seed=2)])
    x, states = x64().astype(np.float32), cells.get_initial_state(N)
    for t in range(T):
        y, states = cells(x[:, t], states)
    np.testing.assert_allclose(y, layer(x), atol=1e-6)
    assert cells.output_size == 3


@pytest.mark.parametrize("kind", MIXED)
def test_stacks_stream_train_are_copied_and_pickled(kind):
    stack = MIXED[kind](return_sequences=True)
    model = recurra.Sequential([stack, recurra.Dense(1)])
    model.compile("adam", "mse")
    x = x64(8, 12, F).astype(np.float32)
    history = model.fit(x, x[:, :, :1], epochs=3, batch_size=4, verbose=0, seed=1, tbptt=5).history["loss"]
    assert history[-1] < history[0]
    expected, stream = model(x), model.stream(8)
    for t in range(12):
        np.testing.assert_allclose(stream.step(np.ascontiguousarray(x[:, t])), expected[:, t], atol=1e-6)
    for copy in (stack.clone(), pickle.loads(pickle.dumps(stack))):
        np.testing.assert_array_equal(copy(x), stack(x))
    trained = recurra.RNN(Leaky(2))
    y = trained(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(trained))(x), y)


def test_a_file_names_cells_of_ones_own(tmp_path):
    model = recurra.Sequential([MIXED["mixed"](), recurra.Dense(1)])
    x = x64().astype(np.float32)
    y = model(x)
    model.save(tmp_path / "m.safetensors")
    loaded = recurra.load_model(tmp_path / "m.safetensors", custom_objects={"Leaky": Leaky})
    np.testing.assert_array_equal(loaded(x), y)
    with pytest.raises(ValueError, match="Leaky"):
        recurra.load_model(tmp_path / "m.safetensors")


def test_states_of_a_stack_pass_through_a_graph():
    source, target = recurra.Input((None, F)), recurra.Input((None, F))
    _, *states = MIXED["mixed"](return_state=True)(source)
    decoded = MIXED["mixed"](return_sequences=True)(target, initial_state=states)
    model = recurra.Model([source, target], decoded)
    result = recurra.gradcheck(model, [x64(), x64()], lengths=[LENGTHS, None], max_elements=12)
    assert result.passed, str(result)


def test_dropout_of_cells_reaches_the_stack():
    stack = recurra.RNN([recurra.LSTMCell(H, dropout=0.5), recurra.GRUCell(3)])
    assert stack.random
    x = x64().astype(np.float32)
    assert (stack(x, training=True, seed=1) != stack(x)).any()
    cell = recurra.LSTMCell(H, dropout=0.5)
    start = cell.get_initial_state(N)
    assert (cell(x[:, 0], start, training=True, seed=1)[0] != cell(x[:, 0], start)[0]).any()


def built_cell():
    cell = recurra.LSTMCell(4)
    cell.build((None, 3))
    return cell


ONE = np.ones((2, 3), np.float32)
MISTAKES = [
    (
        lambda: recurra.RNN("lstm"),
        "cell: expected a cell such as LSTMCell(20), or a class derived from Cell, got 'lstm'",
    ),
    (lambda: recurra.RNN([]), "cell: expected at least one cell, got none"),
    (lambda: recurra.RNN([recurra.LSTM(4)]), "cell: expected a cell such as LSTMCell(20)"),
    (lambda: recurra.RNN(built_cell()), "cell: expected a cell not built yet, got 'lstmcell', which is built"),
    (lambda: recurra.LSTMCell(4, num_layers=2), "cell: expected arguments of a single step, got num_layers; give"),
    (lambda: recurra.LSTMCell(0), "units: expected an integer from 1"),
    (lambda: built_cell()(ONE, [ONE]), "states: expected 2 arrays, got 1"),
    (lambda: built_cell()(ONE, [ONE, ONE]), "states[0]: expected shape (2, 4), got (2, 3)"),
    (lambda: built_cell()(ONE[:, :2], [ONE, ONE]), "x: expected shape (batch, 3), got (2, 2)"),
    (lambda: MIXED["fused"]()(np.ones((2, 5, 3), np.float32), [ONE]), "initial_state: expected 4 arrays, got 1"),
    (lambda: RecurrentStack([recurra.LSTM(4)]), "layers[0]: expected a layer that returns what the next one reads"),
    (lambda: recurra.RNN(Cell())(np.ones((2, 5, 3), np.float32)), "state_size: expected an int or a list of ints"),
]


@pytest.mark.parametrize(("call", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_is_explained(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(message)
