"""Metrics of whole sequences: edit distances, error rates, BLEU, tags."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.reduction import row_weights
from recurra.metrics.base import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra._typing import Array


def edit_distances(references: Sequence[Sequence[Any]], hypotheses: Sequence[Sequence[Any]]) -> Array:
    """Return the Levenshtein (1966) distance of each pair: fewest insertions, deletions and substitutions.

    All pairs advance together, one token of the hypotheses at a time.
    """
    numbers: dict[Any, int] = {}
    a, a_lengths = _numbered(references, numbers, -1)
    b, b_lengths = _numbered(hypotheses, numbers, -2)
    steps = np.arange(a.shape[1] + 1)
    row = np.broadcast_to(steps, (len(a), a.shape[1] + 1)).copy()
    result = a_lengths.copy()
    for i in range(b.shape[1]):
        best = row + 1
        best[:, 1:] = np.minimum(best[:, 1:], row[:, :-1] + (a != b[:, i : i + 1]))
        # insertions in a row: the least of what came before, one more for each step since
        row = np.minimum.accumulate(best - steps, axis=1) + steps
        ended = np.flatnonzero(b_lengths == i + 1)
        result[ended] = row[ended, a_lengths[ended]]
    return result


def _numbered(rows: Sequence[Sequence[Any]], numbers: dict[Any, int], pad: int) -> tuple[Array, Array]:
    lengths = np.array([len(row) for row in rows], np.int64)
    result = np.full((len(rows), int(lengths.max(initial=0))), pad, np.int64)
    for n, row in enumerate(rows):
        result[n, : len(row)] = [numbers.setdefault(token, len(numbers)) for token in row]
    return result, lengths


class _SequenceMetric(Metric):
    """What metrics of token sequences share: how sequences come.

    Texts, lists of tokens, integers ended by -1 (of arrays: by lengths too), or a model's outputs (batch, time,
    classes), which are decoded.
    """

    sequences = True

    def __init__(self, name: str | None = None, decode: str = "ctc", blank: int = 0) -> None:
        self.decode = _errors.check_choice("decode", decode, ("ctc", "argmax"))
        self.blank = _errors.check_integer("blank", blank, 0)
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "decode": self.decode, "blank": self.blank}

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> Any:
        """Take in a batch and return the value so far."""
        self.update_state(y_true, y_pred, sample_weight, lengths)
        return self.result()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : list of str, list of lists, or array_like of int, shape (batch, most tokens)
            The right sequences.
        y_pred : the same, or numpy.ndarray of float, shape (batch, time, classes)
            Predicted sequences, or outputs to decode.
        sample_weight : array_like, shape (batch,), optional
            Factor of each sample.
        lengths : array_like of int, shape (batch,), optional
            Steps of the outputs that count.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit; the state stays as it was.
        """
        hypotheses = self._hypotheses(y_pred, lengths)
        references = self._references(y_true, y_pred, lengths)
        if len(references) != len(hypotheses):
            raise _errors.bad_value("y_pred", f"{len(references)} sequences, as in y_true", f"{len(hypotheses)}")
        weights = np.ones(len(references))
        if sample_weight is not None:
            weights = row_weights(sample_weight, (len(references),))
        kept = [n for n, weight in enumerate(weights) if weight != 0.0]
        self._gather([references[n] for n in kept], [hypotheses[n] for n in kept], weights[kept])

    def _gather(self, references: list[Any], hypotheses: list[Any], weights: Array) -> None:
        raise NotImplementedError

    def _split(self, text: str) -> list[str]:
        return text.split()

    def _hypotheses(self, y_pred: Any, lengths: Any) -> list[list[Any]]:
        if isinstance(y_pred, np.ndarray) and y_pred.ndim == 3:
            steps = None if lengths is None else _errors.check_lengths(lengths, *y_pred.shape[:2])
            if self.decode == "ctc":
                from recurra.decoding import ctc_decode

                return _rows(ctc_decode(y_pred, steps, mask_index=self.blank)[0][0], None)
            return _rows(y_pred.argmax(axis=-1), steps)
        return self._tokens("y_pred", y_pred, None)

    def _references(self, y_true: Any, y_pred: Any, lengths: Any) -> list[Any]:
        aligned = self.decode == "argmax" and np.ndim(y_pred) == 3
        return self._tokens("y_true", y_true, lengths if aligned else None)

    def _tokens(self, argument: str, given: Any, lengths: Any) -> list[list[Any]]:
        if isinstance(given, np.ndarray) and given.dtype.kind in "iu" and given.ndim == 2:
            if self.decode == "ctc":
                given = np.where(given == self.blank, -1, given)
            return _rows(given, lengths)
        if not isinstance(given, list | tuple):
            expected = "texts, lists of tokens, or integers (batch, most tokens)"
            raise _errors.bad_type(argument, expected, given)
        return [self._split(row) if isinstance(row, str) else np.asarray(row).tolist() for row in given]


def _rows(labels: Array, lengths: Any) -> list[list[int]]:
    """Return each row's labels up to its length or its first negative one."""
    counted = labels >= 0
    if lengths is not None:
        counted = counted & (np.arange(labels.shape[1]) < np.asarray(lengths)[:, None])
    ends = np.where(counted.all(axis=1), labels.shape[1], (~counted).argmax(axis=1)) if labels.shape[1] else None
    if ends is None:
        return [[] for _ in labels]
    return [row[:end].tolist() for row, end in zip(labels, ends, strict=True)]


class EditDistance(_SequenceMetric):
    """Mean Levenshtein distance between right and predicted sequences.

    Parameters
    ----------
    normalize : bool, default False
        Divide each distance by the length of the right sequence (at least 1).
    name : str, optional
        What logs call it.
    decode : {"ctc", "argmax"}, default "ctc"
        How outputs (batch, time, classes) become labels: as `recurra.ctc_decode` does, or the best class of each step.
    blank : int, default 0
        Of "ctc"; it also ends the right labels, as -1 does.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.EditDistance()([list("kitten")], [list("sitting")])
    3.0
    """

    name = "edit_distance"

    def __init__(
        self, normalize: bool = False, name: str | None = None, *, decode: str = "ctc", blank: int = 0
    ) -> None:
        self.normalize = _errors.check_flag("normalize", normalize)
        super().__init__(name, decode, blank)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"normalize": self.normalize, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.total, self.count = 0.0, 0.0

    def _gather(self, references: list[Any], hypotheses: list[Any], weights: Array) -> None:
        distances = edit_distances(references, hypotheses)
        if self.normalize:
            distances = distances / np.maximum([len(row) for row in references], 1)
        self.total += float((weights * distances).sum())
        self.count += float(weights.sum())

    def result(self) -> float:
        """Return the mean; NaN before the first batch."""
        return self.total / self.count if self.count else float("nan")


class WordErrorRate(_SequenceMetric):
    """Edits that make predicted sequences right, divided by the tokens of the right ones; texts are split into words.

    Parameters
    ----------
    name : str, optional
        What logs call it.
    decode : {"ctc", "argmax"}, default "ctc"
        How outputs (batch, time, classes) become labels: as `recurra.ctc_decode` does, or the best class of each step.
    blank : int, default 0
        Of "ctc"; it also ends the right labels, as -1 does.

    Notes
    -----
    Agrees with `torchmetrics.text.WordErrorRate`; targets come first.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.WordErrorRate()(["the cat sat down"], ["a cat sat"])
    0.5
    """

    name = "word_error_rate"

    def reset_state(self) -> None:
        """Forget all batches."""
        self.edits, self.tokens = 0.0, 0.0

    def _gather(self, references: list[Any], hypotheses: list[Any], weights: Array) -> None:
        self.edits += float((weights * edit_distances(references, hypotheses)).sum())
        self.tokens += float((weights * np.array([len(row) for row in references])).sum())

    def result(self) -> float:
        """Return the rate; NaN without tokens."""
        return self.edits / self.tokens if self.tokens else float("nan")


class CharacterErrorRate(WordErrorRate):
    """`WordErrorRate` with texts split into characters.

    Parameters
    ----------
    name, decode, blank
        See `WordErrorRate`.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.CharacterErrorRate()(["abcd"], ["abd"])
    0.25
    """

    name = "character_error_rate"

    def _split(self, text: str) -> list[str]:
        return list(text)


class CRFViterbiAccuracy(_SequenceMetric):
    """Share of steps whose label is right on the best path through the potentials of `recurra.layers.CRF`.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.metrics.CRFViterbiAccuracy()([[0, 1]], np.array([[[[1.0, 0], [1, 0]], [[1, 0], [1, 0]]]]))
    0.5
    """

    name = "crf_viterbi_accuracy"

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.right, self.steps = 0.0, 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> None:
        """Take in labels (batch, time) and potentials (batch, time, labels, labels)."""
        from recurra.decoding import crf_decode

        paths, _ = crf_decode(y_pred, lengths)
        labels = np.asarray(y_true).reshape(np.shape(y_true)[:2])
        _errors.check_shape("y_true", labels.shape, ("batch", "time"), paths.shape)
        weights = np.ones(paths.shape)
        if sample_weight is not None:
            weights = np.broadcast_to(row_weights(sample_weight, paths.shape), paths.shape)
        counted = paths >= 0
        self.right += float(weights[counted & (paths == labels)].sum())
        self.steps += float(weights[counted].sum())

    def result(self) -> float:
        """Return the share; NaN before the first batch."""
        return self.right / self.steps if self.steps else float("nan")


class BLEU(_SequenceMetric):
    """Corpus BLEU (Papineni et al. 2002): clipped n-gram precisions, their geometric mean, a penalty for brevity.

    Parameters
    ----------
    max_order : int, default 4
        Longest n-grams.
    smooth : bool, default False
        Add 1 to counts of n-grams of two and more (Lin & Och 2004); else one precision of 0 makes a BLEU of 0.
    name : str, optional
        What logs call it.
    decode : {"argmax", "ctc"}, default "argmax"
        How outputs (batch, time, classes) become tokens.
    blank : int, default 0
        Of "ctc".

    Notes
    -----
    A target is one reference or a list of them: texts, split at spaces, or lists of tokens. Agrees with
    `torchmetrics.text.BLEUScore` and, on tokens, with sacrebleu without smoothing. Sample weights choose: those of
    weight 0 are left out.

    Examples
    --------
    >>> import recurra
    >>> bleu = recurra.metrics.BLEU()
    >>> round(bleu(["the cat is on the mat today"], ["the cat is on the mat"]), 4)
    0.8465
    """

    name = "bleu"

    def __init__(
        self,
        max_order: int = 4,
        smooth: bool = False,
        name: str | None = None,
        *,
        decode: str = "argmax",
        blank: int = 0,
    ) -> None:
        self.max_order = _errors.check_integer("max_order", max_order, 1, 100)
        self.smooth = _errors.check_flag("smooth", smooth)
        super().__init__(name, decode, blank)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"max_order": self.max_order, "smooth": self.smooth, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.matches, self.possible = np.zeros(self.max_order), np.zeros(self.max_order)
        self.length, self.reference_length = 0, 0

    def _references(self, y_true: Any, y_pred: Any, lengths: Any) -> list[Any]:
        if not isinstance(y_true, list | tuple):
            return [[row] for row in super()._references(y_true, y_pred, lengths)]
        return [self._options(row, pred) for row, pred in zip(y_true, y_pred, strict=True)]

    def _options(self, target: Any, prediction: Any) -> list[list[Any]]:
        """Return the references of one sample: texts where the prediction is a text, token lists else."""
        if isinstance(target, str):
            return [target.split()]
        several = len(target) > 0 and (isinstance(prediction, str) or np.ndim(target[0]) > 0)
        if not several:
            return [np.asarray(target).tolist()]
        return [one.split() if isinstance(one, str) else list(one) for one in target]

    def _gather(self, references: list[Any], hypotheses: list[Any], weights: Array) -> None:
        for options, tokens in zip(references, hypotheses, strict=True):
            self.length += len(tokens)
            self.reference_length += min((abs(len(one) - len(tokens)), len(one)) for one in options)[1]
            for n in range(self.max_order):
                most: Counter[tuple[Any, ...]] = Counter()
                for one in options:
                    most |= _ngrams(one, n + 1)
                self.matches[n] += (_ngrams(tokens, n + 1) & most).total()
                self.possible[n] += max(len(tokens) - n, 0)

    def result(self) -> float:
        """Return the score, from 0 to 1."""
        matches, possible = self.matches, self.possible
        if self.smooth:
            more = np.arange(self.max_order) > 0
            matches, possible = matches + more, possible + more
        if not self.length or matches.min() == 0.0:
            return 0.0
        brevity = min(0.0, 1.0 - self.reference_length / self.length)
        return float(np.exp(brevity + np.log(matches / possible).mean()))


def _ngrams(tokens: Sequence[Any], n: int) -> Counter[tuple[Any, ...]]:
    shifted: list[Any] = [islice(tokens, i, None) for i in range(n)]
    joined: Callable[..., Any] = zip
    return Counter(joined(*shifted))
