"""Scores of attention: additive ones in blocks, the masked softmax, and steps that do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array

_BLOCK_BYTES = 1 << 22  # of the (queries, keys, features) sums that additive scores pass through at a time


def additive(query: Array, key: Array, scale: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """Return sum(scale * tanh(q + k)) of every query and key, and the function that backpropagates.

    The hyperbolic tangents are made again in the backward pass, block by block: all of them would take
    queries * keys * features numbers.
    """
    batch, queries, features = query.shape
    keys = key.shape[1]
    block = max(1, _BLOCK_BYTES // max(1, batch * keys * features * query.itemsize))
    scores = np.empty((batch, queries, keys), query.dtype)

    def blocks() -> Any:
        for start in range(0, queries, block):
            part = slice(start, start + block)
            sums = query[:, part, None] + key[:, None]
            yield part, _core.activation("tanh", 0.0, 0.0, sums)

    for part, squashed in blocks():
        sums = _core.linear(scale[None], None, squashed.reshape(-1, features))
        scores[:, part] = sums.reshape(scores[:, part].shape)

    def backward(dscores: Array) -> tuple[Array, Array, Array]:
        dquery, dkey, dscale = np.empty_like(query), np.zeros_like(key), np.zeros_like(scale)
        for part, squashed in blocks():
            slopes = dscores[:, part]
            dscale += slopes.reshape(-1) @ squashed.reshape(-1, features)
            dsums = _core.activation_backward("tanh", 0.0, 0.0, squashed, slopes[..., None] * scale)
            dquery[:, part] = dsums.sum(axis=2)
            dkey += dsums.sum(axis=1)
        return dquery, dkey, dscale

    return scores, backward


def softmax(scores: Array, seen: Array | None) -> Array:
    """Return the weights: exactly 0 where not seen, all 0 in a row of which nothing is."""
    if not scores.size:
        return scores
    if seen is None:
        return _core.softmax(scores)
    masked = np.where(seen, scores, scores.dtype.type(-np.inf))
    nothing = ~seen.any(axis=-1, keepdims=True)
    if nothing.any():
        masked = np.where(nothing, 0, masked)  # of which softmax makes numbers, not NaN
    return np.where(seen, _core.softmax(masked), 0)


def seen_keys(shape: tuple[int, ...], lengths: Array | None, causal: bool) -> Array | None:
    """Return the mask (batch or 1, queries or 1, keys) of what queries see; None: everything."""
    _, queries, keys = shape
    seen = None if lengths is None else (np.arange(keys) < lengths[:, None])[:, None]
    if causal:
        past = (np.arange(keys) <= np.arange(queries)[:, None])[None]
        seen = past if seen is None else seen & past
    return seen


def silence(x: Array, lengths: Array | None) -> None:
    """Set all steps beyond the lengths to zero."""
    if lengths is not None:
        x[np.arange(x.shape[1]) >= lengths[:, None]] = 0.0


def kept(x: Array, lengths: Array | None) -> Array:
    """Return ``x`` with zero in all steps beyond the lengths, which may hold anything; itself if all count."""
    if lengths is None or not x.size or int(lengths.min()) >= x.shape[1]:
        return x
    return np.where((np.arange(x.shape[1]) < lengths[:, None])[:, :, None], x, 0)
