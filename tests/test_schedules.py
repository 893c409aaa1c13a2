"""Schedules against their formulas, step by step."""

import json
import math

import numpy as np
import pytest

from recurra.optimizers import schedules
from recurra.optimizers.schedules import SCHEDULES


def exponential(t, rate, steps, decay, staircase=False):
    return rate * decay ** (t // steps if staircase else t / steps)


def inverse(t, rate, steps, decay, staircase=False):
    return rate / (1 + decay * (t // steps if staircase else t / steps))


def piecewise(t, boundaries, values):
    return values[sum(t > boundary for boundary in boundaries)]


def polynomial(t, rate, steps, end_learning_rate=1e-4, power=1.0, cycle=False):
    while cycle and t > steps:
        return polynomial(t, rate, steps * math.ceil(t / steps), end_learning_rate, power)
    return (rate - end_learning_rate) * (1 - min(t, steps) / steps) ** power + end_learning_rate


def cosine(t, rate, steps, alpha=0.0, warmup_target=None, warmup_steps=0):
    if warmup_target is not None:
        if t < warmup_steps:
            return rate + (warmup_target - rate) * t / warmup_steps
        return cosine(t - warmup_steps, warmup_target, steps, alpha)
    return rate * ((1 - alpha) * (1 + math.cos(math.pi * min(t, steps) / steps)) / 2 + alpha)


def restarts(t, rate, steps, t_mul=2.0, m_mul=1.0, alpha=0.0):
    i, length = 0, steps
    while t >= length:
        t, i, length = t - length, i + 1, length * t_mul
    return rate * ((1 - alpha) * m_mul**i * (1 + math.cos(math.pi * t / length)) / 2 + alpha)


def one_cycle(
    t, top, total, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4, three_phase=False
):
    t, up, low = min(t, total - 1), pct_start * total - 1, top / div_factor
    corners, rates = [0, up, total - 1], [low, top, low / final_div_factor]
    if three_phase:
        corners, rates = [0, up, 2 * up, total - 1], [low, top, low, low / final_div_factor]
    if anneal_strategy == "linear":
        return float(np.interp(t, corners, rates))
    k = next(k for k in range(len(corners) - 1) if t <= corners[k + 1])
    share = (t - corners[k]) / (corners[k + 1] - corners[k])
    return rates[k + 1] + (rates[k] - rates[k + 1]) * (1 + math.cos(math.pi * share)) / 2


def warmup(t, rate, steps, initial_learning_rate=0.0):
    return initial_learning_rate + (rate - initial_learning_rate) * min(1, t / steps)


# By class name: the formula, and the arguments to try it with.
FORMULAS = {
    "ExponentialDecay": (exponential, [((0.1, 10, 0.5), {}), ((0.1, 7, 0.9), {"staircase": True})]),
    "InverseTimeDecay": (inverse, [((0.1, 10, 0.5), {}), ((0.1, 7, 0.9), {"staircase": True})]),
    "PiecewiseConstantDecay": (piecewise, [(([10, 20], [0.1, 0.01, 0.5]), {}), (([], [0.2]), {})]),
    "PolynomialDecay": (
        polynomial,
        [((0.1, 30), {}), ((0.1, 30, 0.01), {"power": 2.0}), ((0.1, 12), {"cycle": True, "power": 0.5})],
    ),
    "CosineDecay": (
        cosine,
        [((0.1, 30), {}), ((0.1, 30, 0.2), {}), ((0.01, 30), {"warmup_target": 0.5, "warmup_steps": 7, "alpha": 0.1})],
    ),
    "CosineDecayRestarts": (
        restarts,
        [((0.1, 8), {}), ((0.1, 8, 1.0, 0.5, 0.1), {}), ((0.1, 4), {"t_mul": 3.0, "m_mul": 0.7})],
    ),
    "OneCycleLR": (
        one_cycle,
        [
            ((0.1, 50), {}),
            ((0.1, 50), {"pct_start": 0.25, "div_factor": 5.0, "final_div_factor": 10.0}),
            ((0.1, 50), {"anneal_strategy": "linear"}),
            ((0.1, 50), {"three_phase": True}),
        ],
    ),
    "LinearWarmup": (warmup, [((0.1, 10), {}), ((0.1, 7), {"initial_learning_rate": 0.5})]),
}
CASES = [(name, *arguments) for name, (_, tried) in FORMULAS.items() for arguments in tried]


def test_every_schedule_has_a_formula_here():
    assert set(FORMULAS) == set(SCHEDULES) == {name for name in schedules.__all__ if name in FORMULAS}


@pytest.mark.parametrize(("name", "positional", "options"), CASES)
def test_each_step_is_that_of_the_formula(name, positional, options):
    schedule = SCHEDULES[name](*positional, **options)
    for t in range(100):
        rate = schedule(t)
        assert type(rate) is float
        assert rate == pytest.approx(FORMULAS[name][0](t, *positional, **options), rel=1e-9, abs=1e-15), t


@pytest.mark.parametrize(("name", "positional", "options"), CASES)
def test_a_schedule_is_rebuilt_from_its_configuration(name, positional, options):
    schedule = SCHEDULES[name](*positional, **options)
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is type(schedule)
    assert [again(t) for t in range(60)] == [schedule(t) for t in range(60)]


def test_restarts_come_on_time_for_any_factor():
    """Where the logarithm of a restart rounds to just below a whole number, it must not come a step late."""
    for t_mul in (2.0, 3.0, 5.0, 10.0):
        schedule, start = schedules.CosineDecayRestarts(1.0, 10, t_mul), 0.0
        for i in range(12):
            assert schedule(round(start)) == 1.0, (t_mul, i)
            start += 10 * t_mul**i


def test_one_cycle_counts_epochs_and_stays_where_it_ends():
    schedule = schedules.OneCycleLR(0.1, epochs=5, steps_per_epoch=10)
    assert schedule.total_steps == 50
    assert schedule(49) == schedule(50) == schedule(10**9) == pytest.approx(0.1 / 25 / 1e4)


@pytest.mark.parametrize(
    "options", [{"total_steps": 1}, {"total_steps": 10, "pct_start": 0.0}, {"total_steps": 10, "pct_start": 1.0}]
)
def test_one_cycle_has_a_rate_at_each_step_of_the_shortest_and_the_steepest(options):
    schedule = schedules.OneCycleLR(0.1, **options)
    assert all(0 <= schedule(t) <= 0.1 for t in range(12))


def test_a_warmup_leads_to_the_first_rate_of_its_schedule_and_hands_over():
    inner = schedules.ExponentialDecay(0.4, 10, 0.5)
    schedule = schedules.LinearWarmup(inner, 4)
    assert [schedule(t) for t in range(5)] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert schedule(14) == inner(10) == pytest.approx(0.2)
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert [again(t) for t in range(30)] == [schedule(t) for t in range(30)]
    assert schedules.LinearWarmup(0.3, 0)(0) == 0.3


def test_schedules_take_numpy_numbers():
    assert schedules.PolynomialDecay(np.float32(0.5), np.int64(10), 0.0)(np.int64(5)) == 0.25


def test_a_schedule_of_ones_own_is_rebuilt_by_its_class():
    class Own(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

        def get_config(self):
            return {}

    assert isinstance(schedules.deserialize({"class_name": "Own", "config": {}}, {"Own": Own}), Own)


WRONG = [
    (
        lambda: schedules.ExponentialDecay(-1, 10, 0.5),
        ValueError,
        "initial_learning_rate: expected a number of at least 0",
    ),
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), ValueError, "decay_steps: expected a number above 0, got 0"),
    (
        lambda: schedules.ExponentialDecay(0.1, 1, -0.5),
        ValueError,
        r"decay_rate: expected a number of at least 0, got -0\.5",
    ),
    (lambda: schedules.ExponentialDecay(0.1, 1, 0.5, 2), TypeError, "staircase: expected True or False, got 2"),
    (
        lambda: schedules.InverseTimeDecay("a", 1, 0.5),
        TypeError,
        "initial_learning_rate: expected a number of at least",
    ),
    (
        lambda: schedules.PiecewiseConstantDecay([1, 2], [1, 2]),
        ValueError,
        "values: expected 3, one more than there are b",
    ),
    (
        lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]),
        ValueError,
        "boundaries: expected ascending numbers, got",
    ),
    (lambda: schedules.PolynomialDecay(0.1, 10, cycle=3), TypeError, "cycle: expected True or False, got 3"),
    (
        lambda: schedules.PolynomialDecay(0.1, 10, power=-1),
        ValueError,
        "power: expected a number of at least 0, got -1",
    ),
    (lambda: schedules.CosineDecay(0.1, 10, alpha=2), ValueError, "alpha: expected a number from 0 to 1, got 2"),
    (
        lambda: schedules.CosineDecay(0.1, 10, warmup_steps=1.5),
        TypeError,
        r"warmup_steps: expected an integer, got 1\.5",
    ),
    (lambda: schedules.CosineDecayRestarts(0.1, 0), ValueError, "first_decay_steps: expected a number above 0, got 0"),
    (
        lambda: schedules.CosineDecayRestarts(0.1, 5, 0.5),
        ValueError,
        r"t_mul: expected a number of at least 1, got 0\.5",
    ),
    (
        lambda: schedules.OneCycleLR(0.1),
        ValueError,
        "total_steps: expected an integer from 1, got None; or both epochs",
    ),
    (lambda: schedules.OneCycleLR(0.1, 0), ValueError, "total_steps: expected an integer from 1 to"),
    (
        lambda: schedules.OneCycleLR(0.1, 5, anneal_strategy="x"),
        ValueError,
        "anneal_strategy: expected one of 'cos', 'lin",
    ),
    (lambda: schedules.OneCycleLR(0.1, 5, pct_start=2), ValueError, "pct_start: expected a number from 0 to 1, got 2"),
    (lambda: schedules.LinearWarmup(0.1, -1), ValueError, "warmup_steps: expected an integer from 0 to"),
    (lambda: schedules.LinearWarmup("a", 1), TypeError, "learning_rate: expected a number of at least 0, got 'a'"),
    (lambda: schedules.LearningRateSchedule()(0), NotImplementedError, "LearningRateSchedule defines no __call__"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_arguments_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
