"""The same bits for any number of threads, any batch a row sits in, step by step or all at once."""

import numpy as np
import pytest

from cases import STRUCTURES, assert_same, problem, run_on
from recurra import _core

SHAPES = {  # (N, T, I, H): split by rows, by units, by directions
    "rows": (32, 12, 20, 64),
    "odd rows": (13, 11, 7, 50),
    "units": (1, 9, 40, 256),
    "units of three rows": (3, 6, 40, 270),
    "units of wide weights": (8, 3, 64, 520),
}


pytestmark = pytest.mark.usefixtures("threads")


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_change_no_bit(shape, cell, dtype, lengths):
    options = {"cell": cell, "bidirectional": shape == "odd rows"}
    case = problem(options, SHAPES[shape], dtype=dtype, lengths=lengths)
    alone = run_on(case, 1)
    for threads in (2, 3, 8):
        assert_same(run_on(case, threads), alone)


@pytest.mark.parametrize("name", STRUCTURES)
def test_threads_change_no_bit_of_any_variant_or_mask(name):
    case = problem(STRUCTURES[name], (24, 8, 30, 40), dtype="float32", lengths=True)
    alone = run_on(case, 1)
    for threads in (2, 3):
        assert_same(run_on(case, threads), alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", [name for name, options in STRUCTURES.items() if not {"bidirectional", "go_backwards"} & options.keys()]
)
def test_step_by_step_gives_the_bits_of_the_whole_sequence(name, dtype):
    case = problem(STRUCTURES[name], (7, 6, 5, 33), dtype=dtype)
    plan = _core.Recurrent(**case.options, dtype=dtype)
    y, hn, cn = plan.forward(case.weights, case.x, case.h0, case.c0)
    h, c = case.h0, case.c0
    for step in range(case.x.shape[1]):
        out, h, c = plan.forward(case.weights, case.x[:, step : step + 1], h, c)
        np.testing.assert_array_equal(out[:, 0], y[:, step])
    np.testing.assert_array_equal(h, hn)
    if cn is not None:
        np.testing.assert_array_equal(c, cn)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(33, 5, 9, 20), (6, 4, 300, 256)])
@pytest.mark.parametrize(
    "name", ["rnn-plain", "lstm-plain", "gru-plain", "gru_before-plain", "lstm-bidirectional_two_layers"]
)
def test_a_row_has_the_same_bits_in_any_batch(name, sizes, dtype):
    case = problem(STRUCTURES[name], sizes, dtype=dtype)
    plan = _core.Recurrent(**case.options, dtype=dtype)
    y, _, _, tape = plan.vjp(case.weights, case.x, case.h0, case.c0)
    dx = tape.backward(case.dy, None, None, np.zeros(plan.size, dtype))[0]
    for rows in (slice(0, 1), slice(2, 5), slice(sizes[0] - 1, None)):
        c0 = None if case.c0 is None else case.c0[:, rows]
        alone, _, _, tape = plan.vjp(case.weights, case.x[rows], case.h0[:, rows], c0)
        np.testing.assert_array_equal(alone, y[rows])
        np.testing.assert_array_equal(tape.backward(case.dy[rows], None, None, np.zeros(plan.size, dtype))[0], dx[rows])


@pytest.mark.parametrize("name", ["rnn-plain", "lstm-plain", "gru-plain", "lstm-bidirectional"])
def test_a_padded_row_has_the_bits_of_the_short_one(name):
    case = problem(STRUCTURES[name], (6, 9, 5, 33), dtype="float32", states=False)
    plan = _core.Recurrent(**case.options, dtype="float32")
    lengths = np.array([3, 9, 0, 5, 1, 9])
    y, _, _ = plan.forward(case.weights, case.x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, _, _ = plan.forward(case.weights, case.x[row : row + 1, :length])
        np.testing.assert_array_equal(y[row, :length], alone[0])
        np.testing.assert_array_equal(y[row, length:], 0)
