"""Seeds. Every random draw is a pure function of a seed and counters (Philox4x32-10, in the compiled core).

Nothing here holds the state of a generator: a layer, a fit and an initial weight each own a 64-bit seed and number
their draws, so results repeat for any order of evaluation and any number of threads.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from recurra import _core, _errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array

# Philox purpose of derived seeds; masks use 0 to 4.
_DERIVE = 15

# What a seed is derived for.
STREAM_GLOBAL, STREAM_CALL, STREAM_STEP = 0, 1, 2

_MASK = 2**64 - 1


def derive(seed: int, stream: int, counter: int) -> int:
    """Return the 64-bit seed of draw number ``counter`` of a stream."""
    low, high = _core.random_words(seed, _DERIVE, 0, 0, counter & 0xFFFFFFFF, stream, 2).tolist()
    return int(low) | int(high) << 32


def shifted(seed: int, index: int) -> int:
    """Return the seed of layer number ``index`` in a call: streams of different Philox keys are independent."""
    return (seed + index) & _MASK


def step_seeds(seed: int) -> Iterator[int]:
    """Yield the seeds of the steps of an epoch, far enough apart for the layers' numbers."""
    return itertools.count(seed, 2**16)


def permutation(seed: int, stream: int, count: int) -> Array:
    """Return a random order of ``count`` samples, int64."""
    return _core.random_uniform(seed, stream, count).argsort(kind="stable")


class _Source:
    """The global seed and how many seeds were taken from it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.draws = itertools.count()


_source = _Source(int.from_bytes(os.urandom(8), "little"))


def set_random_seed(seed: int) -> None:
    """Make everything that follows and takes no seed of its own repeatable.

    Initial weights, dropout masks and the order of samples in ``fit`` take their seeds from one global seed, in the
    order in which they are first needed. Without this call the global seed comes from the operating system.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.

    Raises
    ------
    TypeError, ValueError
        If ``seed`` is no integer or out of range.

    Notes
    -----
    Thread-safe; threads that draw seeds at the same time do so in no defined order.

    Examples
    --------
    >>> import recurra
    >>> recurra.set_random_seed(7)
    """
    global _source
    _source = _Source(_errors.check_seed("seed", seed))


def next_seed() -> int:
    """Return the next seed of the global source."""
    source = _source
    return derive(source.seed, STREAM_GLOBAL, next(source.draws))
