"""Every case that rivals publish or that we measured them at, against each rival that is installed.

    pip install '.[bench]'
    python benchmarks/rivals.py --json benchmarks/results/rivals.json

Each side runs in a process of its own, with 1 and with 2 threads; outputs are compared before anything is timed;
sides take turns, and a ratio is the median over turns of rival time / our time: above 1, recurra is faster.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from recurra.bench import report
from recurra.bench.cases import Case
from recurra.bench.contest import contest
from recurra.bench.sides import recurra_side
from rival_sides import INFERENCE_ONLY, RIVALS

LSTM_FORWARD = [
    (1, 1, 8), (1, 1, 64), (1, 1, 256), (100, 1, 32), (100, 1, 128), (100, 1, 512), (100, 32, 20), (50, 32, 64),
    (100, 32, 128), (100, 64, 256), (50, 64, 512), (50, 128, 1024), (1000, 16, 64),
]  # fmt: skip
LSTM_TRAINING = [
    (1, 1, 8), (100, 32, 20), (50, 32, 64), (100, 32, 128), (100, 64, 256), (50, 64, 512), (50, 128, 1024),
    (1000, 16, 64),
]  # fmt: skip
GRU = [(100, 32, 128), (50, 64, 512)]
RNN = [(100, 32, 128)]


def cases() -> list[Case]:
    """All cases; the inputs are as wide as the layer."""
    table = [
        ("lstm", False, LSTM_FORWARD),
        ("lstm", True, LSTM_TRAINING),
        ("gru", False, GRU),
        ("gru", True, GRU),
        ("rnn", False, RNN),
        ("rnn", True, RNN),
    ]
    return [
        Case(
            f"{cell}-{'training' if training else 'forward'}-T{steps}-N{rows}-H{units}",
            cell,
            rows,
            steps,
            inputs=units,
            units=units,
            training=training,
        )
        for cell, training, sizes in table
        for steps, rows, units in sizes
    ]


def main() -> None:
    """Run the cases asked for, print a table, store JSON."""
    parser = argparse.ArgumentParser(description="recurra against PyTorch, ONNX Runtime and OpenVINO.")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, help="default: every one that is installed")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="store the results here")
    options = parser.parse_args()
    installed = options.rivals or [name for name in RIVALS if find_spec(name)]
    facts = report.machine("numpy", "torch", "onnx", "onnxruntime", "openvino")
    print(f"{facts['cpu']}, {facts['isa']}, recurra {facts['recurra']}, {facts['versions']}")
    print(report.header("recurra", installed))
    results = []
    for case in cases():
        if options.cases not in case.name:
            continue
        rivals = {name: RIVALS[name] for name in installed if not (case.training and name in INFERENCE_ONLY)}
        if not rivals:
            continue
        for threads in options.threads:
            sides = {"recurra": recurra_side, **rivals}
            results.append(contest(case, sides, threads=threads, seconds=options.seconds))
            print(report.row(results[-1], "recurra", installed), flush=True)
    if options.json:
        report.write(options.json, facts, results)


if __name__ == "__main__":
    main()
