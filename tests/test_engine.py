"""The engine beside the float64 reference: every cell and variant, odd shapes, any strides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ACTIVATED, CALLS, CASES, SIZES, STRUCTURES, assert_agree, problem, run
from recurra import _core, reference

DOUBLE = {"forward": 1e-11, "backward": 1e-10}
SINGLE = {"forward": 2e-5, "backward": 1e-4}
TIME_MAJOR = {
    "lstm-plain": {"cell": "lstm"},
    "gru-bidirectional": {"cell": "gru", "bidirectional": True},
    "rnn-sum": {"cell": "rnn", "bidirectional": True, "merge_mode": "sum"},
    "lstm-two_layers": {"cell": "lstm", "num_layers": 2, "proj_size": 4},
}


def fitting(case, sizes):
    """The options, with a projection no wider than the layer."""
    return {**case, "proj_size": min(case["proj_size"], sizes[3])} if "proj_size" in case else case


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_variant_agrees_with_the_reference_at_every_size(name, call, training):
    for seed, sizes in enumerate(SIZES):
        case = problem(fitting(STRUCTURES[name], sizes), sizes, training=training, seed=seed, **CALLS[call])
        assert_agree(run(_core.Recurrent, case), run(reference.Recurrent, case), **DOUBLE)


@pytest.mark.parametrize("name", ACTIVATED)
def test_every_activation_agrees_with_the_reference(name):
    case = problem(ACTIVATED[name], (3, 4, 5, 11), lengths=True)
    assert_agree(run(_core.Recurrent, case), run(reference.Recurrent, case), **DOUBLE)


@pytest.mark.parametrize("name", [name for name in STRUCTURES if "everything" in name or "-" in name][::2])
def test_float32_is_as_near_as_its_precision_allows(name):
    case = problem(fitting(STRUCTURES[name], (5, 6, 9, 21)), (5, 6, 9, 21), lengths=True, seed=3)
    case.weights *= 0.5
    if "layer_norm" in case.options:
        pytest.skip("normalising nearly equal numbers loses digits by itself")
    assert_agree(run(_core.Recurrent, case, dtype="float32"), run(reference.Recurrent, case), **SINGLE)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("sizes", [(70, 9, 33, 130), (3, 40, 1, 64), (33, 3, 300, 17), (2, 25, 7, 260)])
def test_large_layers_agree_with_the_reference_in_float32(cell, sizes):
    case = problem({"cell": cell}, sizes, seed=1)
    case.weights *= 0.5
    assert_agree(run(_core.Recurrent, case, dtype="float32"), run(reference.Recurrent, case), **SINGLE)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("sizes", [(0, 4, 3, 5), (4, 0, 3, 5)])
def test_empty_batches_and_sequences_give_empty_results_and_kept_states(cell, sizes):
    plan = _core.Recurrent(cell, sizes[2], sizes[3], dtype="float64")
    h0 = np.ones((1, sizes[0], sizes[3]))
    y, hn, _, tape = plan.vjp(np.ones(plan.size), np.ones(sizes[:3]), h0)
    assert y.shape == (sizes[0], sizes[1], sizes[3])
    np.testing.assert_array_equal(hn, h0)
    gradients = np.zeros(plan.size)
    dx, dh0, _ = tape.backward(np.ones_like(y), h0, None, gradients)
    np.testing.assert_array_equal(gradients, 0)
    np.testing.assert_array_equal(dh0, h0)
    assert dx.shape == sizes[:3]


def layouts(x):
    """The same numbers in other strides."""
    wide = np.zeros((*x.shape[:2], 2 * x.shape[2]), x.dtype)
    wide[..., ::2] = x
    return {
        "time-major": np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2),
        "Fortran": np.asfortranarray(x),
        "every other feature": wide[..., ::2],
        "backwards in time": np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        "backwards in all": np.ascontiguousarray(x[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        "one row for all": x if x.shape[0] == 1 else np.ascontiguousarray(x),
    }


@settings(max_examples=60, deadline=None)
@given(
    cell=st.sampled_from(["rnn", "lstm", "gru"]),
    bidirectional=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 19), st.integers(1, 40)),
    lengths=st.booleans(),
    seed=st.integers(0, 99),
)
def test_strides_change_no_bit(cell, bidirectional, dtype, sizes, lengths, seed):
    case = problem({"cell": cell, "bidirectional": bidirectional}, sizes, dtype=dtype, lengths=lengths, seed=seed)
    plain = run(_core.Recurrent, case)
    for name, x in layouts(case.x).items():
        case.x = x
        plan = _core.Recurrent(**case.options, dtype=dtype)
        y, hn, _, tape = plan.vjp(case.weights, x, case.h0, case.c0, case.lengths, **case.call)
        np.testing.assert_array_equal(y, plain["y"], err_msg=name)
        np.testing.assert_array_equal(hn, plain["hn"], err_msg=name)
        dx = tape.backward(np.asfortranarray(case.dy), case.dhn, case.dcn, np.zeros(plan.size, dtype))[0]
        np.testing.assert_array_equal(dx, plain["dx"], err_msg=name)


def test_gradients_are_added_to_what_is_there():
    case = problem(CASES["lstm-everything"], (3, 4, 5, 6))
    plan = _core.Recurrent(**case.options, dtype="float64")
    found = []
    for start in (0.0, 1.0):
        gradients = np.full(plan.size, start)
        tape = plan.vjp(case.weights, case.x, case.h0, case.c0, **case.call)[3]
        tape.backward(case.dy, case.dhn, case.dcn, gradients)
        found.append(gradients)
    np.testing.assert_allclose(found[1] - 1, found[0], rtol=1e-9, atol=1e-12)


def test_a_kept_tape_gives_the_same_gradients_again_and_a_used_one_refuses():
    case = problem(CASES["lstm-layer_norm_peepholes_projection"], (3, 4, 5, 6))
    plan = _core.Recurrent(**case.options, dtype="float64")
    tape = plan.vjp(case.weights, case.x, **case.call)[3]
    first, second = np.zeros(plan.size), np.zeros(plan.size)
    tape.backward(case.dy, None, None, first, keep=True)
    tape.backward(case.dy, None, None, second)
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ValueError, match=r"^tape: expected one that has not been used"):
        tape.backward(case.dy, None, None, second)
    np.testing.assert_array_equal(first, second)


def test_changed_weights_are_seen_by_the_next_call():
    plan = _core.Recurrent("lstm", 3, 9, dtype="float32")
    weights, x = np.full(plan.size, 0.1, np.float32), np.ones((2, 4, 3), np.float32)
    before = plan.forward(weights, x)[0]
    weights[-1] = 0.5
    assert not np.array_equal(plan.forward(weights, x)[0], before)
    weights[-1] = 0.1
    np.testing.assert_array_equal(plan.forward(weights, x)[0], before)


@pytest.mark.parametrize("name", TIME_MAJOR)
@pytest.mark.parametrize("lengths", [False, True])
def test_time_major_changes_where_sequences_lie_and_no_bit(name, lengths):
    case = problem(TIME_MAJOR[name], (4, 7, 5, 9), lengths=lengths)
    plan = _core.Recurrent(**case.options, dtype="float64")
    arguments = (case.weights, case.x, case.h0, case.c0, case.lengths)
    plain, major = (plan.vjp(*arguments, time_major=flag) for flag in (False, True))
    again = plan.forward(*arguments, time_major=True)
    gradients = np.zeros((2, plan.size))
    dxs = [out[3].backward(case.dy, case.dhn, case.dcn, g)[0] for out, g in zip((plain, major), gradients, strict=True)]
    for expected, found in [(plain[0], major[0]), (plain[0], again[0]), (plain[1], major[1]), dxs, gradients]:
        np.testing.assert_array_equal(found, expected)
    for array in (major[0], again[0], dxs[1]):
        assert array.transpose(1, 0, 2).flags.c_contiguous


def test_gradients_of_weights_that_nobody_wants_change_no_other_bit():
    case = problem(CASES["lstm-everything"], (3, 4, 5, 6), lengths=True)
    plan = _core.Recurrent(**case.options, dtype="float64")
    wanted, spared = (
        plan.vjp(case.weights, case.x, case.h0, case.c0, case.lengths)[3].backward(case.dy, case.dhn, case.dcn, array)
        for array in (np.zeros(plan.size), None)
    )
    for expected, found in zip(wanted, spared, strict=True):
        np.testing.assert_array_equal(found, expected)
