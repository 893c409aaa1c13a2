"""Losses of whole sequences: labels without alignment, and paths of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.losses.base import Loss
from recurra.losses.reduction import row_factors, row_weights

if TYPE_CHECKING:
    from recurra._typing import Array


class SequenceLoss(Loss):
    """Base of the losses with one value per sequence; a subclass supplies ``prepare``, ``sequences_of`` and ``counts``.

    ``values_of`` may be supplied too: the losses alone, where the gradients cost.

    Sequences of length 0, or of weight 0, are not looked at, and those of length 0 are not divided by.
    "mean_per_sequence" divides each sequence's loss by what ``counts`` says first.
    """

    sequences = True
    axes: tuple[str, ...] = ()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> Any:
        """Return the loss; see `Loss.__call__`. Without a reduction: one weighted loss per sequence."""
        if self.reduction is not None and (type(self).vjp is not SequenceLoss.vjp or "vjp" in vars(self)):
            return self.vjp(y_true, y_pred, sample_weight, lengths)[0]
        y_true, y_pred, steps, factors = self._weighed(y_true, y_pred, sample_weight, lengths)
        values = self.values_of(y_true, y_pred, steps)
        return np.where(factors != 0.0, values * factors, 0.0) if self.reduction is None else _sum(values, factors)

    def vjp(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to ``y_pred``; see `Loss.vjp`."""
        self._require_reduction()
        y_true, y_pred, steps, factors = self._weighed(y_true, y_pred, sample_weight, lengths)
        values, dy = self.sequences_of(y_true, y_pred, steps)
        dy *= factors.astype(dy.dtype).reshape(-1, *(1,) * (dy.ndim - 1))
        return _sum(values, factors), dy

    def sequences_of(self, y_true: Array, y_pred: Array, lengths: Array) -> tuple[Array, Array]:
        """Return each sequence's loss (float64) and its gradient."""
        raise NotImplementedError

    def values_of(self, y_true: Array, y_pred: Array, lengths: Array) -> Array:
        """Return each sequence's loss, the bits of ``sequences_of``."""
        return self.sequences_of(y_true, y_pred, lengths)[0]

    def counts(self, y_true: Array, lengths: Array) -> Array:
        """Return by what "mean_per_sequence" divides each sequence's loss."""
        return lengths

    def _weighed(self, y_true: Any, y_pred: Any, sample_weight: Any, lengths: Any) -> tuple[Array, Array, Array, Array]:
        """Return targets, outputs, and the lengths to look at and the factor of each sequence."""
        y_pred = np.asarray(y_pred)
        if y_pred.dtype.name not in ("float32", "float64"):
            y_pred = _errors.as_real("y_pred", y_pred, np.dtype(np.float64))
        y_true = self.prepare(y_true, y_pred.shape, y_pred.dtype)
        batch, time = y_pred.shape[:2]
        steps = np.full(batch, time) if lengths is None else _errors.check_lengths(lengths, batch, time)
        counted = steps > 0
        factors = row_factors(
            "sum_over_batch_size" if self.reduction == "mean_per_sequence" else self.reduction,
            (batch,),
            sample_weight,
            counted,
        )
        if self.reduction == "mean_per_sequence":
            factors = factors / np.maximum(self.counts(y_true, steps), 1)
        if sample_weight is not None:
            steps = np.where(row_weights(sample_weight, (batch,)) != 0.0, steps, 0)
        return y_true, np.ascontiguousarray(y_pred), steps, factors

    def _check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs have the loss's axes."""
        if len(shape) != len(self.axes):
            raise _errors.bad_value("y_pred", f"outputs ({', '.join(self.axes)})", f"shape {shape}")


class CTC(SequenceLoss):
    """Connectionist temporal classification (Graves et al. 2006): labels in order, their steps unknown.

    -log of the sum, over all ways to spread the labels over the steps, of the product of the steps' probabilities. In
    between steps may be blank, a label may last several steps, and two equal labels in a row have a blank between.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See `recurra.losses.Loss`; "mean_per_sequence" divides each loss by its number of labels first, as "mean" does
        in PyTorch.
    name : str, optional
        See `recurra.losses.Loss`.
    blank : int, default 0
        The class of blank steps, ``mask_index`` in Keras.
    from_logits : bool, default True
        The outputs are logits (logarithms of probabilities are logits too); else they are probabilities, divided by
        their sum and at least 1e-7.
    zero_infinity : bool, default False
        Labels that do not fit into their steps cost nothing and give no gradient, instead of an error.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; when called, if labels are out of range or do not fit into their steps.

    Notes
    -----
    Outputs are (batch, time, classes). Targets are labels (batch, most labels), ended by -1 or the blank, or lists of
    labels of any lengths, or the pair ``(labels, label_lengths)``. ``lengths`` are those of the outputs.

    Agrees with `torch.nn.CTCLoss` of log-softmax, and with `keras.losses.CTC`. Runs in double in the engine, several
    sequences at once; results do not depend on the number of threads. Memory is steps times labels for each thread.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> round(recurra.losses.CTC()([[1]], np.zeros((1, 2, 2))), 4)
    0.2877
    """

    name = "ctc"
    axes = ("batch", "time", "classes")

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        *,
        blank: int = 0,
        from_logits: bool = True,
        zero_infinity: bool = False,
    ) -> None:
        super().__init__(reduction, name)
        self.blank = _errors.check_integer("blank", blank, 0)
        self.from_logits = _errors.check_flag("from_logits", from_logits)
        self.zero_infinity = _errors.check_flag("zero_infinity", zero_infinity)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"blank": self.blank, "from_logits": self.from_logits, "zero_infinity": self.zero_infinity}
        return {**super().get_config(), **own}

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return labels as int64 (batch, most labels), ended by -1; see `Loss.prepare`."""
        self._check_outputs(shape)
        batch, classes = shape[0], shape[-1]
        if self.blank >= classes:
            raise _errors.bad_value("blank", f"an integer from 0 to {classes - 1}", str(self.blank))
        labels = padded_labels(y_true)
        _errors.check_shape("y", labels.shape, ("batch", "labels"), (batch, None))
        ended = (labels < 0) | (labels == self.blank)
        holes = ~ended[:, 1:] & ended[:, :-1]
        if holes.any():
            row = int(np.flatnonzero(holes.any(axis=1))[0])
            hint = f"-1 and the blank, {self.blank}, end the labels of a sample"
            raise _errors.bad_value("y", "labels before all padding", f"a gap in sample {row}", hint)
        if labels.size and labels.max() >= classes:
            hint = f"the model has {classes} outputs, one of them the blank"
            raise _errors.bad_value("y", f"labels from 0 to {classes - 1}", str(labels.max()), hint)
        return np.where(ended, -1, labels)

    def counts(self, y_true: Array, lengths: Array) -> Array:
        """Return the numbers of labels."""
        counts: Array = (y_true >= 0).sum(axis=1)
        return counts

    def sequences_of(self, y_true: Array, y_pred: Array, lengths: Array) -> tuple[Array, Array]:
        """Return each sequence's loss and its gradient."""
        values, dy = _core.ctc_loss(*self._engine_input(y_true, y_pred, lengths), blank=self.blank)
        if not self.from_logits:
            dy = np.where(y_pred >= _LEAST, dy / np.maximum(y_pred, _LEAST), dy.dtype.type(0.0))
        return self._finite(values), dy

    def values_of(self, y_true: Array, y_pred: Array, lengths: Array) -> Array:
        """Return each sequence's loss."""
        return self._finite(_core.ctc_values(*self._engine_input(y_true, y_pred, lengths), blank=self.blank))

    def _engine_input(self, y_true: Array, y_pred: Array, lengths: Array) -> tuple[Array, Array, Array, Array]:
        """Return logits, labels, their numbers, and lengths."""
        label_lengths = np.where(lengths > 0, self.counts(y_true, lengths), 0)
        self._check_fit(y_true, label_lengths, lengths)
        logits = y_pred if self.from_logits else np.log(np.maximum(y_pred, _LEAST))
        return logits, np.ascontiguousarray(y_true), label_lengths, lengths

    def _finite(self, values: Array) -> Array:
        return np.where(np.isposinf(values), 0.0, values) if self.zero_infinity else values

    def _check_fit(self, labels: Array, label_lengths: Array, lengths: Array) -> None:
        """Raise if labels need more steps than there are."""
        again = ((labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] >= 0)).sum(axis=1)
        needed = label_lengths + np.where(label_lengths > 0, again, 0)
        if not self.zero_infinity and bool((needed > lengths).any()):
            row = int(np.flatnonzero(needed > lengths)[0])
            got = f"{label_lengths[row]} that need {needed[row]} in sample {row}"
            hint = "equal labels in a row need a blank between; zero_infinity=True leaves such samples out"
            raise _errors.bad_value("y", f"labels that fit into {lengths[row]} steps", got, hint)


class LinearChainCRF(SequenceLoss):
    """Negative log-likelihood of paths of labels in a linear-chain conditional random field (Lafferty et al. 2001).

    log of the sum, over all paths, of exp(score), minus the score of the right path; the score of a path y is
    y_pred[0, 0, y_0] + sum of y_pred[t, y_(t-1), y_t] over the later steps t.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See `recurra.losses.Loss`; "mean_per_sequence" divides each loss by its number of steps first.
    name : str, optional
        See `recurra.losses.Loss`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; when called, if labels are out of range.

    Notes
    -----
    Outputs are the potentials (batch, time, labels, labels) that `recurra.layers.CRF` returns; of step 0 row 0 alone
    is read. Targets are labels (batch, time); behind a sample's end they may be anything below the number of labels.
    `recurra.crf_decode` finds the best path.

    Runs in double in the engine, several sequences at once; results do not depend on the number of threads.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> round(recurra.losses.LinearChainCRF()([[0, 1, 1]], np.zeros((1, 3, 2, 2))), 4)  # one path of eight
    2.0794
    """

    name = "linear_chain_crf"
    axes = ("batch", "time", "labels", "labels")

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return labels as int64 (batch, time); see `Loss.prepare`."""
        self._check_outputs(shape)
        if shape[2] != shape[3]:
            hint = "the last layer of the model should be recurra.layers.CRF"
            raise _errors.bad_value("y_pred", "as many labels on both last axes", f"shape {shape}", hint)
        labels = padded_labels(y_true)
        if labels.shape == (*shape[:2], 1):
            labels = labels[..., 0]
        if isinstance(y_true, list) and labels.ndim == 2 and labels.shape[1] < shape[1]:
            labels = np.pad(labels, ((0, 0), (0, shape[1] - labels.shape[1])), constant_values=-1)
        _errors.check_shape("y", labels.shape, ("batch", "time"), shape[:2])
        if labels.size and labels.max() >= shape[3]:
            raise _errors.bad_value("y", f"labels from 0 to {shape[3] - 1}", str(labels.max()))
        return np.ascontiguousarray(labels, np.int64)

    def sequences_of(self, y_true: Array, y_pred: Array, lengths: Array) -> tuple[Array, Array]:
        """Return each sequence's loss and its gradient."""
        self._check_labels(y_true, y_pred, lengths)
        return _core.crf_loss(y_pred, y_true, lengths)

    def values_of(self, y_true: Array, y_pred: Array, lengths: Array) -> Array:
        """Return each sequence's loss."""
        self._check_labels(y_true, y_pred, lengths)
        return _core.crf_values(y_pred, y_true, lengths)

    @staticmethod
    def _check_labels(y_true: Array, y_pred: Array, lengths: Array) -> None:
        """Raise if a step that counts has no label."""
        wrong = (y_true < 0) & (np.arange(y_true.shape[1]) < lengths[:, None])
        if wrong.any():
            row, step = (int(i) for i in np.argwhere(wrong)[0])
            got = f"{y_true[row, step]} in sample {row}, step {step}"
            hint = "give lengths=, so that the padding behind a sample's end is not read"
            raise _errors.bad_value("y", f"labels from 0 to {y_pred.shape[3] - 1}", got, hint)


def _sum(values: Array, factors: Array) -> float:
    """Return the sum of the losses times their factors; those of factor 0 are not read."""
    chosen = factors != 0.0
    return float((values[chosen] * factors[chosen]).sum())


_LEAST = 1e-7  # of probabilities, Keras's epsilon


def integers(argument: str, value: object) -> Array:
    """Return an array of integers of any kind."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" and array.size:
        raise _errors.bad_type(argument, "integer labels", array.dtype.name, "cast them")
    return array


def padded_labels(y_true: object) -> Array:
    """Return labels as int64 (samples, most labels), ended by -1.

    Parameters
    ----------
    y_true : array_like, list of sequences of int, or the pair (labels, label_lengths)
        Labels as `CTC` takes them.

    Raises
    ------
    TypeError, ValueError
        If they are no integers, or lengths do not fit.
    """
    if isinstance(y_true, tuple) and len(y_true) == 2 and np.ndim(y_true[1]) == 1 and np.ndim(y_true[0]) == 2:
        labels, counts = integers("y", y_true[0]), integers("label_lengths", y_true[1])
        _errors.check_shape("label_lengths", counts.shape, ("batch",), (len(labels),))
        if counts.size and not (counts.min() >= 0 and counts.max() <= labels.shape[1]):
            bad = counts[(counts < 0) | (counts > labels.shape[1])][0]
            raise _errors.bad_value("label_lengths", f"values from 0 to {labels.shape[1]}", str(bad))
        return np.where(np.arange(labels.shape[1]) < counts[:, None], labels, -1).astype(np.int64)
    if isinstance(y_true, np.ndarray):
        return integers("y", y_true).astype(np.int64)
    if not isinstance(y_true, list | tuple) or not all(np.ndim(row) == 1 for row in y_true):
        if isinstance(y_true, list | tuple) and all(np.shape(row) == np.shape(y_true[0]) for row in y_true):
            return integers("y", y_true).astype(np.int64)
        raise _errors.bad_type("y", "labels (batch, most labels), or a list of labels for each sample", y_true)
    rows = [integers("y", row) for row in y_true]
    result = np.full((len(rows), max((len(row) for row in rows), default=0)), -1, np.int64)
    for row, labels in zip(result, rows, strict=True):
        row[: len(labels)] = labels
    return result
