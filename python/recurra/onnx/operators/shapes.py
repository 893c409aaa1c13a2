"""Operators that move numbers and change shapes."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter, methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.onnx.site import First, integers, room

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site

# The attributes in which Constant may hold its value, and the type they stand for.
_CONSTANTS = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def constant(site: Site) -> Call:
    """Bind Constant."""
    given = {name: value for name, value in site.node.attributes.items() if value is not None}
    if len(given) != 1 or not set(given) <= set(_CONSTANTS):
        raise site.refuse("a Constant of numbers", ", ".join(given) or "none")
    ((name, value),) = given.items()
    array = np.array(value, dtype=_CONSTANTS[name])
    return lambda: array


def constant_of_shape(site: Site) -> Call:
    """Bind ConstantOfShape."""
    value = site.attribute("value")
    fill = np.zeros((), np.float32) if value is None else value.reshape(-1)
    if fill.size != 1:
        raise site.refuse("one number as attribute 'value'", f"{fill.size}")
    return lambda shape: np.full(room(shape), fill.reshape(()), fill.dtype)


def shape_of(site: Site) -> Call:
    """Bind Shape, whose start and end came with version 15."""
    start, end = site.attribute("start") or 0, site.attribute("end")
    return lambda x: np.array(x.shape[start:end], np.int64)


def size_of(site: Site) -> Call:
    """Bind Size."""
    return lambda x: np.array(x.size, np.int64)


def reshape(site: Site) -> Call:
    """Bind Reshape: 0 keeps a size (unless ``allowzero``), -1 takes what is left."""
    zero = bool(site.attribute("allowzero"))
    fixed = site.constant(1)
    if fixed is not None and (zero or not (fixed == 0).any()):
        return First(methodcaller("reshape", integers(fixed)))

    def run(x: Array, shape: Array) -> Array:
        sizes = integers(shape)
        if not zero:
            sizes = tuple(size or x.shape[axis] for axis, size in enumerate(sizes))
        return x.reshape(sizes)

    return run


def transpose(site: Site) -> Call:
    """Bind Transpose."""
    order = site.attribute("perm")
    return lambda x: x.transpose(order)


def axes_of(site: Site) -> tuple[int, ...] | None:
    """Return the axes of a node as far as they never change, from attribute or second input; None: there are none."""
    given = site.attribute("axes")
    if given is None and site.constant(1) is not None:
        given = site.constant(1)
    return None if given is None else integers(given)


def squeeze(site: Site) -> Call:
    """Bind Squeeze, whose axes are an attribute before version 13 and an input since."""
    fixed = axes_of(site)
    if site.varies(1):
        return lambda x, axes: np.squeeze(x, integers(axes))
    return First(methodcaller("squeeze", fixed))


def unsqueeze(site: Site) -> Call:
    """Bind Unsqueeze, likewise."""
    fixed = axes_of(site)
    if fixed is None:
        return lambda x, axes: np.expand_dims(x, integers(axes))
    known = fixed
    if known == (-1,):
        return First(itemgetter((..., None)))
    if len(known) == 1 and known[0] >= 0:
        return First(itemgetter((*(slice(None),) * known[0], None)))
    return First(lambda x: np.expand_dims(x, known))


def flatten(site: Site) -> Call:
    """Bind Flatten: a matrix whose rows are the axes before ``axis``."""
    axis = site.attribute("axis")

    def run(x: Array) -> Array:
        rows = int(np.prod(x.shape[:axis], dtype=np.int64))
        columns = int(np.prod(x.shape[axis:], dtype=np.int64))
        return x.reshape(rows, columns)

    return run


def concat(site: Site) -> Call:
    """Bind Concat."""
    axis = site.attribute("axis")
    return lambda *inputs: np.concatenate(inputs, axis)


def split(site: Site) -> Call:
    """Bind Split: sizes from an attribute before version 13, from an input since, else equal parts."""
    axis, count = site.attribute("axis"), len(site.node.outputs)
    sizes = site.attribute("split")
    whole_parts = site.attribute("num_outputs") or count

    def run(x: Array, given: Array | None = None) -> tuple[Array, ...]:
        length = x.shape[axis]
        parts = sizes if given is None else integers(given)
        if parts is None:
            each = -(-length // whole_parts)
            parts = [max(0, min(each, length - each * k)) for k in range(whole_parts)]
        if sum(parts) != length or len(parts) != count or min(parts) < 0:
            raise _errors.bad_value("split", f"{count} sizes that add up to {length}", f"{tuple(parts)}")
        return tuple(np.split(x, np.cumsum(parts)[:-1], axis))

    return run


def expand(site: Site) -> Call:
    """Bind Expand; the result is a view that only looks as large."""
    return lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(np.shape(x), room(shape)))


def tile(site: Site) -> Call:
    """Bind Tile."""

    def run(x: Array, repeats: Array) -> Array:
        times = integers(repeats)
        room([size * count for size, count in zip(x.shape, times, strict=True)])
        return np.tile(x, times)

    return run


def arange(site: Site) -> Call:
    """Bind Range."""

    def run(start: Any, limit: Any, delta: Any) -> Array:
        first, last, step = (np.asarray(one).reshape(-1)[0] for one in (start, limit, delta))
        count = np.ceil((last - first) / step) if step else np.inf
        room([int(max(count, 0)) if np.isfinite(count) else -1])
        values: Array = np.arange(int(max(count, 0))).astype(first.dtype) * step + first
        return values

    return run


_PADDING = ("constant", "reflect", "edge", "wrap")


def pad(site: Site) -> Call:
    """Bind Pad: widths and value from attributes before version 11, from inputs since; negative widths crop."""
    mode = site.attribute("mode")
    if mode not in _PADDING:
        raise site.refuse("a mode of " + ", ".join(_PADDING), repr(mode))
    widths, number = site.attribute("pads"), site.attribute("value")
    fixed = site.constant(1)
    if mode != "constant" and fixed is not None and not site.node.has(3) and fixed.size % 2 == 0 and (fixed >= 0).all():
        return First(_mirrored(integers(fixed), mode))

    def run(x: Array, pads: Any = widths, value: Any = number, axes: Any = None) -> Array:
        sizes, chosen = integers(pads), range(x.ndim) if axes is None else integers(axes)
        before, after = [0] * x.ndim, [0] * x.ndim
        for place, axis in enumerate(chosen):
            before[axis], after[axis] = sizes[place], sizes[place + len(chosen)]
        return _padded(x, before, after, mode, value)

    return run


def _mirrored(sizes: tuple[int, ...], mode: str) -> Call:
    """Return x -> x with numbers of its own before and behind some axes."""

    def run(x: Array) -> Array:
        for axis, places in _mirror(x.shape, sizes, mode):
            x = x.take(places, axis)
        return x

    return run


@lru_cache(maxsize=256)
def _mirror(shape: tuple[int, ...], sizes: tuple[int, ...], mode: str) -> list[tuple[int, Array]]:
    """Return the axes that grow, and which numbers stand on them then."""
    if len(sizes) != 2 * len(shape):
        raise _errors.bad_value("pads", f"two for each of {len(shape)} axes", f"{len(sizes)}")
    pairs = list(zip(sizes[: len(shape)], sizes[len(shape) :], strict=True))
    room([low + size + high for size, (low, high) in zip(shape, pairs, strict=True)])
    return [(axis, _places(shape[axis], *pair, mode)) for axis, pair in enumerate(pairs) if any(pair)]


def _padded(x: Array, before: list[int], after: list[int], mode: str, value: Any) -> Array:
    if min(before + after, default=0) < 0:
        kept = zip(before, after, x.shape, strict=True)
        x = x[tuple(slice(max(-low, 0), size + min(high, 0)) for low, high, size in kept)]
    pairs = [(max(low, 0), max(high, 0)) for low, high in zip(before, after, strict=True)]
    shape = room([low + size + high for (low, high), size in zip(pairs, x.shape, strict=True)])
    if mode != "constant":
        for axis, (low, high) in enumerate(pairs):
            if low or high:
                x = x.take(_places(x.shape[axis], low, high, mode), axis)
        return x
    fill = 0 if value is None or np.size(value) == 0 else np.asarray(value).reshape(-1)[0]
    padded = np.full(shape, fill, x.dtype)
    padded[tuple(slice(low, low + size) for (low, _), size in zip(pairs, x.shape, strict=True))] = x
    return padded


@lru_cache(maxsize=256)
def _places(size: int, low: int, high: int, mode: str) -> Array:
    """Return which numbers of an axis stand on the padded one."""
    places = np.arange(-low, size + high)
    if mode == "edge" or size < 2:
        return np.asarray(np.clip(places, 0, size - 1))
    if mode == "wrap":
        return np.asarray(np.remainder(places, size))
    folded = places % (2 * size - 2)
    found: Array = np.minimum(folded, 2 * size - 2 - folded)
    return found


BUILDERS: dict[str, Any] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Flatten": flatten,
    "Pad": pad,
    "Range": arange,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
