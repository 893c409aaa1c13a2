"""What a comparison found: differences of each output, both times, and the table that says so."""

from __future__ import annotations

import importlib.metadata
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

# Largest relative difference that rounding explains, by the dtype of the outputs.
TOLERANCE = {"float64": 1e-11}
_USUAL = 2e-5


@dataclass(frozen=True)
class Difference:
    """How far two outputs are apart, at most over all inputs tried.

    Attributes
    ----------
    name : str
        Of the output.
    shape : tuple of int
        Of the last one compared.
    dtype : str
        Of the original's.
    absolute : float
        The largest difference of two elements; infinity if shapes differ, or one alone is not finite.
    relative : float
        The same divided by the largest element of the original's.
    tolerance : float
        What ``relative`` may be for the outputs to agree.
    note : str
        What else is to be said.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    absolute: float
    relative: float
    tolerance: float
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is within the tolerance."""
        return self.relative <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """What `recurra.verify` found; ``print(found)`` shows it as a table.

    Attributes
    ----------
    subject : str
        What was verified.
    runtime : str or None
        The original's runtime and its version, None if it is not installed.
    outputs : list of Difference
        One for each output; empty if there was nothing to compare with.
    batches : list of str
        The shapes of the inputs tried, in words.
    seconds : float
        One call of recurra with the last inputs, the median of several.
    runtime_seconds : float
        The same of the original's runtime; NaN without it.
    note : str
        Why there was nothing to compare with.
    """

    subject: str
    runtime: str | None
    outputs: list[Difference] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    seconds: float = math.nan
    runtime_seconds: float = math.nan
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether there were outputs to compare, and all are within their tolerance."""
        return bool(self.outputs) and all(output.agrees for output in self.outputs)

    @property
    def absolute(self) -> float:
        """The largest absolute difference of all outputs; NaN if none were compared."""
        return max((output.absolute for output in self.outputs), default=math.nan)

    @property
    def relative(self) -> float:
        """The largest relative difference of all outputs; NaN if none were compared."""
        return max((output.relative for output in self.outputs), default=math.nan)

    def __str__(self) -> str:
        """Return the table."""
        lines = [f"{self.subject}: recurra beside {self.runtime or 'nothing'}"]
        lines += [f"inputs {text}" for text in self.batches]
        if self.outputs:
            lines += ["", *_aligned(self.outputs)]
        if self.note:
            lines += ["", self.note]
        times = f"recurra {_time(self.seconds)}"
        if math.isfinite(self.runtime_seconds):
            ratio = self.runtime_seconds / self.seconds if self.seconds else math.inf
            times += f", {self.runtime} {_time(self.runtime_seconds)} (ratio {ratio:.2f})"
        lines += ["", f"one call: {times}"]
        if self.outputs:
            largest = max(output.tolerance for output in self.outputs)
            verdict = f"agree within {largest:g}" if self.agrees else f"DIFFER by more than {largest:g}"
            lines.append(f"outputs {verdict} (relative to the largest element)")
        return "\n".join(lines)


def _aligned(outputs: Sequence[Difference]) -> list[str]:
    """Return the differences as lines of a table."""
    rows = [("output", "shape", "max abs", "max rel", "")]
    rows += [(o.name, str(o.shape), f"{o.absolute:.1e}", f"{o.relative:.1e}", o.note) for o in outputs]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1.0 else f"{seconds:.2f} s"


def difference(name: str, ours: Array, theirs: Array) -> Difference:
    """Return how far one output of ours is from the original's."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    dtype = theirs.dtype.name
    tolerance = 0.0 if theirs.dtype.kind in "iub" else TOLERANCE.get(dtype, _USUAL)
    if ours.shape != theirs.shape:
        note = f"recurra's is of shape {ours.shape}"
        return Difference(name, theirs.shape, dtype, math.inf, math.inf, tolerance, note)
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    odd = ~(np.isfinite(one) & np.isfinite(other))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if bool((odd & ~same).any()):
        place = tuple(int(i) for i in np.argwhere(odd & ~same)[0])
        note = f"{ours[place]} and {theirs[place]} at {place}"
        return Difference(name, theirs.shape, dtype, math.inf, math.inf, tolerance, note)
    apart = np.abs(np.where(odd, 0.0, one) - np.where(odd, 0.0, other))
    largest = float(np.abs(np.where(odd, 0.0, other)).max(initial=0.0))
    absolute = float(apart.max(initial=0.0))
    return Difference(name, theirs.shape, dtype, absolute, absolute / largest if largest else absolute, tolerance)


def worst(found: Sequence[Difference]) -> Difference:
    """Return the differences of one output over several batches as one."""
    last = max(found, key=lambda one: (one.relative, one.absolute))
    return Difference(
        last.name, found[-1].shape, last.dtype, max(one.absolute for one in found), last.relative, last.tolerance,
        last.note,
    )  # fmt: skip


def version(package: str) -> str:
    """Return the name and version of an installed package."""
    return f"{package} {importlib.metadata.version(package)}"
