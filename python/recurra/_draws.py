"""Draws for initial values, from the engine's counter-based generator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from recurra import _core

if TYPE_CHECKING:
    from recurra._typing import Array

# Standard deviation of a normal draw cut at two deviations, by which a scaled draw is divided.
TRUNCATED = 0.87962566103423978


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of inputs and outputs; of (filters, channels, kernel) the kernel counts in both."""
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    return math.prod(shape[1:]), shape[0] * math.prod(shape[2:])


def uniform(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Return draws from U(0, 1)."""
    return _core.random_uniform(seed, stream, math.prod(shape)).reshape(shape)


def normal(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Return draws of mean 0 and variance 1."""
    return _core.random_normal(seed, stream, math.prod(shape)).reshape(shape)


def truncated(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Return the first draws of a stream that lie within [-2, 2]: nineteen of twenty do."""
    count = math.prod(shape)
    drawn = count + count // 8 + 64
    while True:
        draws = _core.random_normal(seed, stream, drawn)
        draws = draws[np.abs(draws) <= 2.0]
        if len(draws) >= count:
            return draws[:count].reshape(shape)
        drawn *= 2
