"""Sums of gradients over several batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recurra._typing import Array
    from recurra.layers.weights import Part, Weight


class Accumulator:
    """Adds up gradients until ``steps`` batches are in; of a sparse table only the rows that some batch touched.

    Parameters
    ----------
    steps : int
        Batches to one move of the parameters.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._touched: dict[int, Array] = {}  # by where a table starts

    def add(self, parts: list[Part], gradients: Array, sums: Array) -> None:
        """Add a batch's gradients to the sums."""
        for part in parts:
            some, total = gradients[part.start : part.stop], sums[part.start : part.stop]
            if part.rows is not None:
                some, total = some.reshape(-1, part.width), total.reshape(-1, part.width)
                before = self._touched.get(part.start)
                self._touched[part.start] = part.rows if before is None else np.union1d(before, part.rows)
            _core.update("add", total, some, [], (), rows=part.rows)

    def parts(self, parts: list[Part]) -> list[Part]:
        """Return the parts with all rows that any batch touched."""
        return [p if p.rows is None else p._replace(rows=self._touched.get(p.start, p.rows)) for p in parts]

    def clear(self, weights: Iterable[Weight], sums: Array) -> None:
        """Set the sums to zero, also those of what was frozen since; of tables the rows that hold any."""
        start = 0
        for weight in weights:
            if weight.rows is not None and weight.size:
                sums[start : weight.offset].fill(0.0)
                rows = self._touched.get(weight.offset)
                if rows is not None:
                    sums[weight.place].reshape(weight.shape)[rows] = 0.0
                start = weight.offset + weight.size
        sums[start:].fill(0.0)
        self._touched.clear()

    def get_state(self) -> dict[str, Any]:
        """Return the rows that hold sums, for JSON."""
        return {str(start): rows.tolist() for start, rows in self._touched.items()}

    def set_state(self, state: Any) -> None:
        """Take on what `get_state` returned."""
        try:
            self._touched = {int(start): np.array(rows, np.int64).reshape(-1) for start, rows in state.items()}
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _errors.bad_value("touched", "lists of rows by where their table starts", str(error)) from None
