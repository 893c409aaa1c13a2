"""The gradients of the NumPy reference, against finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from cases import ACTIVATED, CALLS, CASES, STRUCTURES, Problem, problem
from recurra import reference

CENTRAL = {1: 1 / 2, -1: -1 / 2}  # multiples of the step and their weights: second order
FOURTH = {1: 2 / 3, -1: -2 / 3, 2: -1 / 12, -2: 1 / 12}
ATTEMPTS = ((3e-5, CENTRAL), (1e-3, FOURTH), (1e-4, FOURTH), (1e-6, CENTRAL))
"""Difference quotients: a cheap one; two for strong curvature or small gradients; one for the vicinity of a kink."""
TOLERANCE = 1e-7


def objective(plan: reference.Recurrent, given: Problem) -> float:
    """Return the scalar whose gradients backward() computes."""
    y, hn, cn = plan.forward(given.weights, given.x, given.h0, given.c0, given.lengths, **given.call)
    total = np.vdot(y, given.dy) + np.vdot(hn, given.dhn)
    return float(total if cn is None else total + np.vdot(cn, given.dcn))


def quotient(
    plan: reference.Recurrent, given: Problem, array: np.ndarray, way: np.ndarray, attempt: tuple[float, dict]
) -> float:
    """Return the difference quotient when ``array`` moves along ``way``."""
    step, shares = attempt
    start, total = array.copy(), 0.0
    for multiple, share in shares.items():
        array[...] = start + multiple * step * way
        total += share * objective(plan, given)
    array[...] = start
    return total / step


def parts(plan: reference.Recurrent, given: Problem) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each parameter, input and state of the problem as a view, beside its gradient."""
    tape = plan.vjp(given.weights, given.x, given.h0, given.c0, given.lengths, **given.call)[-1]
    gradients = np.zeros(plan.size)
    dx, dh0, dc0 = tape.backward(given.dy, given.dhn, given.dcn, gradients)
    result = {}
    for name, shape, offset in plan.layout:
        part = slice(offset, offset + int(np.prod(shape)))
        result[name] = given.weights[part], gradients[part]
    result |= {"x": (given.x, dx), "h0": (given.h0, dh0), "c0": (given.c0, dc0)}
    return {name: (array, gradient) for name, (array, gradient) in result.items() if array is not None}


def disagreement(measure: Callable[[tuple], float], expected: float, scale: float) -> list[float]:
    """Return the relative errors of one attempt after the other, until one is within the tolerance."""
    wrong: list[float] = []
    for attempt in ATTEMPTS:
        wrong.append(abs(measure(attempt) - expected) / scale)
        if wrong[-1] <= TOLERANCE:
            break
    return wrong


def check_gradients(given: Problem, *, every_element: bool = False) -> None:
    """Check all parts: element by element, or along one random way that moves all elements at once."""
    plan, rng = reference.Recurrent(**given.options), np.random.default_rng(0)
    for name, (array, gradient) in parts(plan, given).items():
        scale = float(np.abs(gradient).max()) or 1.0
        if every_element:
            ways = list(np.eye(array.size).reshape(array.size, *array.shape))
        else:
            ways = [rng.choice((-1.0, 1.0), array.shape) * rng.uniform(0.5, 1, array.shape) / np.sqrt(array.size)]
        for way in ways:
            wrong = disagreement(partial(quotient, plan, given, array, way), float(np.vdot(gradient, way)), scale)
            assert min(wrong) <= TOLERANCE, f"{name}: relative errors {wrong}"


@pytest.mark.parametrize("case", STRUCTURES.values(), ids=STRUCTURES)
def test_gradients_of_every_variant_are_difference_quotients(case):
    check_gradients(problem(case, (3, 3, 2, 3), lengths=True))


@pytest.mark.parametrize("case", ACTIVATED.values(), ids=ACTIVATED)
def test_gradients_of_every_activation_are_difference_quotients(case):
    check_gradients(problem(case, (2, 2, 1, 3)))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", ["lstm-everything", "gru-everything", "rnn-everything_random"])
def test_gradients_of_every_way_of_calling_are_difference_quotients(name, call):
    check_gradients(problem(CASES[name], (3, 3, 2, 3), **call))


@pytest.mark.parametrize(
    "name", ["rnn-plain", "lstm-plain", "lstm-peepholes_coupled_clip", "gru-plain", "gru_before-plain"]
)
def test_each_single_gradient_is_a_difference_quotient(name):
    check_gradients(problem(CASES[name], (2, 3, 2, 3), lengths=True), every_element=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_single_gradient_of_every_case_is_a_difference_quotient(case):
    check_gradients(problem(case, (3, 3, 2, 3), lengths=True), every_element=True)
