"""Planted mistakes: the comparison that the engine's tests use must see each of them, far above its tolerance.

One side computes the problem as it is; the other one, the reference, computes it with a mistake: in its parameters, its
options, its call or its code.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from cases import CASES, Problem, errors, is_gradient, problem, run
from recurra import reference
from recurra.reference import layer, random, stack
from recurra.reference.activations import Gate
from recurra.reference.cells import GRU, LSTM

FORWARD, BACKWARD = 2e-5, 1e-4  # the widest tolerances, those of float32
FAR = 30  # how many times the tolerance a mistake is away, at least


def right(name: str, **call: Any) -> tuple[Problem, dict[str, np.ndarray]]:
    given = problem(CASES[name], (4, 6, 3, 5), **call)
    return given, run(reference.Recurrent, given)


def excess(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the errors of what both have, in units of the tolerance."""
    common = [name for name in expected if name in actual and actual[name].shape == expected[name].shape]
    found = errors({name: actual[name] for name in common}, {name: expected[name] for name in common})
    return {name: value / (BACKWARD if is_gradient(name) else FORWARD) for name, value in found.items()}


def assert_seen(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], *, forward: bool = True) -> None:
    """Fail unless the outputs (or, for a mistake in backward, a gradient) are far off."""
    far = excess(actual, expected)
    if forward:
        assert max(far["y"], far["hn"]) > FAR
    else:
        assert max(value for name, value in far.items() if not is_gradient(name)) == 0
        assert max(value for name, value in far.items() if is_gradient(name)) > FAR


def block(given: Problem, name: str) -> np.ndarray:
    """Return one parameter of a problem as a view, gates along the first axis: (G, H, ...)."""
    for entry, shape, offset in reference.Recurrent(**given.options).layout:
        if entry == name:
            part = given.weights[offset : offset + int(np.prod(shape))]
            return part.reshape(-1, given.options["hidden_size"], *shape[1:])
    raise AssertionError(f"no parameter {name}")


GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}
PARAMETERS = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
DROPPED = [(cell, name, gate) for cell in GATES for name in PARAMETERS for gate in range(GATES[cell])]
SWAPPED = [
    (cell, name, one, other)
    for cell in GATES
    for name in PARAMETERS
    for one in range(GATES[cell])
    for other in range(one)
]


@pytest.mark.parametrize("states", [False, True], ids=["zero state", "state"])
@pytest.mark.parametrize(("cell", "name", "gate"), DROPPED)
def test_a_dropped_weight_or_bias_of_any_gate_is_seen(cell, name, gate, states):
    given, expected = right(f"{cell}-plain", states=states)
    block(given, name)[gate] = 0
    assert_seen(run(reference.Recurrent, given), expected)


@pytest.mark.parametrize(
    ("cell", "gate"),  # all but those that multiply a zero state: the LSTM's f, the reset gate of a reset-before GRU
    [
        ("rnn", 0),
        ("lstm", 0),
        ("lstm", 2),
        ("lstm", 3),
        *(("gru", gate) for gate in range(3)),
        *(("gru_before", gate) for gate in (1, 2)),
    ],
)
def test_a_dropped_recurrent_bias_is_seen_in_the_first_step_from_a_zero_state(cell, gate):
    given = problem(CASES[f"{cell}-plain"], (4, 1, 3, 5), states=False)
    expected = run(reference.Recurrent, given)
    block(given, "bias_hh_l0")[gate] = 0
    assert_seen(run(reference.Recurrent, given), expected)


@pytest.mark.parametrize(("cell", "name", "one", "other"), SWAPPED)
def test_any_two_swapped_gates_are_seen(cell, name, one, other):
    given, expected = right(f"{cell}-plain")
    gates = block(given, name)
    gates[[one, other]] = gates[[other, one]]
    assert_seen(run(reference.Recurrent, given), expected)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("lstm-peepholes", "weight_ph_l0"),
        ("lstm-peepholes_coupled", "weight_ph_l0"),
        ("lstm-layer_norm", "weight_ln_ih_l0"),
        ("lstm-layer_norm", "weight_ln_hh_l0"),
        ("lstm-layer_norm", "weight_ln_c_l0"),
        ("lstm-layer_norm", "bias_ln_c_l0"),
        ("gru-layer_norm", "weight_ln_hh_l0"),
        ("gru_before-layer_norm", "weight_ln_hh_l0"),
        ("rnn-layer_norm", "weight_ln_hh_l0"),
    ],
)
def test_a_dropped_block_of_a_variants_parameter_is_seen(name, parameter):
    given, _ = right(name)
    for gate in range(len(block(given, parameter))):
        mutant, expected = right(name)
        block(mutant, parameter)[gate] = 0
        assert_seen(run(reference.Recurrent, mutant), expected)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("rnn-clip", "clip", 0.0),
        ("lstm-clip", "clip", 0.0),
        ("gru-clip", "clip", 0.0),
        ("gru_before-clip", "clip", 0.0),
        ("lstm-peepholes_clip_bidirectional", "clip", 0.0),
        ("lstm-peepholes_coupled_clip", "clip", 0.0),
        ("lstm-everything", "clip", 0.0),
        ("gru-everything", "clip", 0.0),
        ("lstm-cell_clip", "cell_clip", 0.0),
        ("lstm-cell_clip_projection", "cell_clip", 0.0),
        ("lstm-cell_clip_peepholes_zoneout", "cell_clip", 0.0),
        ("lstm-everything", "cell_clip", 0.0),
        ("gru-plain", "reset_after", False),
        ("gru-layer_norm", "reset_after", False),
        ("rnn-go_backwards", "go_backwards", False),
        ("gru-bidirectional_sum", "merge_mode", "ave"),
        ("gru-bidirectional_sum", "merge_mode", "mul"),
        ("gru-dropout", "dropout", 0.0),
        ("gru-interlayer_dropout", "interlayer_dropout", 0.0),
        ("gru-recurrent_dropout", "recurrent_dropout", 0.0),
        ("gru-zoneout", "zoneout", (0.0, 0.0)),
        ("lstm-zoneout_c", "zoneout", (0.0, 0.0)),
        ("lstm-zoneout_both", "zoneout", (0.3, 0.2)),
        ("lstm-activation-hard_sigmoid", "activation", ("hard_sigmoid", 0.2, 0.5)),
        ("lstm-recurrent_activation-hard_sigmoid", "recurrent_activation", ("hard_sigmoid", 0.2, 0.5)),
        ("lstm-output_activation-relu", "output_activation", ("tanh", 0.0, 0.0)),
        ("gru-activation-relu", "activation", ("leaky_relu", 0.01, 0.0)),
    ],
)
def test_a_wrong_option_is_seen(name, option, value):
    given, expected = right(name)
    given.options = given.options | {option: value}
    assert_seen(run(reference.Recurrent, given), expected)


@pytest.mark.parametrize("name", ["lstm-everything", "gru-everything", "rnn-everything_random"])
@pytest.mark.parametrize(
    "mistake",
    [
        {"h0": None},
        {"lengths": None},
        {"training": False},
        {"seed": 1},
    ],
    ids=lambda mistake: next(iter(mistake)),
)
def test_a_wrong_call_is_seen(name, mistake):
    given, expected = right(name, lengths=True)
    for part, value in mistake.items():
        if part in given.call:
            given.call = given.call | {part: value}
        else:
            setattr(given, part, value)
    assert_seen(run(reference.Recurrent, given), expected)


def test_a_forgotten_initial_cell_state_is_seen():
    given, expected = right("lstm-plain")
    given.c0 = None
    assert_seen(run(reference.Recurrent, given), expected)


def ending_together(steps: int, lengths: np.ndarray) -> np.ndarray:
    """Reverse from the longest sample's end: wrong."""
    return np.broadcast_to(np.arange(steps)[::-1, np.newaxis], (steps, lengths.size))


def unscaled(rate: float, words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Forget the factor 1 / (1 - rate): wrong."""
    return (~random.drawn(rate, words)).astype(dtype)


def early_peephole(step: Callable) -> Callable:
    """Let the output gate's peephole look at the old c: wrong."""

    def mutant(self: LSTM, a: np.ndarray, h: np.ndarray, h_dropped: np.ndarray, c: np.ndarray) -> Any:
        new = step(self, a, h, h_dropped, c)
        a = a.copy()
        self.blocks(a)[-1][...] += self.peepholes["o"] * (c - new.c)
        return step(self, a, h, h_dropped, c)

    return mutant


def dropped_everywhere(step: Callable) -> Callable:
    """Let the dropped h enter z * h as well: wrong."""
    return lambda self, a, h, h_dropped, c: step(self, a, h_dropped, h_dropped, c)


FORWARD_MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "reverse starts at the longest end": ("gru-bidirectional", stack, "reversed_order", ending_together),
    "dropout without its scale": ("gru-dropout", random, "dropout_mask", unscaled),
    "dropout on z * h": ("gru-recurrent_dropout", GRU, "step", dropped_everywhere(GRU.step)),
    "o looks at the old c": ("lstm-peepholes", LSTM, "step", early_peephole(LSTM.step)),
    "o looks at the old c, coupled": ("lstm-peepholes_coupled", LSTM, "step", early_peephole(LSTM.step)),
    "another epsilon in layer normalisation": (
        "lstm-layer_norm",
        reference.product,
        "EPSILON",
        1e-3,
    ),
}


@pytest.mark.parametrize(("name", "place", "attribute", "mutant"), FORWARD_MISTAKES.values(), ids=FORWARD_MISTAKES)
def test_a_mistake_in_forward_is_seen(monkeypatch, name, place, attribute, mutant):
    given, expected = right(name, lengths=True)
    monkeypatch.setattr(place, attribute, mutant)
    assert_seen(run(reference.Recurrent, given), expected)


def without(*fields: str) -> Callable:
    """Make a cell's backward forget parts of its result."""

    def decorate(backward: Callable) -> Callable:
        def mutant(self: Any, *arguments: Any) -> Any:
            gradient = backward(self, *arguments)
            return gradient._replace(**{field: np.zeros_like(getattr(gradient, field)) for field in fields})

        return mutant

    return decorate


def unclamped(self: Gate, dy: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Pass the gradient on where z was clamped: wrong."""
    return dy * self.activation.slope(y)


def always_alive(d: np.ndarray, mask: Any, step: int, alive: np.ndarray) -> tuple:
    """Propagate through steps beyond the length: wrong."""
    return d, None


def swapped(merge_backward: Callable) -> Callable:
    """Exchange the directions' gradients: wrong."""
    return lambda *arguments: merge_backward(*arguments)[::-1]


BACKWARD_MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "no gradient through z * h": ("gru-plain", GRU, "backward", without("h")(GRU.backward)),
    "no gradient through the products": ("gru-plain", GRU, "backward", without("h_dropped")(GRU.backward)),
    "no gradient through c": ("lstm-plain", LSTM, "backward", without("c")(LSTM.backward)),
    "gradient where clamped, LSTM": ("lstm-clip", Gate, "backward", unclamped),
    "gradient where clamped, GRU": ("gru-clip", Gate, "backward", unclamped),
    "gradient where clamped, RNN": ("rnn-clip", Gate, "backward", unclamped),
    "gradient beyond a length": ("lstm-plain", layer, "_zone_out_backward", always_alive),
    "directions exchanged": ("rnn-bidirectional", stack, "merge_backward", swapped(stack.merge_backward)),
    "peepholes forgotten": ("lstm-peepholes", LSTM, "_peephole_backward", lambda *arguments: 0.0),
}


@pytest.mark.parametrize(("name", "place", "attribute", "mutant"), BACKWARD_MISTAKES.values(), ids=BACKWARD_MISTAKES)
def test_a_mistake_in_backward_is_seen(monkeypatch, name, place, attribute, mutant):
    given, expected = right(name, lengths=True)
    monkeypatch.setattr(place, attribute, mutant)
    assert_seen(run(reference.Recurrent, given), expected, forward=False)


def test_the_unchanged_problem_agrees():
    given, expected = right("lstm-everything", lengths=True)
    assert max(excess(run(reference.Recurrent, deepcopy(given)), expected).values()) == 0
