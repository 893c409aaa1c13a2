"""The benchmarks compare equal work, and refuse to time sides that disagree."""

import dataclasses
import os
import sys

import numpy as np
import pytest

from recurra.bench import report
from recurra.bench.cases import CASES, QUICK, Case
from recurra.bench.contest import Contestant, check_equal, contest, serve
from recurra.bench.sides import SIDES, numpy_side, recurra_side

TINY = Case("tiny", "gru", rows=3, steps=5, inputs=2, units=4, layers=2, bidirectional=True, ragged=True)


def test_names_of_cases_are_unique_and_the_quick_ones_exist():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert set(QUICK) <= set(names)


def test_data_of_a_case_is_the_same_in_every_process():
    for ours, again in zip(dataclasses.astuple(TINY.data()), dataclasses.astuple(TINY.data()), strict=True):
        np.testing.assert_array_equal(ours, again)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_both_sides_compute_the_same(cell, training, dtype):
    case = dataclasses.replace(TINY, cell=cell, training=training, dtype=dtype)
    ours, theirs = recurra_side(case).outputs(), numpy_side(case).outputs()
    assert len(ours) == (3 if training else 1)
    check_equal(case, ours, theirs, "numpy")


def test_sides_that_differ_are_not_timed():
    right = np.ones((2, 3), np.float32)
    with pytest.raises(RuntimeError, match="tiny: recurra and numpy differ by"):
        check_equal(TINY, (right * 1.0001,), (right,), "numpy")
    with pytest.raises(RuntimeError, match="differ by nan"):
        check_equal(TINY, (right * np.nan,), (right,), "numpy")


def test_operations_count_valid_steps_only():
    case = Case("count", "lstm", rows=2, steps=10, inputs=3, units=5)
    assert case.flops() == 2 * 10 * 2 * (4 * 5 * (3 + 5))
    assert dataclasses.replace(case, training=True).flops() == 3 * case.flops()
    ragged = dataclasses.replace(case, ragged=True)
    assert ragged.flops() == case.flops() * ragged.data().lengths.sum() / 20


class Asking:
    """A connection that asks what a contest asks."""

    def __init__(self, *requests):
        self.requests, self.answers = [*requests, None], []

    def recv(self):
        return self.requests.pop(0)

    def send(self, answer):
        self.answers.append(answer)


@pytest.mark.parametrize("told", [True, False])
def test_where_the_system_tells_neither_memory_nor_load_the_rest_is_measured(told, monkeypatch):
    if not told:  # as on Windows
        monkeypatch.setitem(sys.modules, "resource", None)
        monkeypatch.delattr(os, "getloadavg")
    asking = Asking("ready", "first call", 2, "memory")
    serve(asking, recurra_side, TINY)
    ready, *times, memory = asking.answers
    assert ready is True
    assert min(times) > 0
    assert memory >= 0 if told else memory is None
    assert (report.machine()["load"] is not None) == told


@pytest.mark.slow
def test_a_contest_runs_each_side_in_its_own_process_and_reports():
    result = contest(TINY, {name: Contestant(side, 1) for name, side in SIDES.items()}, seconds=0)
    assert result["turns"] == 3
    numpy_result = result["sides"]["numpy"]
    assert numpy_result["ratio"] > 0
    assert numpy_result["quartiles"][0] <= numpy_result["ratio"] <= numpy_result["quartiles"][1]
    assert all(side["first_call"] > 0 and side["memory"] >= 0 for side in result["sides"].values())
    assert "tiny" in report.row(result, "recurra", ["numpy"])
