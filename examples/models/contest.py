"""What each example of a published model ends in: how far the outputs agree, and both times.

Sides take turns in one process, threads at rest in between; medians are reported. Times are those of a whole call from
Python, as a user makes it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import recurra
from recurra.bench.contest import settle

OURS = "recurra"


@dataclass
class Timing:
    """One thing timed on several sides: median seconds by side, ours under ``OURS``."""

    what: str
    seconds: dict[str, float]

    @property
    def ratio(self) -> float:
        """The fastest other side's time over ours."""
        return min(value for side, value in self.seconds.items() if side != OURS) / self.seconds[OURS]

    def __str__(self) -> str:
        sides = ", ".join(f"{side} {shown(value)}" for side, value in self.seconds.items() if side != OURS)
        return f"{self.what}: {sides}; {OURS} {shown(self.seconds[OURS])}: {self.ratio:.1f} times faster"


@dataclass
class Report:
    """A published model run by two libraries.

    Attributes
    ----------
    model, package, what, reference : str
        Its name and origin, what it is, and whom it is compared with.
    agreement : str
        In words.
    figures : dict of str to float
        What a test looks at.
    timings : list of Timing
        The recurrent part first.
    """

    model: str
    package: str
    what: str
    reference: str
    agreement: str
    figures: dict[str, float]
    timings: list[Timing] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.model} ({self.package}): {self.what}", f"against {self.reference}: {self.agreement}"]
        return "\n  ".join(lines + [str(timing) for timing in self.timings])


def shown(seconds: float) -> str:
    """Return a time with three digits in a fitting unit."""
    unit, factor = ("s", 1.0) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    return f"{seconds * factor:.3g} {unit}"


def in_turn(what: str, sides: dict[str, Callable[[], Any]], *, turns: int = 15, least: float = 0.02) -> Timing:
    """Time several functions that do the same work.

    Parameters
    ----------
    what : str
        The work.
    sides : dict of str to callable
        By name; ours is ``OURS``.
    turns : int, default 15
        Turns of each.
    least : float, default 0.02
        Seconds that a turn lasts at least: quick functions are called several times.
    """
    calls = {}
    for name, run in sides.items():
        run()
        start = time.perf_counter()
        run()
        calls[name] = max(1, round(least / max(time.perf_counter() - start, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.disable()
    try:
        for _ in range(turns):
            for name, run in sides.items():
                settle()
                run()  # wakes what slept
                start = time.perf_counter()
                for _ in range(calls[name]):
                    run()
                seconds[name].append((time.perf_counter() - start) / calls[name])
    finally:
        gc.enable()
    return Timing(what, {name: statistics.median(values) for name, values in seconds.items()})


def machine() -> str:
    """Return the instruction set and the threads that the figures are of."""
    facts = recurra.show_config("dict")
    return f"{facts['isa']}, {facts['threads']} threads"
