"""Beam search, for all sources and beams at once.

Legend: N sources, K beams, V tokens, L the most tokens of a target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array


class Generated(NamedTuple):
    """What a search found.

    Attributes
    ----------
    tokens : numpy.ndarray, shape (samples, longest), int64
        The end token included, padding behind it.
    lengths : numpy.ndarray, shape (samples,), int64
        How many tokens count.
    scores : numpy.ndarray, shape (samples,), float64
        log P / tokens ** length_penalty.
    """

    tokens: Array
    lengths: Array
    scores: Array


class Options(NamedTuple):
    """What a search is asked for; see `Seq2Seq.generate`."""

    max_length: int
    num_beams: int
    length_penalty: float
    early_stopping: bool
    end_token: int
    pad_token: int


class Predictor(Protocol):
    """What is searched: a model in the midst of its targets."""

    batch: int

    def step(self) -> Array:
        """Return the log-probabilities (N, K, V) of the next tokens."""

    def follow(self, parents: Array, tokens: Array) -> None:
        """Take these tokens (N, K), each behind beam number ``parents`` (N, K)."""


class _Finished:
    """The best finished targets of each source: scores (N, K), tokens (N, K, L), lengths (N, K)."""

    def __init__(self, batch: int, options: Options) -> None:
        shape = batch, options.num_beams
        self.scores = np.full(shape, -np.inf)
        self.tokens = np.full((*shape, options.max_length), options.pad_token, np.int64)
        self.lengths = np.zeros(shape, np.int64)

    def add(self, scores: Array, tokens: Array, length: int) -> None:
        """Take in more, each with a score (N, K); -inf for none."""
        if not (scores > -np.inf).any():
            return
        both = np.concatenate([self.scores, scores], axis=1)
        best = np.argsort(-both, axis=1, kind="stable")[:, : scores.shape[1]]
        rows = np.arange(len(scores))[:, None]
        self.scores = both[rows, best]
        self.tokens = np.concatenate([self.tokens, tokens], axis=1)[rows, best]
        self.lengths = np.concatenate([self.lengths, np.full(scores.shape, length)], axis=1)[rows, best]


def search(predictor: Predictor, options: Options) -> Generated:
    """Return the best target found for each source.

    At each step the 2 K best continuations are looked at, so that K are left even if K of them end. A target that ends
    counts if it is among the K best. As in most beam searches the result need not be the most probable target; it is
    if K reaches the number of partial targets.
    """
    batch, beams, most = predictor.batch, options.num_beams, options.max_length
    rows = np.arange(batch)[:, None]
    finished = _Finished(batch, options)
    running = np.full((batch, beams), -np.inf)  # log P so far; all beams start alike, so one stands for all
    running[:, 0] = 0.0
    tokens = np.full((batch, beams, most), options.pad_token, np.int64)
    for step in range(most):
        scores = predictor.step()
        values, parents, chosen = _best(running, scores, min(2 * beams, beams * scores.shape[2]))
        ends = chosen == options.end_token
        before = tokens[rows, parents]
        before[:, :, step] = chosen
        norm = float(step + 1) ** options.length_penalty
        finished.add(np.where(ends, values, -np.inf)[:, :beams] / norm, before[:, :beams], step + 1)

        kept = np.argsort(ends, axis=1, kind="stable")[:, :beams]  # those that go on, in their order
        running = np.where(ends, -np.inf, values)[rows, kept]
        tokens = before[rows, kept]
        if step + 1 == most:
            finished.add(running / norm, tokens, most)
        running[_settled(finished, running, step + 1, options)] = -np.inf
        if not (running > -np.inf).any():
            break
        predictor.follow(parents[rows, kept], chosen[rows, kept])
    lengths = finished.lengths[:, 0]
    return Generated(finished.tokens[:, 0, : lengths.max()], lengths, finished.scores[:, 0])


def _best(running: Array, scores: Array, count: int) -> tuple[Array, Array, Array]:
    """Return the best continuations, best first: log P, the beams they follow and their tokens, each (N, count)."""
    batch, _, vocabulary = scores.shape
    flat = (running[:, :, None] + scores).reshape(batch, -1)
    if count < flat.shape[1]:
        top = np.argpartition(-flat, count - 1, axis=1)[:, :count]
        top.sort(axis=1)  # so that equals come in their own order
    else:
        top = np.broadcast_to(np.arange(count), (batch, count))
    values = np.take_along_axis(flat, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    return np.take_along_axis(values, order, axis=1), top // vocabulary, top % vocabulary


def _settled(finished: _Finished, running: Array, length: int, options: Options) -> Array:
    """Return which sources need no further search (N,)."""
    if options.early_stopping:
        full: Array = finished.scores[:, -1] > -np.inf
        return full
    # log P only falls: the best that a running target can still get is what it has, over the kindest length
    kindest = options.max_length if options.length_penalty > 0 else length + 1
    hope = running.max(axis=1) / float(kindest) ** options.length_penalty
    settled: Array = hope <= finished.scores[:, 0]
    return settled


def joined(parts: Sequence[Generated], pad_token: int) -> Generated:
    """Return several results as one."""
    longest = max(part.tokens.shape[1] for part in parts)
    wide = [
        np.pad(part.tokens, [(0, 0), (0, longest - part.tokens.shape[1])], constant_values=pad_token) for part in parts
    ]
    return Generated(
        np.concatenate(wide), np.concatenate([p.lengths for p in parts]), np.concatenate([p.scores for p in parts])
    )
