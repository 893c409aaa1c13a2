"""Every case against PyTorch, ONNX Runtime, OpenVINO, JAX and Keras, those that are installed.

    pip install '.[bench]'
    python benchmarks/rivals.py --json benchmarks/results/rivals.json
    python benchmarks/report.py benchmarks/results/rivals.json

Same weights, same inputs, the public interface of each. Every side runs in a process of its own, rivals once with one
thread and once with all; outputs (and gradients) are compared before anything is timed; sides take turns. A ratio is
the median over turns of a rival's time / ours: above 1, recurra is faster. The better of a rival's two counts.
"""

import argparse
import fnmatch
import os
from pathlib import Path
from typing import Any

from grid import grid
from recurra.bench import probe, report
from recurra.bench.contest import Contestant, contest
from recurra.bench.sides import recurra_side
from rival_sides import RIVALS, installed

PACKAGES = ("numpy", "torch", "onnx", "onnxruntime", "openvino", "jax", "keras", "tensorflow-cpu")
HEADER = f"{'case':<28} {'recurra us':>12} {'share':>6} {'x1':>8} {'rival us':>12} {'ratio':>6}  rival/threads"


def best_of(result: dict[str, Any]) -> str | None:
    """Name of the rival with the smallest median time, None without rivals."""
    rivals = [name for name in result["sides"] if not name.startswith("recurra")]
    return min(rivals, key=lambda name: result["sides"][name]["microseconds"], default=None)


def line(result: dict[str, Any], ceiling: float) -> str:
    """One result as a line of the table."""
    own, best = result["sides"]["recurra"], best_of(result)
    alone = result["sides"]["recurra/1"]["microseconds"] / own["microseconds"]
    rival = result["sides"][best] if best else None
    text = f"{rival['microseconds']:12.1f} {rival['ratio']:6.2f}  {best}" if rival else f"{'-':>12} {'-':>6}"
    share = own["gflops"] / ceiling
    return f"{result['case']:<28} {own['microseconds']:12.1f} {share:6.2f} {alone:8.2f} {text}"


def main() -> None:
    """Run the cases asked for, print a table, store JSON."""
    parser = argparse.ArgumentParser(description="recurra against its rivals.")
    parser.add_argument("--cases", default="*", metavar="PATTERN", help="such as 'lstm-*-forward' (default: all)")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, help="default: every one that is installed")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="store the results here")
    options = parser.parse_args()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({1, cpus})
    rivals = installed() if options.rivals is None else options.rivals
    facts = report.machine(*PACKAGES) | {"probe": probe.measure(cpus)}
    ceiling = facts["probe"]["product_gflops"]
    print(f"{facts['cpu']}, {facts['isa']}, {cpus} threads, recurra {facts['recurra']}, {facts['versions']}")
    print("probe:", ", ".join(f"{name} {value:.1f}" for name, value in facts["probe"].items()))
    print("share: of product_gflops; x1: our time on one thread / ours; ratio: best rival's time / ours\n")
    print(HEADER)
    results = []
    for case in grid():
        if not fnmatch.fnmatch(case.name, options.cases):
            continue
        sides = {"recurra": Contestant(recurra_side, cpus), "recurra/1": Contestant(recurra_side, 1)}
        for name in rivals:
            if RIVALS[name].serves(case):
                sides |= {f"{name}/{count}": Contestant(RIVALS[name].builder, count) for count in counts}
        results.append(contest(case, sides, seconds=options.seconds))
        print(line(results[-1], ceiling), flush=True)
        if options.json:  # after every case: a long run that is stopped keeps what it has
            report.write(options.json, facts, results)


if __name__ == "__main__":
    main()
