"""Weights that make up for classes of different frequency."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra import _errors
from recurra.data.arrays import as_array


def class_weights(y: Any) -> dict[int, float]:
    """Return the weight of each class that makes all count alike: samples / (classes * samples of the class).

    Parameters
    ----------
    y : array_like of int, or one-hot array_like, shape (..., classes)
        Targets as ``fit`` takes them: integers of any shape, or real numbers that are 1 in the class's column.

    Returns
    -------
    dict of int to float
        Of the classes that occur, for ``fit``'s ``class_weight``; scikit-learn's ``compute_class_weight("balanced")``.

    Raises
    ------
    TypeError, ValueError
        If these are no classes.

    Examples
    --------
    >>> from recurra.data import class_weights
    >>> class_weights([0, 0, 0, 1])
    {0: 0.6666666666666666, 1: 2.0}
    """
    labels = as_array(y, "y")
    if labels.dtype.kind == "f":
        one_hot = labels.ndim > 1 and labels.shape[-1] > 1
        if not np.isin(labels, (0, 1)).all() or (one_hot and not (labels.sum(axis=-1) == 1).all()):
            raise _errors.bad_value("y", "integers, or one-hot rows", labels)
        labels = labels.argmax(axis=-1) if one_hot else labels.astype(np.int64)
    if not labels.size:
        raise _errors.bad_value("y", "at least one sample", "none")
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise _errors.bad_value("y", "classes from 0", f"{labels.min()}")
    classes, counts = np.unique(labels, return_counts=True)
    return {int(c): labels.size / (len(classes) * int(n)) for c, n in zip(classes, counts, strict=True)}
