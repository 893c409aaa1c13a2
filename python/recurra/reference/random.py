"""Counter-based random numbers, and the masks of dropout and zoneout drawn from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._types import Array

DROPOUT, INTERLAYER_DROPOUT, RECURRENT_DROPOUT, ZONEOUT_H, ZONEOUT_C = range(5)
"""What a mask is for: the ``purpose`` in a counter."""

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter: ArrayLike, key: tuple[int, int], rounds: int = 10) -> NDArray[np.uint32]:
    """Philox4x32: a keyed bijection that turns counters into independent random words.

    Parameters
    ----------
    counter : array_like of integers below 2**32, shape (..., 4)
    key : two integers below 2**32
    rounds : int, default 10

    Returns
    -------
    ndarray of uint32, shape (..., 4)

    References
    ----------
    Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; constants and known
    answers of their library Random123.
    """
    words = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    even, odd = words[0::2], words[1::2]  # words 0 and 2, words 1 and 3
    along = (2,) + (1,) * (words.ndim - 1)
    for turn in range(rounds):
        keys = [(k + turn * w) & 0xFFFFFFFF for k, w in zip(key, _WEYL, strict=True)]
        product = _MULTIPLIERS.reshape(along) * even
        even = (product >> _HALF)[::-1] ^ odd ^ np.array(keys, np.uint64).reshape(along)
        odd = (product & _LOW)[::-1]
    return np.stack((even[0], odd[0], even[1], odd[1]), axis=-1).astype(np.uint32)


def random_words(
    seed: int, purpose: int, layer: int, direction: int, step: ArrayLike, row: ArrayLike, count: int
) -> NDArray[np.uint32]:
    """Random words of units 0 ... count-1, the same on any machine, for any batch and any number of threads.

    The word of unit j is number ``j % 4`` of ``philox4x32`` at the counter
    ``(j // 4, row, step, purpose + 16 * direction + 256 * layer)`` under the key ``(seed % 2**32, seed // 2**32)``.

    Parameters
    ----------
    seed : int, taken modulo 2**64
    purpose : int
        One of the constants of this module.
    layer, direction : int
    step, row : int or array of int
        Broadcast against each other; row is the sample's index in the caller's batch.
    count : int

    Returns
    -------
    ndarray of uint32, shape (*broadcast shape of step and row, count)
    """
    step, row = np.broadcast_arrays(np.asarray(step), np.asarray(row))
    block = np.arange(-(-count // 4))
    counter = np.empty((*step.shape, block.size, 4), dtype=np.uint64)
    counter[..., 0] = block
    counter[..., 1] = row[..., np.newaxis]
    counter[..., 2] = step[..., np.newaxis]
    counter[..., 3] = purpose + 16 * direction + 256 * layer
    words = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    return words.reshape(*step.shape, block.size * 4)[..., :count]


def drawn(rate: float, words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Tell which units are dropped (or zoned out): those whose word is below ``floor(rate * 2**32)``."""
    return words.astype(np.uint64) < np.uint64(int(rate * 2**32))


def dropout_mask(rate: float, words: NDArray[np.uint32], dtype: np.dtype[Any]) -> Array:
    """Return the factors of dropout: 0 where dropped, 1 / (1 - rate) elsewhere."""
    return np.where(drawn(rate, words), 0.0, 1.0 / (1.0 - rate)).astype(dtype)


def zoneout_mask(rate: float, words: NDArray[np.uint32], dtype: np.dtype[Any]) -> Array:
    """Return the factors of zoneout: 1 where the unit keeps its old state, 0 elsewhere."""
    return drawn(rate, words).astype(dtype)
