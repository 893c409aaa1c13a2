"""The NumPy reference: golden vectors, known answers of the generator, and the rules around a step."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import golden_vectors
from cases import ACTIVATIONS, CASES, STRUCTURES, assert_agree, error, problem, run
from recurra import reference


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", golden_vectors.NAMES)
def test_golden_vectors_of_pytorch(name, dtype):
    given, expected = golden_vectors.load(name, dtype)
    actual = run(reference.Recurrent, given)
    assert actual.keys() - expected.keys() <= {"vjp y", "vjp hn", "vjp cn", "dh0", "dc0"}
    forward, backward = {"float32": (2e-5, 1e-4), "float64": (1e-12, 1e-12)}[dtype]
    assert_agree({part: actual[part] for part in expected}, expected, forward=forward, backward=backward)


def test_golden_vectors_are_all_there_and_small():
    sizes = [path.stat().st_size for path in golden_vectors.FOLDER.glob("*.npz")]
    assert len(sizes) == 30
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize(
    ("counter", "key", "answer"),  # Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers(counter, key, answer):
    counter, key, answer = ([int(word, 16) for word in words.split()] for words in (counter, key, answer))
    assert reference.philox4x32(counter, tuple(key)).tolist() == answer


def test_random_words_are_those_of_the_documented_counter():
    words = reference.random_words((7 << 32) + 5, 3, 2, 1, [10, 11], [4, 9], 6)
    assert words.shape == (2, 6)
    for place, (step, row) in enumerate([(10, 4), (11, 9)]):
        blocks = [reference.philox4x32([block, row, step, 3 + 16 + 512], (5, 7)) for block in (0, 1)]
        assert words[place].tolist() == np.concatenate(blocks)[:6].tolist()


def test_masks_have_their_rate_and_scale():
    plan = reference.Recurrent("rnn", 1000, 1, dropout=0.25, activation="identity")
    weights = np.zeros(plan.size)
    *_, tape = plan.vjp(np.ones(plan.size), np.zeros((50, 1, 1000)), training=True, seed=3)
    kept = tape.backward(np.ones((50, 1, 1)), None, None, weights)[0]
    assert set(np.unique(kept)) == {0.0, 1 / 0.75}
    assert abs((kept == 0).mean() - 0.25) < 0.01


def test_the_package_needs_numpy_alone():
    code = """
import sys
from recurra import reference
assert reference.Recurrent("gru", 2, 3).size == 45 + 18
print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "scipy"}), "recurra._core" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


@pytest.mark.parametrize("case", STRUCTURES.values(), ids=STRUCTURES)
def test_padding_is_never_read(case):
    given = problem(case, (4, 3, 3, 4), lengths=True)
    padding = np.arange(3) >= given.lengths[:, np.newaxis]
    expected = run(reference.Recurrent, given)
    assert not expected["y"][padding].any()
    assert not expected["dx"][padding].any()
    given.x[padding] = given.dy[padding] = np.nan
    actual = run(reference.Recurrent, given)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize("name", [name for name in STRUCTURES if "dropout" not in name and "random" not in name])
def test_a_shorter_length_equals_a_shorter_sequence(name):
    given = problem(CASES[name], (2, 4, 3, 4), training=False)
    plan = reference.Recurrent(**given.options)
    long = plan.forward(given.weights, given.x, given.h0, given.c0, np.array([2, 2]))
    short = plan.forward(given.weights, given.x[:, :2], given.h0, given.c0)
    for actual, expected in zip((long[0][:, :2], *long[1:]), short, strict=True):
        if expected is not None:
            assert error(actual, expected) <= 1e-14


@pytest.mark.parametrize("case", STRUCTURES.values(), ids=STRUCTURES)
def test_float32_stays_float32_and_agrees(case):
    given = problem(case, (3, 5, 4, 6), lengths=True, dtype="float32")
    single, double = run(reference.Recurrent, given), run(reference.Recurrent, given, dtype="float64")
    assert {value.dtype for value in single.values()} == {np.dtype("float32")}
    assert_agree(single, double, forward=2e-5, backward=1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("name", ["rnn-plain", "lstm-everything", "gru-everything", "gru_before-plain"])
def test_empty_batches_and_sequences_work(name, shape):
    given = problem(CASES[name], (*shape, 3, 4))
    results = run(reference.Recurrent, given)
    assert results["y"].shape == given.dy.shape
    np.testing.assert_array_equal(results["hn"], given.h0)
    np.testing.assert_array_equal(results["dh0"], given.dhn)


def test_a_tape_adds_into_the_gradients_and_serves_many_times():
    given = problem(CASES["lstm-everything"], lengths=True)
    plan = reference.Recurrent(**given.options)
    tape = plan.vjp(given.weights, given.x, given.h0, given.c0, given.lengths, **given.call)[-1]
    once, twice = np.zeros(plan.size), np.zeros(plan.size)
    first = tape.backward(given.dy, given.dhn, given.dcn, once)
    for _ in range(2):
        again = tape.backward(given.dy, given.dhn, given.dcn, twice, need_dx=True)
    np.testing.assert_array_equal(twice, 2 * once)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tape.backward(given.dy, None, None, once, need_dx=False)[0] is None


def test_nothing_is_dropped_in_inference_and_zoneout_takes_its_expectation():
    case = CASES["lstm-everything"]
    calm = {key: value for key, value in case.items() if "dropout" not in key}
    given = problem(case, training=False)
    results = run(reference.Recurrent, given)
    given.options = {**calm, "input_size": 4, "hidden_size": 6}
    assert_agree(results, run(reference.Recurrent, given), forward=0, backward=0)

    plan = reference.Recurrent("lstm", 1, 1, zoneout=(0.25, 0.5))
    weights, x = np.zeros(plan.size), np.zeros((1, 1, 1))  # gates one half, candidate 0: c~ = c / 2, o = 1/2
    _, hn, cn = plan.forward(weights, x, np.full((1, 1, 1), 4.0), np.full((1, 1, 1), 2.0))
    assert cn.item() == 1.0 + 0.5 * (2.0 - 1.0)
    assert hn.item() == pytest.approx(0.5 * np.tanh(1.0) + 0.25 * (4.0 - 0.5 * np.tanh(1.0)), abs=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_give_the_values_of_their_formulas(name):
    kind, alpha, beta = ACTIVATIONS[name]
    x = np.array([-800.0, -3.0, -0.5, 0.0, 0.05, 0.5, 3.0, 800.0])
    formulas = {
        "tanh": np.tanh,
        "sigmoid": lambda v: 0.5 + 0.5 * np.tanh(v / 2),
        "relu": lambda v: max(v, 0.0),
        "hard_sigmoid": lambda v: max(0.0, min(1.0, alpha * v + beta)),
        "softsign": lambda v: v / (1 + abs(v)),
        "softplus": lambda v: max(v, 0.0) + np.log1p(np.exp(-abs(v))),
        "elu": lambda v: v if v > 0 else alpha * (np.exp(v) - 1),
        "leaky_relu": lambda v: v if v > 0 else alpha * v,
        "thresholded_relu": lambda v: v if v > alpha else 0.0,
        "scaled_tanh": lambda v: alpha * np.tanh(beta * v),
        "affine": lambda v: alpha * v + beta,
        "identity": lambda v: v,
    }
    expected = [formulas[kind](value) for value in x]
    np.testing.assert_allclose(reference.Activation(kind, alpha, beta)(x), expected, rtol=1e-14, atol=1e-16)


def test_the_papers_functions_are_one_layer_of_the_class():
    rng = np.random.default_rng(0)
    for cell, function, extra in (
        ("rnn", reference.rnn, {}),
        ("lstm", reference.lstm, {"proj_size": 2}),
        ("lstm", reference.lstm, {"input_forget": True, "use_peepholes": True}),
        ("gru", reference.gru, {"reset_after": False}),
    ):
        plan = reference.Recurrent(cell, 3, 4, **extra)
        weights, x = rng.standard_normal(plan.size), rng.standard_normal((2, 5, 3))
        states = [rng.standard_normal((1, 2, plan.state_size))]
        states += [rng.standard_normal((1, 2, 4))] if cell == "lstm" else []
        y, *last = function(x, plan.parameters(weights)[0], *(state[0] for state in states), **extra)
        expected = plan.forward(weights, x, *states)
        for actual, value in zip((y, *last), expected, strict=False):
            np.testing.assert_array_equal(actual, value.reshape(actual.shape))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("lstn", 1, 1), {}, "cell: expected one of rnn, lstm, gru, got 'lstn'"),
        (("rnn", 1, 1), {"activation": "tanhh"}, "activation: expected one of .*, got 'tanhh'"),
        (("rnn", 1, 1), {"merge_mode": "add"}, "merge_mode: expected one of .*, got 'add'"),
        (("rnn", 1, 1), {"bidirectional": True, "go_backwards": True}, "go_backwards: expected False"),
        (("rnn", 1, 1), {"dropout": 1.0}, r"dropout: expected a rate in \[0, 1\), got 1.0"),
        (("rnn", 1, 1), {"zoneout": (0, 1.5)}, "zoneout: expected two rates"),
    ],
)
def test_a_wrong_option_is_told(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        reference.Recurrent(*arguments, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 3, 4))}, r"x: expected shape \(batch, time, 5\), got \(2, 3, 4\)"),
        ({"h0": np.zeros((2, 6))}, r"h0: expected shape \(1, 2, 6\), got \(2, 6\)"),
        ({"c0": np.zeros((1, 2, 6))}, "c0: expected None"),
        ({"weights": np.zeros(3)}, r"weights: expected shape \(\d+,\), got \(3,\)"),
        ({"lengths": [3, 4]}, r"lengths: expected 2 integers from 0 to 3, got \[3, 4\]"),
    ],
)
def test_a_wrong_array_is_told(change, message):
    plan = reference.Recurrent("gru", 5, 6)
    given = {"weights": np.zeros(plan.size), "x": np.zeros((2, 3, 5))} | change
    with pytest.raises(ValueError, match=message):
        plan.forward(**given)
