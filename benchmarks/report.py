"""Prints what benchmarks/rivals.py stored, and draws it.

    python benchmarks/report.py benchmarks/results/rivals.json --plots benchmarks/results

Writes ratios.png (best rival's time / ours, case by case) and roofline.png (speed over arithmetic intensity).
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from grid import grid
from recurra.bench.cases import Case
from rivals import HEADER, best_of, line

WAYS = ("forward", "training")


def geometric_mean(values: list[float]) -> float:
    """The mean of ratios; NaN of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def ratio(result: dict[str, Any]) -> float | None:
    """Best rival's time / ours, None without rivals."""
    best = best_of(result)
    return result["sides"][best]["ratio"] if best else None


def intensity(case: Case) -> float:
    """Operations for each byte that must be read once a step: the weights, and the input and output of every row."""
    plan = case.reference()
    size = {"float32": 4, "float64": 8}[case.dtype]
    moved = plan.size + case.rows * (case.inputs + plan.output_size)
    return case.flops() / case.steps / (moved * size)


def summary(results: list[dict[str, Any]]) -> None:
    """Print the geometric means and the cases that a rival wins."""
    for way in WAYS:
        found = [value for r in results if r["case"].endswith(way) and (value := ratio(r)) is not None]
        print(f"geometric mean of {len(found)} cases, {way}: {geometric_mean(found):.2f}")
    lost = [f"{r['case']} {value:.2f}" for r in results if (value := ratio(r)) is not None and value < 1]
    print("lost:", ", ".join(lost) if lost else "none")


def draw_ratios(results: list[dict[str, Any]], path: Path) -> None:
    """One bar for each case, one panel for each way, a line at 1."""
    import matplotlib.pyplot as plt

    shown = {way: [r for r in results if r["case"].endswith(way) and ratio(r) is not None] for way in WAYS}
    rows = max(1, *(len(found) for found in shown.values()))
    figure, axes = plt.subplots(1, len(WAYS), figsize=(13, 1.2 + 0.24 * rows), layout="constrained")
    for axis, (way, found) in zip(axes, shown.items(), strict=True):
        names = [r["case"].removesuffix(f"-{way}") for r in found]
        values = [ratio(r) or 0.0 for r in found]
        colours = ["tab:blue" if value >= 1 else "tab:red" for value in values]
        axis.barh(range(len(found)), values, color=colours, height=0.7)
        for at, (r, value) in enumerate(zip(found, values, strict=True)):
            axis.text(value * 1.04, at, f"{value:.2f}  {best_of(r)}", va="center", fontsize=7, color="0.3")
        axis.set_yticks(range(len(found)), names, fontsize=8)
        axis.set_ylim(len(found) - 0.4, -0.6)
        axis.set_xscale("log", base=2)
        axis.set_xlim(0.8 * min([0.6, *values]), 2.0 * max([2.0, *values]))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.axvline(1, color="0.2", linewidth=1)
        axis.set_xlabel("best rival's time / ours")
        axis.set_title(f"{way}: geometric mean {geometric_mean(values):.2f}")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_roofline(results: list[dict[str, Any]], probe: dict[str, float], path: Path) -> None:
    """Ours and the best rival's speed under the measured ceilings."""
    import matplotlib.pyplot as plt
    import numpy as np

    cases = {case.name: case for case in grid()}
    found = [r for r in results if r["case"] in cases and cases[r["case"]].dtype == "float32"]
    figure, axis = plt.subplots(figsize=(9, 5.5), layout="constrained")
    x = np.geomspace(0.3, 400, 200)
    axis.plot(
        x, np.minimum(probe["product_gflops"], x * probe["read_4m"]), color="0.2", label="ceiling, third-level cache"
    )
    axis.plot(
        x, np.minimum(probe["product_gflops"], x * probe["read_512k"]), "--", color="0.5", label="ceiling, second level"
    )
    for way, marker in zip(WAYS, "os", strict=True):
        own = [(intensity(cases[r["case"]]), r["sides"]["recurra"]["gflops"]) for r in found if r["case"].endswith(way)]
        best = [
            (intensity(cases[r["case"]]), r["sides"][name]["gflops"])
            for r in found
            if r["case"].endswith(way) and (name := best_of(r))
        ]
        if own:
            axis.plot(*zip(*own, strict=True), marker, color="tab:blue", label=f"recurra, {way}")
        if best:
            axis.plot(*zip(*best, strict=True), marker, color="tab:orange", markersize=4, label=f"best rival, {way}")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("operations / byte of weights, inputs and outputs in a step")
    axis.set_ylabel("GFLOP/s, all threads")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Print the table and the summary; draw on request."""
    parser = argparse.ArgumentParser(description="The table and the plots of a run against rivals.")
    parser.add_argument("json", type=Path, help="what benchmarks/rivals.py stored")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw ratios.png and roofline.png there")
    options = parser.parse_args()
    stored = json.loads(options.json.read_text())
    facts, results = stored["machine"], stored["results"]
    print(f"{facts['cpu']}, {facts['isa']}, recurra {facts['recurra']}\n")
    print(HEADER)
    for result in results:
        print(line(result, facts["probe"]["product_gflops"]))
    print()
    summary(results)
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        draw_ratios(results, options.plots / "ratios.png")
        draw_roofline(results, facts["probe"], options.plots / "roofline.png")


if __name__ == "__main__":
    main()
