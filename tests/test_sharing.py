"""How threads share the work of a layer: by rows or by units, on cores near or far apart (docs/decisions/0026)."""

import numpy as np
import pytest

from cases import STRUCTURES, assert_agree, assert_same, problem, run, run_on
from recurra import _core, reference
from recurra.bench import probe

pytestmark = pytest.mark.usefixtures("threads")

NEAR, FAR = 80, 400  # nanoseconds
# Rows, time steps, inputs and units: fewer rows than threads, as many, twice and three times as many; a last vector
# that is full, and one that is not.
SIZES = [
    (1, 9, 20, 160),
    (1, 7, 150, 133),
    (1, 12, 90, 96),
    (1, 30, 64, 72),
    (2, 8, 33, 150),
    (3, 6, 140, 131),
    (4, 7, 20, 136),
    (5, 4, 20, 204),
    (6, 5, 30, 129),
]


@pytest.fixture(params=[NEAR, FAR], ids=["near", "far"])
def distance(request):
    """Cores that are so far apart."""
    _core.assume_round_trip(request.param)
    yield request.param
    _core.assume_round_trip(NEAR)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_sharing_changes_no_bit(cell, sizes, lengths, distance):
    case = problem({"cell": cell}, sizes, lengths=lengths)
    alone = run_on(case, 1)
    assert_agree(alone, run(reference.Recurrent, case), forward=1e-11, backward=1e-10)
    for threads in (2, 3, 4):
        assert_same(run_on(case, threads), alone)


@pytest.mark.parametrize("name", STRUCTURES)
def test_sharing_changes_no_bit_of_a_variant(name, distance):
    case = problem(STRUCTURES[name], (2, 8, 30, 132))
    assert_same(run_on(case, 2), run_on(case, 1))


def test_more_threads_than_watch_each_other_singly():
    case = problem({"cell": "lstm"}, (1, 5, 40, 1300))
    assert_same(run_on(case, 12), run_on(case, 1))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_windows_of_each_thread_serve_long_sequences_and_streams(cell):
    plan = _core.Recurrent(cell, 40, 640)  # of an RNN, too, a step is worth a second thread
    random = np.random.default_rng(0)
    weights = random.uniform(-0.1, 0.1, plan.size).astype(np.float32)
    x = random.standard_normal((1, 200, 40)).astype(np.float32)  # some windows
    found = []
    for threads in (1, 2, 3):
        _core.set_num_threads(threads)
        y, hn, _ = plan.forward(weights, x)
        stream = _core.Stream(plan, weights, 1)
        steps = []
        for t in range(20):  # the cores move, and a stream with them
            _core.assume_round_trip(FAR if t % 3 == 1 else NEAR)
            _core.set_num_threads(1 if t % 5 == 4 else threads)
            steps.append(stream.step(x[:, t]).copy())
        np.testing.assert_array_equal(np.stack(steps, 1), y[:, :20])
        found.append(np.concatenate([y.ravel(), hn.ravel()]))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_fewer_threads_backward_than_forward():
    plan = _core.Recurrent("gru", 30, 200)
    random = np.random.default_rng(0)
    weights = random.uniform(-0.1, 0.1, plan.size).astype(np.float32)
    x, dy = (random.standard_normal((1, 20, n)).astype(np.float32) for n in (30, 200))
    found = []
    for before, after in ((1, 1), (3, 1), (3, 2)):
        gradients = np.zeros(plan.size, np.float32)
        _core.set_num_threads(before)
        tape = plan.vjp(weights, x)[3]
        _core.set_num_threads(after)
        dx = tape.backward(dy, None, None, gradients)[0]
        found.append(np.concatenate([gradients, dx.ravel()]))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_the_distance_is_measured():
    if _core.config()["threading"] == "serial":
        pytest.skip("one thread has no other")
    _core.assume_round_trip(0)
    try:
        found = [_core.round_trip(2) for _ in range(3)]
        assert all(5 < each <= 500 for each in found)
        assert found[1] == found[2]  # not measured again at once
        assert probe.measure(2)["round_trip_ns"] > 5
    finally:
        _core.assume_round_trip(NEAR)
    assert _core.round_trip(2) == NEAR
