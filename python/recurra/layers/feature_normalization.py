"""Features brought to mean 0 and variance 1, with statistics that are learned from data before training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array, Pullback, Shape

_CHUNK = 2**17  # numbers that adapt takes at once: a megabyte
LEAST = 1e-7  # of a standard deviation, as in Keras: a constant feature becomes 0


class Normalization(PlainLayer):
    """Mean 0 and variance 1 for each feature, by the statistics of a data set: y = (x - mean) / sqrt(variance).

    Call `adapt` on the training data before training, or give mean and variance. Standing in the model, it is saved
    with it, and new data is scaled as the training data was.

    Parameters
    ----------
    axis : int or None, default -1
        The last axis: one mean and variance for each feature. None: one of all values.
    mean, variance : array_like, shape (features,) or one number, optional
        Statistics known beforehand; both or neither.
    invert : bool, default False
        Compute x sqrt(variance) + mean instead, from normalized outputs back to the data.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.
    seed : int, optional
        Taken for the sake of the other layers; nothing is drawn.

    Attributes
    ----------
    parameters : dict of str to numpy.ndarray
        ``mean`` and ``variance``, (features,) or (1,). No optimizer moves them.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe, not beside `adapt`. Deviations below 1e-7 count as 1e-7. Computes what
    `keras.layers.Normalization` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[1.0, 30.0]], np.float32))
    array([[-1.,  1.]], dtype=float32)
    """

    pointwise = True

    def __init__(
        self,
        axis: int | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.axis = None if axis is None else _errors.check_integer("axis", axis, -1, 31)
        self.invert = _errors.check_flag("invert", invert)
        if (mean is None) != (variance is None):
            name = "mean" if mean is None else "variance"
            raise _errors.bad_value(name, "mean and variance, or neither", "one alone")
        self.mean = None if mean is None else _statistic("mean", mean)
        self.variance = None if variance is None else _statistic("variance", variance)
        if self.variance is not None and not (self.variance >= 0).all():
            raise _errors.bad_value("variance", "numbers of at least 0", self.variance)

    def build(self, input_shape: Shape) -> None:
        """Declare the statistics for inputs (batch, ..., features); see `Layer.build`."""
        super().build(input_shape)
        assert self.input_shape is not None
        try:
            if self.axis not in (None, -1, len(self.input_shape) - 1):
                raise _errors.bad_value("axis", "the last axis, or None", f"{self.axis}")
            width = 1 if self.axis is None else self.input_shape[-1] or 0
            for statistic in ("mean", "variance"):
                given = getattr(self, statistic)
                if given is not None and given.size not in (1, width):
                    raise _errors.bad_value(statistic, f"{width} numbers, as there are features", f"{given.size}")
        except ValueError:
            self.built = False
            raise
        for statistic, initializer in (("mean", self._mean), ("variance", self._variance)):
            self.add_weight(statistic, (width,), initializer, trainable=False)

    def _mean(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        return np.broadcast_to(0.0 if self.mean is None else self.mean, shape)

    def _variance(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        return np.broadcast_to(1.0 if self.variance is None else self.variance, shape)

    @property
    def _features(self) -> int | None:
        return None if self.axis is None else super()._features

    def adapt(self, data: Any) -> None:
        """Set mean and variance to those of data, forgetting earlier ones.

        Parameters
        ----------
        data : array_like, (array, lengths), list of arrays, or iterable of batches
            What ``fit`` takes as inputs: an array of samples, with lengths if padded; a ragged list of sequences; a
            `recurra.data.Dataset` or another iterable of batches x, (x, y) or (x, y, sample_weight). Steps beyond the
            lengths do not count, samples weigh the same.

        Raises
        ------
        TypeError, ValueError
            If there is nothing to learn from, it is not finite, or does not fit the layer; or if mean and variance
            were given. The layer keeps its statistics.
        """
        if self.mean is not None:
            raise _errors.bad_value("data", "none, as mean and variance were given", "some", "make a new layer")
        count, features = 0, 0
        mean: Any = 0.0
        squares: Any = 0.0
        for rows in _rows(data):
            if features and rows.shape[1] != features:
                raise _errors.bad_value("data", f"{features} features in each batch", f"{rows.shape[1]}")
            features = int(rows.shape[1])
            values = rows.reshape(-1, 1) if self.axis is None else rows
            if not len(values):
                continue
            # joining moments (Chan, Golub & LeVeque 1983): no digits are lost as with means of squares
            own = values.mean(axis=0)
            total = count + len(values)
            squares = squares + ((values - own) ** 2).sum(axis=0) + (own - mean) ** 2 * (count * len(values) / total)
            mean = mean + (own - mean) * (len(values) / total)
            count = total
        if not count:
            raise _errors.bad_value("data", "at least one sample", "none")
        if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
            raise _errors.bad_value("data", "finite numbers", "others")
        if not self.built:
            self.build((None, features))
        self.set_weights([mean, squares / count])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        given = {name: None if (s := getattr(self, name)) is None else s.tolist() for name in ("mean", "variance")}
        return {**super().get_config(), "axis": self.axis, **given, "invert": self.invert}

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        mean, deviation = self._views[0]["mean"], self._deviation()
        y: Array = x * deviation + mean if self.invert else (x - mean) / deviation
        return y

    def _deviation(self) -> Array:
        deviation: Array = np.maximum(np.sqrt(self._views[0]["variance"]), self.dtype.type(LEAST))
        return deviation

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            return dy * self._deviation() if self.invert else dy / self._deviation()

        return self._apply(x, lengths, training, seed), pullback


def _statistic(argument: str, value: Any) -> Array:
    array = _errors.as_real(argument, value, np.dtype(np.float64))
    if array.ndim > 1 or not array.size or not np.isfinite(array).all():
        raise _errors.bad_value(argument, "one finite number for each feature", array)
    return array


def _rows(data: Any) -> Iterator[Array]:
    """Yield the steps that count in data, as float64 rows (steps, features)."""
    arrays = hasattr(data, "__array__") or hasattr(data, "__dlpack__") or hasattr(data, "columns")
    if arrays or isinstance(data, list | tuple):
        yield from _rows_of(data)
        return
    if not hasattr(data, "__iter__"):
        raise _errors.bad_type("data", "an array, a list of sequences, or batches", data)
    for batch in data:
        # a pair whose first is no pair itself is (x, y); x of a batch may be (array, lengths)
        yield from _rows_of(batch[0] if isinstance(batch, tuple) else batch)


def _rows_of(x: Any) -> Iterator[Array]:
    from recurra.data import as_array

    if isinstance(x, tuple) and len(x) == 2 and np.ndim(x[1]) == 1:
        array, lengths = as_array(x[0], "data"), x[1]
        lengths = _errors.check_lengths(lengths, len(array), array.shape[1] if array.ndim > 2 else 0)
        for row, length in zip(array, lengths, strict=True):
            yield from _chunks(row[:length])
    elif isinstance(x, list) and x and all(np.ndim(part) > 1 for part in x):
        for part in x:
            yield from _chunks(as_array(part, "data"))
    else:
        yield from _chunks(as_array(x, "data"))


def _chunks(array: Array) -> Iterator[Array]:
    """Yield an array as float64 rows, some at a time: it may be memory-mapped."""
    if array.ndim < 2 or not array.shape[-1]:
        raise _errors.bad_value("data", "an array (batch, ..., features)", f"shape {array.shape}")
    size = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), size):
        yield array[start : start + size].reshape(-1, array.shape[-1]).astype(np.float64)
