"""Fair timing: every side in a process of its own, outputs compared first, sides in turn, medians of ratios."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Builder

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from recurra._typing import Array

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RECURRA_NUM_THREADS")
TICK = 0.01  # seconds between looks at the processor time of a side that should be idle
TURN = 0.02  # seconds that a turn should last at least
WARM = 0.03  # seconds of calls before a turn: a system takes a few ticks to move woken threads to a core of their own
# Largest difference between two sides, relative to the largest element: forward, gradients.
TOLERANCE = {"float32": (2e-5, 1e-4), "float64": (1e-12, 1e-11)}


def settle() -> None:
    """Wait until this process uses no processor: idle threads go on spinning for a while (OpenBLAS's for 0.1 s)."""
    used = time.process_time()
    while True:
        time.sleep(TICK)
        before, used = used, time.process_time()
        if used - before < TICK / 5:
            return


def peak_memory() -> float | None:
    """Return the most memory that this process has had, in mebibytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def growth(before: float | None) -> float | None:
    """Return by how much `peak_memory` has grown, None where it is not known."""
    now = peak_memory()
    return None if now is None or before is None else now - before


def timed(run: Callable[[], Any], calls: int) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def serve(connection: Connection, builder: Builder, case: Case) -> None:
    """Answer a contest from within the process of one side."""
    prepared = builder(case)
    gc.disable()
    before = peak_memory()
    while (request := connection.recv()) is not None:
        answer: Any
        if request == "ready":
            answer = True
        elif request == "outputs":
            answer = prepared.outputs()
        elif request == "memory":
            answer = growth(before)
        elif request == "first call":
            answer = timed(prepared.run, 1)
        else:
            start = time.perf_counter()
            while request > 1 and time.perf_counter() - start < WARM:
                prepared.run()
            answer = timed(prepared.run, request)
        settle()
        connection.send(answer)


class Side:
    """One contestant at one case, running in its own process."""

    def __init__(self, builder: Builder, case: Case) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=serve, args=(remote, builder, case), daemon=True)
        self._process.start()
        remote.close()

    def ask(self, request: Any) -> Any:
        """Send a request and return the answer; a side that failed has printed why."""
        try:
            self._connection.send(request)
            return self._connection.recv()
        except (EOFError, BrokenPipeError):
            raise RuntimeError("bench: a side ended early; its own message stands above") from None

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._connection.send(None)
        self._process.join(10)
        self._process.kill()


def check_equal(case: Case, ours: tuple[Array, ...], theirs: tuple[Array, ...], name: str) -> float:
    """Compare the outputs of two sides; return the largest relative difference, raise if it is too large."""
    worst = 0.0
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        limit = TOLERANCE[case.dtype][min(index, 1)]
        error = float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30))
        if not error <= limit:
            raise RuntimeError(f"bench: {case.name}: recurra and {name} differ by {error:.1e}, more than {limit:.0e}")
        worst = max(worst, error)
    return worst


@contextmanager
def threads_in_environment(threads: int) -> Iterator[None]:
    """Let processes started here use this many threads, whatever library they load."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Contestant(NamedTuple):
    """Who takes part: what prepares it, and the threads it gets."""

    builder: Builder
    threads: int


def contest(case: Case, contestants: dict[str, Contestant], *, seconds: float) -> dict[str, Any]:
    """Time a case on every side, in turn, for about ``seconds``; the others are compared with the first side.

    Returns
    -------
    dict
        ``case``, ``turns`` and ``sides``: for each its threads, median microseconds, GFLOP/s, microseconds of the first
        call and mebibytes that it took beyond its preparation (None where the system does not tell); for all but the
        first also the median and the quartiles of the ratio to the first side's time (above 1: the first side is
        faster) and the difference of outputs.
    """
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, contestant in contestants.items():
            with threads_in_environment(contestant.threads):
                sides[name] = Side(contestant.builder, case)
            stack.callback(sides[name].close)
        first, *rivals = sides
        for side in sides.values():
            side.ask("ready")  # all of them, before any is timed
        first_calls = {name: side.ask("first call") for name, side in sides.items()}
        outputs = sides[first].ask("outputs")
        errors = {name: check_equal(case, outputs, sides[name].ask("outputs"), name) for name in rivals}
        calls = {
            name: 1 if first_calls[name] > 10 * TURN else max(1, round(TURN / min(side.ask(1) for _ in range(3))))
            for name, side in sides.items()
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        start = time.perf_counter()
        while len(times[first]) < 3 or time.perf_counter() - start < seconds:
            for name, side in sides.items():
                times[name].append(side.ask(calls[name]))
        memory = {name: side.ask("memory") for name, side in sides.items()}
    results: dict[str, Any] = {}
    for name, values in times.items():
        middle = statistics.median(values)
        results[name] = {
            "threads": contestants[name].threads,
            "microseconds": middle * 1e6,
            "gflops": case.flops() / middle / 1e9,
            "first_call": first_calls[name] * 1e6,
            "memory": memory[name],
        }
    for name in rivals:
        ratios = [rival / own for rival, own in zip(times[name], times[first], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        results[name] |= {"ratio": middle, "quartiles": [low, high], "difference": errors[name]}
    return {"case": case.name, "turns": len(times[first]), "sides": results}
