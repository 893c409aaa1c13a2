"""Fair timing: every side in a process of its own, outputs compared first, sides in turn, medians of ratios."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Builder

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from recurra._typing import Array

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RECURRA_NUM_THREADS")
TICK = 0.01  # seconds between looks at the processor time of a side that should be idle
TURN = 0.02  # seconds that a turn should last at least
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


def serve(connection: Connection, builder: Builder, case: Case) -> None:
    """Answer a contest from within the process of one side: "outputs", or a number of calls to time."""
    prepared = builder(case)
    gc.disable()
    while (request := connection.recv()) is not None:
        if request == "outputs":
            answer: Any = prepared.outputs()
        else:
            start = time.perf_counter()
            for _ in range(request):
                prepared.run()
            answer = (time.perf_counter() - start) / request
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


def contest(case: Case, builders: dict[str, Builder], *, threads: int, seconds: float) -> dict[str, Any]:
    """Time a case on every side, in turn, for about ``seconds``; the others are compared with the first side.

    Returns
    -------
    dict
        The case, threads, and for each side its median microseconds and GFLOP/s; for each rival the median and the
        quartiles of the ratio rival / first side (above 1: the first side is faster) and the difference of outputs.
    """
    with ExitStack() as stack, threads_in_environment(threads):
        sides = {}
        for name, builder in builders.items():
            sides[name] = Side(builder, case)
            stack.callback(sides[name].close)
        first, *rivals = sides
        outputs = sides[first].ask("outputs")
        errors = {name: check_equal(case, outputs, sides[name].ask("outputs"), name) for name in rivals}
        calls = {name: max(1, round(TURN / min(side.ask(1) for _ in range(3)))) for name, side in sides.items()}
        times: dict[str, list[float]] = {name: [] for name in sides}
        start = time.perf_counter()
        while len(times[first]) < 3 or time.perf_counter() - start < seconds:
            for name, side in sides.items():
                times[name].append(side.ask(calls[name]))
    result: dict[str, Any] = {"case": case.name, "threads": threads, "turns": len(times[first])}
    for name, values in times.items():
        middle = statistics.median(values)
        result[name] = {"microseconds": middle * 1e6, "gflops": case.flops() / middle / 1e9}
    for name in rivals:
        ratios = [rival / own for rival, own in zip(times[name], times[first], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        result[name] |= {"ratio": middle, "quartiles": [low, high], "difference": errors[name]}
    return result
