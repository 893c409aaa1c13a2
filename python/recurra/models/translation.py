"""What `Seq2Seq` computes: the taught pass with its gradients, and the search for targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random
from recurra.layers import _pointwise
from recurra.models import beam

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback


class Translation:
    """The computation of `Seq2Seq`, which has the layers."""

    def _seeded(self: Any, layer: Any, seed: int) -> int:
        return _random.shifted(seed, self._places[layer.name])

    def _encode(
        self: Any, source: Array, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array], Array | None, Any]:
        """Return the encoder's outputs and the decoder's first states, the source's lengths, and the backward pass."""
        embedding = self.source_embedding
        embed: Any = None
        if embedding is not None:
            lengths = embedding.compute_lengths(source, lengths)
            source, embed = embedding._differentiate(source, lengths, training, self._seeded(embedding, seed))
        own = self._seeded(self.encoder, seed)
        (outputs, *states), encoded = self.encoder._differentiate_node([source], [lengths], training, own)
        starts, bridged = self.bridge.start(states)

        def backward(doutputs: Array | None, dstarts: list[Array], need_dx: bool) -> Array | None:
            doutputs = np.zeros_like(outputs) if doutputs is None else doutputs
            (dx,) = encoded([doutputs, *bridged(dstarts)], need_dx=need_dx or embed is not None)
            first: Array | None = dx if embed is None else embed(dx)
            return first

        return outputs, starts, lengths, backward

    def _embedded(self: Any, tokens: Array, seed: int = 0, training: bool = False) -> tuple[Array, Any]:
        """Return the vectors of tokens, and their pullback (None for one-hot ones)."""
        if self.target_embedding is None:
            return np.eye(self.vocabulary, dtype=self.dtype)[tokens], None
        own = self._seeded(self.target_embedding, seed)
        return self.target_embedding._differentiate(tokens, None, training, own)  # type: ignore[no-any-return]

    def _differentiate(self: Any, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        source, target = x
        outputs, starts, counted, encoded = self._encode(source, lengths[0], training, seed)
        vectors, embed = self._embedded(target, seed, training)
        own = self._seeded(self.decoder, seed)
        (h, *_), decoded = self.decoder._differentiate_node([vectors, *starts], [lengths[1]], training, own)
        attended, attend = self._attended(h, outputs, self._keys(outputs), [lengths[1], counted], training, seed)
        y, head = self.head._differentiate(attended, None, training, 0)

        def pullback(dy: Array, *, need_dx: bool = True) -> list[Array | None]:
            dh, doutputs = attend(head(dy))
            none = [None] * (len(self.decoder._output_shapes((None,) * 3)) - 1)
            dvectors, *dstarts = decoded([dh, *none], need_dx=embed is not None)
            if embed is not None:
                embed(dvectors)
            return [encoded(doutputs, dstarts, need_dx), None]

        return y, pullback

    def _keys(self: Any, outputs: Array) -> tuple[Array, Any]:
        """Return the keys of the encoder's outputs, and their pullback (None: they are the outputs)."""
        if self.attention is None or self.keys is None:
            return outputs, None
        return self.keys._differentiate(outputs, None, False, 0)  # type: ignore[no-any-return]

    def _attended(
        self: Any, h: Array, values: Array, keys: tuple[Array, Any], lengths: list[Any], training: bool, seed: int
    ) -> tuple[Array, Any]:
        """Return what the head reads, and the function from its gradient to those of ``h`` and the values."""
        if self.attention is None:
            return h, lambda dy: (dy, None)
        query, ask = (h, None) if self.queries is None else self.queries._differentiate(h, None, False, 0)
        own = self._seeded(self.attention, seed)
        context, attend = self.attention._differentiate([query, values, keys[0]], lengths, training, own)
        y, combine = self.combine._differentiate(np.concatenate([context, h], axis=-1), None, False, 0)
        width = context.shape[-1]

        def backward(dy: Array) -> tuple[Array, Array]:
            djoined = combine(dy)
            dquery, dvalues, dkeys = attend(np.ascontiguousarray(djoined[..., :width]))
            dh = djoined[..., width:] + (dquery if ask is None else ask(dquery))
            return dh, dvalues + (dkeys if keys[1] is None else keys[1](dkeys))

        return y, backward

    # The search

    def generate(
        self: Any,
        x: Any,
        *,
        lengths: Any = None,
        max_length: int = 50,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool = False,
        batch_size: int = 64,
    ) -> beam.Generated:
        """Search for the most probable targets of sources.

        Parameters
        ----------
        x : array_like
            Sources, as in ``fit``: an array, a list of sequences of different lengths, or a pair (array, lengths).
        lengths : array_like of int, optional
            Of the sources.
        max_length : int, default 50
            Most tokens of a target, the end among them.
        num_beams : int, default 1
            Partial targets kept at each step (beam search); 1 is greedy search.
        length_penalty : float, default 1.0
            p in the score, log P / tokens ** p, by which finished targets are compared; 0 compares probabilities.
        early_stopping : bool, default False
            Stop once ``num_beams`` targets are finished, rather than when no other can have a better score.
        batch_size : int, default 64
            Sources searched at once; results do not depend on it.

        Returns
        -------
        Generated
            ``tokens`` (samples, longest), the end token included and ``pad_token`` behind it; ``lengths`` (samples,);
            ``scores`` (samples,).

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.

        Notes
        -----
        A step costs the same however many came before: the decoder runs as a stream. Safe from several threads.
        """
        options = beam.Options(
            _errors.check_integer("max_length", max_length, 1),
            _errors.check_integer("num_beams", num_beams, 1),
            _errors.check_number("length_penalty", length_penalty, -10.0, 10.0, "a number from -10 to 10"),
            _errors.check_flag("early_stopping", early_stopping) or num_beams == 1,
            self.end_token,
            self.pad_token,
        )
        size = _errors.check_integer("batch_size", batch_size, 1)
        source, steps = self._sources(x, lengths)
        parts = []
        for start in range(0, len(source), size):
            rows = slice(start, start + size)
            decoding = Decoding(self, source[rows], None if steps is None else steps[rows], options.num_beams)
            parts.append(beam.search(decoding, options))
        return beam.joined(parts, self.pad_token)

    def translate(self: Any, x: Any, **options: Any) -> list[Array]:
        """Return the targets that `generate` finds as a list of arrays, without the end token.

        Parameters
        ----------
        x, **options
            As in `generate`.

        Returns
        -------
        list of numpy.ndarray
            Of int64, one for each source.
        """
        found = self.generate(x, **options)
        rows = [row[:n] for row, n in zip(found.tokens, found.lengths, strict=True)]
        return [row[:-1] if row[-1] == self.end_token else row for row in rows]

    def _sources(self: Any, x: Any, lengths: Any) -> tuple[Array, Array | None]:
        """Return checked sources and their lengths, having built the model."""
        from recurra.training.checking import _input

        source, steps = _input(self, x, lengths, "x", self.source_embedding is not None)
        self._check_source(source, "x")
        if not len(source):
            raise _errors.bad_value("x", "at least one sample", "none")
        self.ensure_built([source.shape, (len(source), 1)])
        return source, steps


class Decoding:
    """The decoder at work on some sources, a row for each of their beams.

    Parameters
    ----------
    model : Seq2Seq
        Built.
    source, lengths
        The sources.
    beams : int
        Rows for each.
    """

    def __init__(self, model: Any, source: Array, lengths: Array | None, beams: int) -> None:
        self.model, self.batch, self.beams = model, len(source), beams
        self.outputs, starts, self.lengths, _ = model._encode(source, lengths, False, 0)
        self.keys = model._keys(self.outputs)[0], None
        self.parts = list(model.decoder._steppers(self.batch * beams))
        self._set([np.repeat(state, beams, axis=0) for state in starts])
        self.tokens = np.full(self.batch * beams, model.start_token)

    def _set(self, states: list[Array]) -> None:
        for part in self.parts:
            part.set(states[: part.states])
            states = states[part.states :]

    def step(self) -> Array:
        """Return the log-probabilities (batch, beams, tokens) of what follows, float64."""
        model = self.model
        h, _ = model._embedded(self.tokens[:, None])
        h = np.ascontiguousarray(h[:, 0])
        for part in self.parts:
            h = part.step(h)
        wide = h.reshape(self.batch, self.beams, -1)  # the beams of a source ask its encoder together
        attended, _ = model._attended(wide, self.outputs, self.keys, [None, self.lengths], False, 0)
        scores = model.head._apply(attended, None, False, 0).astype(np.float64)
        if model.head.activation == _pointwise.resolve("activation", "softmax"):
            return np.log(np.maximum(scores, np.finfo(np.float64).tiny))  # type: ignore[no-any-return]
        most = scores.max(axis=-1, keepdims=True)
        return scores - most - np.log(np.exp(scores - most).sum(axis=-1, keepdims=True))  # type: ignore[no-any-return]

    def follow(self, parents: Array, tokens: Array) -> None:
        """Go on with these tokens (batch, beams), each behind the beam ``parents`` of its source."""
        self.tokens = tokens.reshape(-1)
        if (parents == np.arange(self.beams)).all():
            return
        rows = (np.arange(self.batch)[:, None] * self.beams + parents).reshape(-1)
        self._set([state[rows] for part in self.parts for state in part.get()])


def check_tokens(argument: str, tokens: Any, count: int) -> None:
    """Raise unless tokens are integers (batch, time) below a count."""
    _errors.check_integers(argument, tokens)
    _errors.check_shape(argument, tokens.shape, ("batch", "time"), (None, None))
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < count):
        wrong = tokens[(tokens < 0) | (tokens >= count)][0]
        raise _errors.bad_value(argument, f"tokens from 0 to {count - 1}", f"{wrong}")


def check_pair(x: Any, y: Array, end: int, count: int) -> None:
    """Raise unless a source alone comes with targets that end."""
    several = isinstance(x, list | tuple) and len(x) == 2 != len(y)
    if several and all(hasattr(part, "__len__") and len(part) == len(y) for part in x) and np.ndim(x[1][0]):
        hint = "fit(source, target): what the decoder reads is made of the targets"
        raise _errors.bad_value("x", "the source alone", "source and target", hint)
    check_tokens("y", y, count)
    if y.size and not (y == end).any():
        hint = "append end_token to each target, or name yours: Seq2Seq(..., end_token=)"
        raise _errors.bad_value("y", f"targets that end in {end}", "none that does", hint)
