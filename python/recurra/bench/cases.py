"""The cases of the benchmarks: stable names, sizes, and the data that belongs to each."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.reference import Recurrent

if TYPE_CHECKING:
    from recurra._typing import Array


@dataclass(frozen=True)
class Case:
    """One row of a benchmark: a recurrent layer, a batch, and what is done with them.

    ``training`` is forward and backward, with the gradients of the input and of all weights; ``stream`` is one time
    step after the other with the state carried; ``options`` are arguments of the layer by name.
    """

    name: str
    cell: str
    rows: int
    steps: int
    inputs: int
    units: int
    training: bool = False
    layers: int = 1
    bidirectional: bool = False
    ragged: bool = False
    dtype: str = "float32"
    stream: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def reference(self) -> Recurrent:
        """Return the NumPy implementation of the layer."""
        return Recurrent(
            self.cell,
            self.inputs,
            self.units,
            dtype=self.dtype,
            num_layers=self.layers,
            bidirectional=self.bidirectional,
            **dict(self.options),
        )

    def data(self) -> Data:
        """Return weights and inputs; the same in every process."""
        plan = self.reference()
        random = np.random.default_rng(zlib.crc32(self.name.encode()))
        bound = self.units**-0.5
        lengths = random.integers(max(1, self.steps // 10), self.steps + 1, self.rows) if self.ragged else None
        return Data(
            random.uniform(-bound, bound, plan.size).astype(self.dtype),
            random.standard_normal((self.rows, self.steps, self.inputs)).astype(self.dtype),
            random.standard_normal((self.rows, self.steps, plan.output_size)).astype(self.dtype),
            lengths,
        )

    def flops(self) -> float:
        """Return the floating-point operations of the products; padding counts as none."""
        plan = self.reference()
        products = sum(int(np.prod(shape)) for name, shape, _ in plan.layout if name.startswith("weight"))
        lengths = self.data().lengths
        rows = self.rows * self.steps if lengths is None else int(lengths.sum())
        return 2.0 * products * rows * (3 if self.training else 1)


@dataclass(frozen=True)
class Data:
    """Inputs of a case: ``weights`` (size,), ``x`` (N, T, I), ``dy`` (N, T, O), ``lengths`` (N,) or None."""

    weights: Array
    x: Array
    dy: Array
    lengths: Array | None


def both_ways(name: str, cell: str, rows: int, steps: int, inputs: int, units: int, **options: Any) -> list[Case]:
    """Return a case of the forward pass and one of training."""
    return [
        Case(f"{name}-forward", cell, rows, steps, inputs, units, **options),
        Case(f"{name}-training", cell, rows, steps, inputs, units, training=True, **options),
    ]


CASES: list[Case] = [
    *(
        case
        for cell in ("lstm", "gru", "rnn")
        for units in (20, 64, 128, 256)
        for case in both_ways(f"{cell}-{units}", cell, 32, 100, units, units)
    ),
    Case("stream-lstm-32", "lstm", 1, 1, 32, 32),
    Case("stream-gru-32", "gru", 1, 1, 32, 32),
    Case("solo-lstm-128", "lstm", 1, 100, 128, 128),
    *both_ways("large-lstm-512", "lstm", 64, 50, 512, 512),
    *both_ways("long-lstm-64", "lstm", 16, 1000, 64, 64),
    *both_ways("stack-lstm-64", "lstm", 32, 100, 64, 64, layers=2, bidirectional=True),
    *both_ways("ragged-lstm-64", "lstm", 32, 100, 64, 64, ragged=True),
    *both_ways("float64-lstm-64", "lstm", 32, 100, 64, 64, dtype="float64"),
]
"""Every case against the NumPy reference."""

QUICK = (
    "lstm-20-forward",
    "lstm-20-training",
    "lstm-128-forward",
    "lstm-128-training",
    "gru-64-forward",
    "gru-64-training",
    "rnn-64-forward",
    "stream-lstm-32",
    "stack-lstm-64-training",
)
"""Names of the cases that stand for the others in a minute."""
