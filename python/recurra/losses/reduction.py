"""From the losses of rows to one number: every reduction is a sum of rows times factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array

# Keras's, and the last one: each sequence is averaged over its steps first, so that long ones weigh no more than short.
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "mean_per_sequence")
_ALIASES = {"mean": "sum_over_batch_size"}


def check_reduction(value: object) -> str | None:
    """Return a reduction by its first name; "none" is None, as in Keras."""
    if value is None or value == "none":
        return None
    if isinstance(value, str):
        value = _ALIASES.get(value, value)
    return _errors.check_choice("reduction", value, REDUCTIONS)


def counted_rows(lengths: object, shape: tuple[int, ...]) -> Array | None:
    """Return the mask of the rows that lengths count, for rows (batch, time, ...); None for all of them."""
    if lengths is None:
        return None
    if len(shape) < 2:
        raise _errors.bad_value("lengths", "outputs with a time axis", f"one row per sample, {shape}", "drop lengths")
    known = _errors.check_lengths(lengths, shape[0], shape[1])
    if bool((known == shape[1]).all()):
        return None
    mask: Array = np.arange(shape[1]) < known[:, None]
    return np.broadcast_to(mask.reshape(*mask.shape, *(1,) * (len(shape) - 2)), shape)


def row_weights(sample_weight: object, shape: tuple[int, ...]) -> Array:
    """Return sample weights, one per sample or per row, as float64 that broadcasts over rows of this shape.

    Raises
    ------
    TypeError, ValueError
        If they do not fit, or are not finite.
    """
    weights = _errors.as_real("sample_weight", sample_weight, np.dtype(np.float64))
    if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    fits = 1 <= weights.ndim <= len(shape) and all(
        size in (full, 1) if axis else size == full
        for axis, (size, full) in enumerate(zip(weights.shape, shape, strict=False))
    )
    if not fits:
        per_row = f" or one per step, {shape}" if len(shape) > 1 else ""
        raise _errors.bad_value("sample_weight", f"one per sample, ({shape[0]},){per_row}", f"shape {weights.shape}")
    if not bool(np.isfinite(weights).all()):
        raise _errors.bad_value("sample_weight", "finite numbers", "NaN or infinity")
    return weights.reshape(*weights.shape, *(1,) * (len(shape) - weights.ndim))


def row_factors(
    reduction: str | None, shape: tuple[int, ...], sample_weight: object = None, counted: Array | None = None
) -> Array:
    """Return what each row's loss is multiplied by, so that the sum is the reduced loss.

    With weights w, mask m (1 for a row that counts) and sums over rows::

        sum, None                w m
        sum_over_batch_size      w m / sum m
        mean_with_sample_weight  w m / sum (w m)
        mean_per_sequence        w m / (steps of the sequence that count * sequences of at least one such step)

    Parameters
    ----------
    reduction : str or None
        As `check_reduction` returns it.
    shape : tuple of int
        Of the rows, samples first.
    sample_weight : array_like, optional
        See `row_weights`.
    counted : numpy.ndarray of bool, optional
        The mask, in the rows' shape; all by default.

    Returns
    -------
    numpy.ndarray of float64
        In the rows' shape; all zero where there is nothing to divide by.
    """
    mask = np.ones(shape) if counted is None else counted.astype(np.float64)
    weighted = mask if sample_weight is None else mask * row_weights(sample_weight, shape)
    if reduction is None or reduction == "sum":
        return weighted
    if reduction == "mean_per_sequence":
        steps = mask.reshape(len(mask), -1).sum(axis=1)
        divisors = np.maximum(steps * np.count_nonzero(steps), 1.0)
        factors: Array = weighted / divisors.reshape(-1, *(1,) * (len(shape) - 1))
        return factors
    total = float(weighted.sum() if reduction == "mean_with_sample_weight" else mask.sum())
    return weighted / total if total else np.zeros(shape)
