"""What the forecaster accepts: one series, with or without an axis of variables, or a list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array


class Form(NamedTuple):
    """How series were given: in a list, and without the axis of variables."""

    listed: bool
    flat: bool


class Series(NamedTuple):
    """Series (time, variables), float64, and how they were given."""

    values: list[Array]
    form: Form


def read(argument: str, value: Any) -> Series:
    """Return series of equally many variables, checked."""
    listed = isinstance(value, list | tuple) and bool(value) and all(np.ndim(item) > 0 for item in value)
    arrays = [_array(argument, item) for item in (value if listed else [value])]
    flat = {array.ndim == 1 for array in arrays}
    values = [array.reshape(len(array), -1) for array in arrays]
    if len(flat) > 1 or len({array.shape[1] for array in values}) > 1:
        shapes = " and ".join(sorted({str(array.shape) for array in arrays}))
        raise _errors.bad_value(argument, "series of the same variables", f"shapes {shapes}")
    return Series(values, Form(listed, flat.pop()))


def read_exog(exog: Any, steps: list[int]) -> list[Array]:
    """Return exogenous variables (time, k), one array for each series and of its steps; k is 0 without any."""
    if exog is None:
        return [np.empty((count, 0)) for count in steps]
    given = read("exog", exog)
    if len(given.values) != len(steps):
        raise _errors.bad_value("exog", f"an array for each series, {len(steps)}", str(len(given.values)))
    for values, count in zip(given.values, steps, strict=True):
        _errors.check_shape("exog", values.shape, ("time", "variables"), (count, None))
    return given.values


def _array(argument: str, value: Any) -> Array:
    """Return one series as float64."""
    array: Array = check_array(value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=argument)
    if array.ndim not in (1, 2):
        hint = "give several series as a list"
        raise _errors.bad_value(argument, "a series (time,) or (time, variables)", f"shape {array.shape}", hint)
    return array


def moments(values: list[Array]) -> tuple[Array, Array]:
    """Return mean and deviation of each variable over all steps of all series; 1 for a deviation of 0."""
    steps = np.concatenate(values)
    deviation = steps.std(axis=0)
    return steps.mean(axis=0), np.where(deviation > 0.0, deviation, 1.0)


def shaped(forecasts: Array, form: Form) -> Array:
    """Return forecasts (series, horizon, variables) as the series were given."""
    if form.flat:
        forecasts = forecasts[:, :, 0]
    return forecasts if form.listed else forecasts[0]
