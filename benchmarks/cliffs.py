"""Whether one unit, row, step or input more costs more than its share: time per operation along each size.

    pip install '.[bench]'
    python benchmarks/cliffs.py --plot benchmarks/results/cliffs.png

Each axis is walked in steps of one from a middle size, the others held. Sizes take turns, and each is timed many times;
the least counts. A cliff is where the time per operation rises by more than 15 % from one size to the next.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import recurra
from recurra.bench.cases import Case

BASE = {"units": 64, "rows": 32, "steps": 50, "inputs": 64}
WALKS = {
    "units": range(32, 137),
    "rows": range(1, 50),
    "steps": range(2, 65),
    "inputs": range(1, 100),
}
LETTERS = {"units": "H", "rows": "N", "steps": "T", "inputs": "I"}
MOST = 1.15


def case_of(cell: str, training: bool, **sizes: int) -> Case:
    """Return the case of these sizes, the others in the middle."""
    all_sizes = BASE | sizes
    name = cell + "".join(f"-{LETTERS[axis]}{size}" for axis, size in all_sizes.items())
    return Case(name, cell, training=training, **all_sizes)


class Side:
    """A layer ready to run one case."""

    def __init__(self, case: Case) -> None:
        layer = getattr(recurra, case.cell.upper())(case.units, return_sequences=True, seed=0)
        random = np.random.default_rng(0)
        x = random.standard_normal((case.rows, case.steps, case.inputs)).astype(np.float32)
        dy = random.standard_normal((case.rows, case.steps, case.units)).astype(np.float32)
        self.best, self.flops = float("inf"), case.flops()
        self.call = (lambda: layer.vjp(x)[1](dy)) if case.training else (lambda: layer(x))
        self.call()

    def turn(self) -> None:
        """Time one call."""
        start = time.perf_counter()
        self.call()
        self.best = min(self.best, time.perf_counter() - start)

    @property
    def cost(self) -> float:
        """Picoseconds an operation."""
        return 1e12 * self.best / self.flops


def walk(cell: str, training: bool, axis: str, rounds: int) -> list[float]:
    """Return the cost at each size of an axis."""
    sides = [Side(case_of(cell, training, **{axis: size})) for size in WALKS[axis]]
    for _ in range(rounds):
        for side in sides:
            side.turn()
    return [side.cost for side in sides]


def main() -> None:
    """Print the cliffs, and draw the walks."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=30, help="calls of each size")
    options.add_argument("--cells", nargs="+", default=["lstm", "gru", "rnn"])
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--plot", type=Path, help="where to draw them")
    chosen = options.parse_args()
    recurra.set_num_threads(chosen.threads)
    found = {}
    for cell in chosen.cells:
        for training in (False, True):
            for axis, sizes in WALKS.items():
                costs = found[cell, training, axis] = walk(cell, training, axis, chosen.rounds)
                rises = [
                    (after / before, size) for size, before, after in zip(sizes[1:], costs, costs[1:], strict=False)
                ]
                over = [f"{LETTERS[axis]}={size} ({rise - 1:+.0%})" for rise, size in rises if rise > MOST]
                worst = max(rises)
                kind = "training" if training else "forward"
                said = ", ".join(over) or f"none; most {worst[0] - 1:+.0%} at {LETTERS[axis]}={worst[1]}"
                print(f"{cell:5}{kind:10}{axis:8}{said}", flush=True)
    if chosen.plot:
        draw(found, chosen.plot)


def draw(found: dict[tuple[str, bool, str], list[float]], path: Path) -> None:
    """Draw the cost along each axis, a panel for each kind of pass."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, len(WALKS), figsize=(14, 6), sharey="row", layout="constrained")
    for (cell, training, axis), costs in found.items():
        panel = panels[int(training)][list(WALKS).index(axis)]
        panel.plot(list(WALKS[axis]), costs, label=cell.upper(), linewidth=1.2)
        panel.set_xlabel(f"{axis} ({LETTERS[axis]})")
        panel.set_title("training" if training else "forward", fontsize=10)
    for row in panels:
        row[0].set_ylabel("ps per floating-point operation")
        row[0].set_ylim(0, 3 * float(np.median([cost for costs in found.values() for cost in costs])))
    panels[0][0].legend(frameon=False)
    middle = ", ".join(f"{LETTERS[axis]}={size}" for axis, size in BASE.items())
    figure.suptitle(f"Cost of an operation along each size, the others at {middle}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
