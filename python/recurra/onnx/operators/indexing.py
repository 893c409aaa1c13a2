"""Operators that pick numbers: slices, gathers and their like."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.onnx.site import First, integers

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site


def slices(site: Site) -> Call:
    """Bind Slice: bounds are attributes before version 10, inputs since; Python's own slices mean the same."""
    if site.node.version < 10:
        bounds = [site.attribute(name) for name in ("starts", "ends", "axes")]
        return _sliced(*bounds)
    if not any(site.varies(index) for index in range(1, 5)):
        fixed = [site.constant(index) for index in range(1, 5)]
        return First(_sliced(*(None if one is None else integers(one) for one in fixed)))

    def free(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
        given = (None if one is None else integers(one) for one in (starts, ends, axes, steps))
        return _sliced(*given)(x)  # type: ignore[no-any-return]

    return free


def _sliced(starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Call:
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    chosen = {axis: slice(*bounds) for axis, *bounds in zip(axes, starts, ends, steps, strict=True)}
    if 0 in steps:
        raise ValueError("steps: expected numbers other than 0, got 0")
    if all(axis >= 0 for axis in chosen):
        index = tuple(chosen.get(axis, slice(None)) for axis in range(max(chosen, default=-1) + 1))
        return itemgetter(index)

    def run(x: Array) -> Array:
        places = {axis % x.ndim: part for axis, part in chosen.items()}
        return x[tuple(places.get(axis, slice(None)) for axis in range(x.ndim))]

    return run


def gather(site: Site) -> Call:
    """Bind Gather."""
    axis, fixed = site.attribute("axis"), site.constant(1)
    if fixed is not None and fixed.ndim == 0 and axis >= 0:
        return First(_picked((slice(None),) * axis + (int(fixed),)))
    return lambda x, indices: np.take(x, indices, axis)


def _picked(index: tuple[Any, ...]) -> Call:
    return lambda x: np.asarray(x[index])


def gather_elements(site: Site) -> Call:
    """Bind GatherElements."""
    axis = site.attribute("axis")

    def run(x: Array, indices: Array) -> Array:
        places: list[Any] = list(np.indices(indices.shape, sparse=True))
        places[axis] = indices
        found: Array = x[tuple(places)]
        return found

    return run


def cumulative_sum(site: Site) -> Call:
    """Bind CumSum."""
    exclusive, backwards = site.attribute("exclusive"), site.attribute("reverse")

    def run(x: Array, axis: Any) -> Array:
        place = int(np.asarray(axis).reshape(-1)[0])
        x = np.flip(x, place) if backwards else x
        y = np.cumsum(x, place, dtype=x.dtype)
        y = y - x if exclusive else y
        return np.flip(y, place) if backwards else y

    return run


def non_zero(site: Site) -> Call:
    """Bind NonZero."""
    return lambda x: np.stack(np.nonzero(np.atleast_1d(x))).astype(np.int64)


def reverse_sequence(site: Site) -> Call:
    """Bind ReverseSequence: each row reversed within its own length."""
    time, batch = site.attribute("time_axis"), site.attribute("batch_axis")

    def run(x: Array, lengths: Array) -> Array:
        steps = np.arange(x.shape[time])[:, None]
        places = np.where(steps < lengths, lengths - 1 - steps, steps)
        wide = places if time == 0 else places.T
        wide = wide.reshape(*wide.shape, *(1,) * (x.ndim - 2))
        return np.take_along_axis(x, wide, time)

    if {time, batch} != {0, 1}:
        raise site.refuse("time_axis and batch_axis 0 and 1", f"{time} and {batch}")
    return run


def arg_extreme(site: Site) -> Call:
    """Bind ArgMax or ArgMin."""
    function = np.argmax if site.node.op_type == "ArgMax" else np.argmin
    axis, keep, last = site.attribute("axis"), bool(site.attribute("keepdims")), site.attribute("select_last_index")

    def run(x: Array) -> Array:
        found = x.shape[axis] - 1 - function(np.flip(x, axis), axis) if last else function(x, axis)
        return np.expand_dims(found, axis) if keep else np.asarray(found)

    return run


BUILDERS: dict[str, Any] = {
    "ArgMax": arg_extreme,
    "ArgMin": arg_extreme,
    "CumSum": cumulative_sum,
    "Gather": gather,
    "GatherElements": gather_elements,
    "NonZero": non_zero,
    "ReverseSequence": reverse_sequence,
    "Slice": slices,
}
