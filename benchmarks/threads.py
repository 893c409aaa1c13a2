"""All threads against one, in every case of the grid: a thread more must never cost time.

    pip install '.[bench]'
    python benchmarks/threads.py --cases 'lstm-*'

Both in one process and in turn, some milliseconds each, so that they meet the same machine: a virtual machine's cores
move nearer and farther from each other, which the time of a word there and back tells. A ratio is the median over turns
of the time on one thread / on all.
"""

import argparse
import fnmatch
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import recurra
from grid import grid
from recurra import _core
from recurra.bench.cases import Case
from recurra.bench.sides import recurra_side

BURST = 0.004  # seconds on so many threads in turn
FEW = 5  # turns that prove nothing: the cores may have moved meanwhile
FAR = 200  # nanoseconds there and back: cores that share no cache
# More rows, steps, inputs and units than the grid has: (T, N, I, H).
OTHERS = [
    *[(50, 2, 128, 128), (100, 2, 64, 64), (30, 3, 100, 200), (20, 1, 300, 300), (100, 4, 128, 128), (10, 8, 20, 20)],
    *[(10, 16, 32, 32), (5, 32, 64, 64), (2, 32, 20, 20), (1, 64, 64, 64), (50, 1, 96, 96), (100, 1, 192, 192)],
    *[(60, 1, 256, 256), (40, 6, 256, 256), (40, 5, 48, 48), (20, 12, 24, 24)],
]


def cases() -> list[Case]:
    """Return the grid and the other sizes."""
    more = []
    for cell in ("lstm", "gru", "rnn"):
        for steps, rows, inputs, units in OTHERS:
            for training in (False, True):
                name = f"{cell}-T{steps}-N{rows}-I{inputs}-H{units}-{'training' if training else 'forward'}"
                more.append(Case(name, cell, rows, steps, inputs, units, training=training))
    return grid() + more


def burst(run: Callable[[], Any], threads: int, calls: int) -> float:
    """Return the median time of some calls on so many threads, which are awake by then."""
    recurra.set_num_threads(threads)
    run()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare(case: Case, threads: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Return the times on one thread and on all, a pair for each turn, of near and of far cores."""
    run = recurra_side(case).run
    run()
    calls = max(1, int(BURST / burst(run, 1, 1)))
    pairs = defaultdict(list)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or sum(map(len, pairs.values())) < 3:
        before = _core.round_trip(threads) > FAR
        order = (1, threads) if len(pairs[before]) % 2 else (threads, 1)
        times = {count: burst(run, count, calls) for count in order}
        if (_core.round_trip(threads) > FAR) == before:
            pairs[before].append((times[1], times[threads]))
    return {"far" if far else "near": found for far, found in pairs.items() if found}


def main() -> None:
    """Print a line for each case, and those where one thread is faster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="*", metavar="PATTERN", help="such as 'lstm-*-forward' (default: all)")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case (default: %(default)s)")
    parser.add_argument("--most", type=float, default=0.03, help="loss that is a finding (default: %(default)s)")
    options = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(f"{threads} threads against 1; microseconds; far: a word there and back takes over {FAR} ns\n")
    slower = []
    for case in cases():
        if not fnmatch.fnmatch(case.name, options.cases):
            continue
        for cores, pairs in compare(case, threads, options.seconds).items():
            ratio = statistics.median(one / many for one, many in pairs)
            one, many = (1e6 * statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"{case.name:<34} {cores:<5} {one:11.1f} {many:11.1f} {ratio:6.2f}  {len(pairs)} turns", flush=True)
            if ratio < 1 - options.most and len(pairs) > FEW:
                slower.append(f"{case.name} ({cores} {ratio:.2f})")
    print("\nslower on all threads:", ", ".join(slower) or "none")


if __name__ == "__main__":
    main()
