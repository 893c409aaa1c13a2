"""How the tensors of a call lie, and how the engine sees them: sequences (N, T, features), states (stack, N, size).

``enter`` turns a tensor's array into the engine's, ``leave`` the other way round; each is the gradient of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from recurra._typing import Array


class Layout:
    """Sequences (N, T, features): as the engine takes them.

    Attributes
    ----------
    axes : int
        Of the tensors of sequences.
    time_major : bool
        Whether the engine is to write sequences in the order (T, N, features).
    sequences : bool
        False where the final states are all that is wanted.
    lengths : numpy.ndarray or None
        Steps of each sample, None for all.
    """

    axes = 3
    time_major = False
    sequences = True
    lengths: Array | None = None

    def state_shape(self, shape: Any, stack: int, size: int) -> tuple[int, ...]:
        """Return the shape of a tensor of states that belongs to a tensor of sequences of ``shape``."""
        return stack, shape[0], size

    def enter(self, array: Array) -> Array:
        """Return the sequences of a tensor as the engine takes them."""
        return array

    leave = enter

    def enter_state(self, array: Array) -> Array:
        """Return the states of a tensor as the engine takes them."""
        return array

    leave_state = enter_state


class TimeMajor(Layout):
    """Sequences (T, N, features): the engine reads and writes them through strides."""

    time_major = True

    def state_shape(self, shape: Any, stack: int, size: int) -> tuple[int, ...]:
        """Return (stack, N, size)."""
        return stack, shape[1], size

    def enter(self, array: Array) -> Array:
        """Exchange the first two axes."""
        return array.transpose(1, 0, 2)

    leave = enter


class Single(Layout):
    """One sequence (T, features), its states (stack, size)."""

    axes = 2

    def state_shape(self, shape: Any, stack: int, size: int) -> tuple[int, ...]:
        """Return (stack, size)."""
        return stack, size

    def enter(self, array: Array) -> Array:
        """Return a batch of one."""
        return array[None]

    def leave(self, array: Array) -> Array:
        """Return the one of a batch."""
        return array[0, ...]

    def enter_state(self, array: Array) -> Array:
        """Return a batch of one."""
        return array[:, None]

    def leave_state(self, array: Array) -> Array:
        """Return the one of a batch."""
        return array[:, 0]


class Step(Layout):
    """One step (N, features), its states (N, size)."""

    axes = 2
    sequences = False

    def state_shape(self, shape: Any, stack: int, size: int) -> tuple[int, ...]:
        """Return (N, size), or (size,)."""
        return *shape[:-1], size

    def enter(self, array: Array) -> Array:
        """Return sequences of one step."""
        return array[:, None]

    def leave(self, array: Array) -> Array:
        """Return the one step of sequences."""
        return array[:, 0]

    def enter_state(self, array: Array) -> Array:
        """Return the states of a stack of one."""
        return array[None]

    def leave_state(self, array: Array) -> Array:
        """Return the states of the one in a stack."""
        return array[0, ...]


class SingleStep(Step):
    """One step (features,) of one sequence, its states (size,)."""

    axes = 1

    def enter(self, array: Array) -> Array:
        """Return one sequence of one step; of states, one of one."""
        return array[None, None]

    enter_state = enter

    def leave(self, array: Array) -> Array:
        """Return the one that is there."""
        return array[0, 0, ...]

    leave_state = leave


class Packed(Layout):
    """The rows of a `torch.nn.utils.rnn.PackedSequence`: step by step, in each the samples that go on.

    They are spread over a (T, N) grid, of which the engine visits the steps within each sample's length only.

    Parameters
    ----------
    batch_sizes : numpy.ndarray, shape (T,)
        Samples of each step, never growing.
    to_sorted, to_unsorted : numpy.ndarray, shape (N,), or None
        Where the samples of the sequences are among those of the states, and the other way round.
    """

    axes = 2
    time_major = True

    def __init__(self, batch_sizes: Array, to_sorted: Array | None, to_unsorted: Array | None) -> None:
        steps, rows = len(batch_sizes), int(batch_sizes[0])
        self.grid, self.to_sorted, self.to_unsorted = (steps, rows), to_sorted, to_unsorted
        self.places: Array | None = None
        if batch_sizes[-1] < rows:
            self.places = np.flatnonzero(np.arange(rows) < batch_sizes[:, None])
            self.lengths = steps - np.searchsorted(batch_sizes[::-1], np.arange(rows), side="right")

    def state_shape(self, shape: Any, stack: int, size: int) -> tuple[int, ...]:
        """Return (stack, N, size)."""
        return stack, self.grid[1], size

    def enter(self, array: Array) -> Array:
        """Spread the rows; behind a sample's end is anything."""
        width = array.shape[1]
        if self.places is not None:
            rows, array = array, np.empty((self.grid[0] * self.grid[1], width), array.dtype)
            array[self.places] = rows
        return array.reshape(*self.grid, width).transpose(1, 0, 2)

    def leave(self, array: Array) -> Array:
        """Gather the rows."""
        rows = array.transpose(1, 0, 2).reshape(-1, array.shape[2])
        return rows if self.places is None else rows.take(self.places, axis=0)

    def enter_state(self, array: Array) -> Array:
        """Return the states in the order of the sequences."""
        return array if self.to_sorted is None else array.take(self.to_sorted, axis=1)

    def leave_state(self, array: Array) -> Array:
        """Return the states in the caller's order."""
        return array if self.to_unsorted is None else array.take(self.to_unsorted, axis=1)


BATCH_FIRST, TIME_MAJOR, SINGLE, STEP, SINGLE_STEP = Layout(), TimeMajor(), Single(), Step(), SingleStep()
