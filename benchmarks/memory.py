"""What memory a training step takes beyond what is there before it, on Linux.

    python benchmarks/memory.py

A step is forward and backward with all gradients. What it must keep for its backward pass are the gates, cell states
and hidden states of all time steps; outputs and the gradient of the input are returned. The rest is copies and scratch:
the last column is all but what is returned, as a multiple of what must be kept. Each case has a process of its own,
whose resident memory is read before the step and at its highest.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import recurra
from recurra.bench.cases import Case

CASES = [
    *(Case(f"{cell}-T100-N32-H128", cell, 32, 100, 128, 128, training=True) for cell in ("lstm", "gru", "rnn")),
    *(Case(f"lstm-T100-N32-H{units}", "lstm", 32, 100, units, units, training=True) for units in (20, 64)),
    Case("lstm-T100-N64-H256", "lstm", 64, 100, 256, 256, training=True),
    Case("lstm-T50-N64-H512", "lstm", 64, 50, 512, 512, training=True),
    Case("lstm-T1000-N16-H64", "lstm", 16, 1000, 64, 64, training=True),
]
GATES = {"lstm": 4, "gru": 4, "rnn": 0}  # an RNN's gate is its hidden state
STATES = {"lstm": 2, "gru": 1, "rnn": 1}
MOST = 1.3  # LSTM, from 64 units on


def resident(kind: str) -> int:
    """Return this process's resident bytes: now ("VmRSS") or at their highest ("VmHWM")."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))


def measure(case: Case) -> tuple[int, int]:
    """Return the bytes that a step takes, and those of what it returns."""
    layer = getattr(recurra, case.cell.upper())(case.units, return_sequences=True)
    x = np.ones((case.rows, case.steps, case.inputs), np.float32)
    dy = np.ones((case.rows, case.steps, case.units), np.float32)
    layer.vjp(x[:1, :2])[1](dy[:1, :2])  # weights, threads and code are there
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest is what is there now
    y, pullback = layer.vjp(x)
    dx = pullback(dy)
    return resident("VmHWM") - before, y.nbytes + dx.nbytes


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--check", action="store_true", help=f"fail if an LSTM from 64 units on takes more than {MOST}"
    )
    options.add_argument("--case", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.case:
        print(*measure(next(case for case in CASES if case.name == chosen.case)))
        return
    failed = False
    print(f"{'case':24}{'to keep':>12}{'taken':>12}{'returned':>12}{'rest / to keep':>18}")
    for case in CASES:
        command = [sys.executable, __file__, "--case", case.name]
        taken, returned = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        kept = 4 * case.rows * case.steps * case.units * (GATES[case.cell] + STATES[case.cell])
        ratio = (taken - returned) / kept
        failed |= case.cell == "lstm" and case.units >= 64 and ratio > MOST
        print(f"{case.name:24}{kept / 1e6:9.1f} MB{taken / 1e6:9.1f} MB{returned / 1e6:9.1f} MB{ratio:18.2f}")
    if chosen.check and failed:
        sys.exit(f"more than {MOST}")


if __name__ == "__main__":
    main()
