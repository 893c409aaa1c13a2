"""``python -m recurra.bench``: a minute's comparison with NumPy on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

import recurra
from recurra.bench import report
from recurra.bench.cases import CASES, QUICK
from recurra.bench.contest import Contestant, contest
from recurra.bench.sides import SIDES


def main(arguments: list[str] | None = None, *, names: tuple[str, ...] = QUICK, seconds: float = 4.0) -> None:
    """Run the cases named, print a table, store JSON on request."""
    parser = argparse.ArgumentParser(prog="python -m recurra.bench", description="Speed against the NumPy reference.")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=seconds, help="for each case (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=recurra.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="PATH", help="store the results here")
    options = parser.parse_args(arguments)
    facts = report.machine("numpy")
    print(f"{facts['cpu']}, {facts['isa']}, recurra {facts['recurra']}, numpy {facts['numpy']}")
    print("ratio: times faster than the NumPy reference, median of turns\n")
    print(report.header("recurra", ["numpy"]))
    results = []
    sides = {name: Contestant(builder, options.threads) for name, builder in SIDES.items()}
    for case in CASES:
        if case.name in names and options.cases in case.name:
            results.append(contest(case, sides, seconds=options.seconds))
            print(report.row(results[-1], "recurra", ["numpy"]), flush=True)
    if options.json:
        report.write(options.json, facts, results)


if __name__ == "__main__":
    main()
