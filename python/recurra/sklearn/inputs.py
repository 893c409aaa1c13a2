"""What ``fit`` and ``predict`` accept as ``X``: rows, sequences of one length, and sequences of many lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from recurra import _errors
from recurra.training.data import valid_steps

if TYPE_CHECKING:
    from recurra._typing import Array


class Sequences(NamedTuple):
    """Padded sequences (samples, time, features) and the steps that count (None: all)."""

    x: Array
    lengths: Array | None

    def take(self, rows: Array) -> Sequences:
        """Return some of the samples."""
        return Sequences(self.x[rows], None if self.lengths is None else self.lengths[rows])


def read(estimator: Any, X: Any, *, reset: bool) -> Sequences:
    """Return ``X`` as sequences in the estimator's dtype, checked; see `RNNClassifier` for the forms.

    With ``reset``, the estimator learns from ``X`` the form, the number of features and their names; else ``X`` must
    suit what it learned.
    """
    sequences = None if reset else estimator._sequences
    items = _items(X)
    if items is None and getattr(X, "ndim", 2) != 3 and sequences is not True:
        return _rows(estimator, validate_data(estimator, X, reset=reset, dtype=estimator.dtype), reset)
    if sequences is False:
        hint = "sequences need an estimator fitted on sequences"
        raise _errors.bad_value("X", f"rows of {estimator.n_features_in_} columns, as fitted", "sequences", hint)
    if items is not None:
        found = pack(items, estimator.dtype)
    else:
        array = check_array(X, dtype=estimator.dtype, allow_nd=True, estimator=estimator, input_name="X")
        if array.ndim == 2 and estimator.n_features_in_ == 1:
            array = array[:, :, None]
        _errors.check_shape("X", array.shape, ("samples", "time", "features"), (None, None, None))
        found = Sequences(array, None)
    features = found.x.shape[2]
    if not found.x.shape[1] or not features:
        raise _errors.bad_value("X", "at least one step and one feature", f"shape {found.x.shape}")
    if reset:
        estimator._sequences, estimator.n_features_in_ = True, features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif features != estimator.n_features_in_:
        raise _errors.bad_value("X", f"{estimator.n_features_in_} features, as fitted", str(features))
    return found


def _rows(estimator: Any, array: Array, reset: bool) -> Sequences:
    """Return rows of a matrix as sequences of ``n_steps`` steps."""
    columns = array.shape[1]
    if estimator.n_steps is not None and columns % _errors.check_integer("n_steps", estimator.n_steps, 1):
        hint = "a row holds the features of step 1, then those of step 2, ..."
        raise _errors.bad_value("n_steps", f"a divisor of the {columns} columns of X", str(estimator.n_steps), hint)
    if reset:
        estimator._sequences = False
    steps = columns if estimator.n_steps is None else estimator.n_steps
    return Sequences(array.reshape(len(array), steps, columns // steps), None)


def _items(X: Any) -> list[Array] | None:
    """Return the sequences of a list or of an array of objects; None if ``X`` is a matrix, also as a list of rows."""
    listed = isinstance(X, list | tuple)
    if not listed and not (getattr(X, "ndim", 0) == 1 and getattr(X, "dtype", None) == np.dtype(object)):
        return None
    values = list(X)
    if not values or not all(hasattr(value, "__len__") and not isinstance(value, str | bytes) for value in values):
        return None
    try:
        arrays = [np.asarray(value) for value in values]
    except ValueError:
        raise _errors.bad_value("X", "sequences of numbers (time, features)", "one with uneven steps") from None
    axes = {array.ndim for array in arrays}
    if listed and axes == {1} and len({len(array) for array in arrays}) == 1:
        return None
    if axes not in ({1}, {2}):
        hint = "of one variable also (time,)"
        raise _errors.bad_value("X", "sequences (time, features)", f"some of {max(axes)} axes", hint)
    return arrays if axes == {2} else [array[:, None] for array in arrays]


def pack(items: list[Array], dtype: str) -> Sequences:
    """Return sequences (time, features) padded with zeros at their ends."""
    features = {item.shape[1] for item in items}
    if len(features) > 1:
        raise _errors.bad_value("X", "sequences of equally many features", " and ".join(map(str, sorted(features))))
    lengths = np.array([len(item) for item in items], np.int64)
    if not lengths.all():
        raise _errors.bad_value("X", "at least one step in each sequence", f"none in sample {lengths.argmin()}")
    flat = check_array(np.concatenate(items), dtype=dtype, input_name="X")
    time = int(lengths.max())
    if (lengths == time).all():
        return Sequences(flat.reshape(len(items), time, -1), None)
    padded = np.zeros((len(items), time, flat.shape[1]), dtype)
    padded[valid_steps(lengths, time)] = flat
    return Sequences(padded, lengths)


def read_weight(sample_weight: Any, count: int) -> Array | None:
    """Return weights of samples, checked; None where all count alike."""
    if sample_weight is None:
        return None
    weight: Array = check_array(sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
    _errors.check_shape("sample_weight", weight.shape, ("samples",), (count,))
    if weight.min() < 0.0:
        raise _errors.bad_value("sample_weight", "weights of at least zero", repr(float(weight.min())))
    if not weight.any():
        raise _errors.bad_value("sample_weight", "a weight above zero", "zero for all samples")
    return weight
