"""Gradients of the weights where the rows of a batch are summed up in groups (docs/decisions/0025)."""

import numpy as np
import pytest

from cases import STRUCTURES, assert_agree, assert_same, problem, run, run_on
from recurra import _core, reference

GROUPS = {  # rows, time steps, inputs and units that make as many groups
    1: [(7, 40, 6, 8), (8, 2, 30, 40)],
    2: [(8, 20, 6, 8), (9, 21, 5, 20), (24, 30, 8, 12)],
    4: [(64, 12, 6, 8), (67, 30, 3, 17)],
    8: [(512, 6, 5, 4), (530, 9, 2, 3)],
}
SIZES = [sizes for some in GROUPS.values() for sizes in some]


pytestmark = pytest.mark.usefixtures("threads")


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_groups_agree_with_the_reference_and_threads_change_no_bit(cell, sizes, lengths):
    case = problem({"cell": cell}, sizes, lengths=lengths)
    alone = run_on(case, 1)
    assert_agree(alone, run(reference.Recurrent, case), forward=1e-12, backward=1e-11)
    for threads in (2, 3, 4, 5, 8):
        assert_same(run_on(case, threads), alone)


@pytest.mark.parametrize("name", STRUCTURES)
def test_groups_of_every_variant_agree_with_the_reference(name):
    case = problem(STRUCTURES[name], (24, 30, 8, 12), lengths=True)
    alone = run_on(case, 1)
    assert_agree(alone, run(reference.Recurrent, case), forward=1e-12, backward=1e-10)
    for threads in (2, 3):
        assert_same(run_on(case, threads), alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(8, 200, 16, 16), (64, 60, 20, 20)], ids=str)
def test_a_row_without_steps_or_gradient_counts_for_nothing(sizes, dtype):
    plan = _core.Recurrent("lstm", sizes[2], sizes[3], dtype=dtype)
    random = np.random.default_rng(0)
    weights = random.uniform(-0.3, 0.3, plan.size).astype(dtype)
    x = random.standard_normal(sizes[:3]).astype(dtype)
    dy = random.standard_normal((*sizes[:2], sizes[3])).astype(dtype)
    lengths = np.full(sizes[0], sizes[1])
    lengths[1::2] = 0
    found, expected = np.zeros(plan.size, dtype), np.zeros(plan.size, dtype)
    plan.vjp(weights, x, lengths=lengths)[3].backward(dy, None, None, found)
    plan.vjp(weights, x[::2])[3].backward(dy[::2], None, None, expected)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=np.abs(expected).max() * (1e-5 if dtype[5:] == "32" else 1e-13)
    )
