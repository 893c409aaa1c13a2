"""Convolution and pooling: what lies under each place of a window.

Legend: N samples, C channels, P padded sizes, K sizes of the window, S strides, D dilations, O sizes of the output.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from recurra import _core, _errors
from recurra.onnx.operators.products import linear
from recurra.onnx.operators.reference import fallback
from recurra.onnx.site import First

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site


class Frame(NamedTuple):
    """A window's attributes, one entry for each axis behind the channels."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...] | None
    auto_pad: str

    def padding(self, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return what is put before and after each axis."""
        if self.auto_pad == "NOTSET" and self.pads is not None:
            if len(self.pads) == 2:
                return [(self.pads[0], self.pads[1])]
            half = len(self.kernel)
            return list(zip(self.pads[:half], self.pads[half:], strict=True))
        if not self.auto_pad.startswith("SAME"):
            return [(0, 0)] * len(self.kernel)
        pairs = []
        for size, kernel, stride, dilation in zip(sizes, self.kernel, self.strides, self.dilations, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
            less, more = total // 2, total - total // 2
            pairs.append((less, more) if self.auto_pad == "SAME_UPPER" else (more, less))
        return pairs

    def rounded_up(self, sizes: tuple[int, ...]) -> Frame:
        """Return the same with so much more padding behind that what would be left over has a window of its own."""
        more = []
        parts = zip(sizes, self.padding(sizes), self.kernel, self.strides, self.dilations, strict=True)
        for size, (low, high), kernel, stride, dilation in parts:
            free = low + size + high - (kernel - 1) * dilation - 1
            count = -(-free // stride) + 1
            if (count - 1) * stride >= low + size:
                count -= 1  # it would start behind the input
            more.append(max(high, high + (count - 1) * stride - free))
        return self._replace(pads=(*(low for low, _ in self.padding(sizes)), *more), auto_pad="NOTSET")

    def cuts(self, outputs: tuple[int, ...]) -> list[tuple[slice, ...]]:
        """Return for each place of the window what of a padded input lies under it."""
        parts = list(zip(outputs, self.strides, self.dilations, strict=True))
        return [
            tuple(
                slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
                for at, (count, stride, dilation) in zip(place, parts, strict=True)
            )
            for place in np.ndindex(*self.kernel)
        ]

    def outputs(self, padded: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output's sizes for padded ones."""
        parts = zip(padded, self.kernel, self.strides, self.dilations, strict=True)
        found = tuple((size - (kernel - 1) * dilation - 1) // stride + 1 for size, kernel, stride, dilation in parts)
        if any(size < 1 for size in found):
            raise _errors.bad_value("X", f"at least the {self.kernel} steps under a window", f"{padded} with padding")
        return found


def frame_of(site: Site, kernel: tuple[int, ...]) -> Frame:
    """Return a node's window."""
    count = len(kernel)
    ones = (1,) * count
    frame = Frame(
        kernel,
        site.attribute("strides") or ones,
        site.attribute("dilations") or ones,
        site.attribute("pads"),
        site.attribute("auto_pad"),
    )
    lists = [frame.strides, frame.dilations, frame.pads or (0,) * 2 * count]
    if [len(one) for one in lists] != [count, count, 2 * count] or min(*kernel, *lists[0], *lists[1]) < 1:
        raise site.refuse(f"strides, dilations and pads of {count} axes, from 1", f"{frame}"[:200])
    if min(lists[2]) < 0 or max(*lists[2], *kernel, *lists[1]) > 2**20:
        raise site.refuse("sizes and pads from 0 to 2**20", f"{frame}"[:200])
    return frame


def padded(x: Array, frame: Frame, fill: Any) -> Array:
    """Return ``x`` padded with ``fill``, in memory as it was."""
    pairs = frame.padding(x.shape[2:])
    if not any(low or high for low, high in pairs):
        return x
    sizes = tuple(low + size + high for (low, high), size in zip(pairs, x.shape[2:], strict=True))
    wide = np.full_like(x, fill, shape=(*x.shape[:2], *sizes))
    inside = [slice(low, low + size) for (low, _), size in zip(pairs, x.shape[2:], strict=True)]
    wide[slice(None), slice(None), *inside] = x
    return wide


def windows(x: Array, frame: Frame, fill: Any) -> Array:
    """Return (N, C, *O, *K), a view of ``x`` padded with ``fill``."""
    x = padded(x, frame, fill)
    frame.outputs(x.shape[2:])
    spans = tuple((kernel - 1) * dilation + 1 for kernel, dilation in zip(frame.kernel, frame.dilations, strict=True))
    axes: Any = tuple(range(2, x.ndim))
    view = sliding_window_view(x, spans, axes)
    steps = tuple(slice(None, None, stride) for stride in frame.strides)
    taps = tuple(slice(None, None, dilation) for dilation in frame.dilations)
    found: Array = view[slice(None), slice(None), *steps, *taps]
    return found


def convolution(site: Site) -> Call:
    """Bind Conv: on packed filters where they are constant."""
    groups = site.attribute("group")
    filters = site.constant(1)
    if filters is None:
        return lambda x, w, b=None: _bound(site, w, b, groups)(x)
    bias = site.constant(2)
    if site.varies(2):
        run = _bound(site, filters, None, groups)
        return lambda x, _, b: run(x) + b.reshape(-1, *(1,) * (x.ndim - 2))
    return First(_bound(site, filters, bias, groups))


def _bound(site: Site, filters: Array, bias: Array | None, groups: int) -> Call:
    """Return x -> Conv for these filters (M, C / groups, *K)."""
    if filters.ndim < 3 or groups < 1 or len(filters) % groups or not filters.size:
        raise site.refuse(f"filters (outputs, channels, ...) in {groups} groups", f"shape {filters.shape}")
    if bias is not None and bias.shape != (len(filters),):
        raise site.refuse(f"a bias of shape ({len(filters)},)", f"{bias.shape}")
    frame = frame_of(site, filters.shape[2:])
    channels = filters.shape[1] * groups
    if groups == 1 and filters.ndim == 3 and frame.dilations == (1,):
        return AlongTime(filters, bias, frame)
    if filters.shape[1] != 1 or groups != len(filters):
        return Gathered(filters, bias, frame, groups)
    run = _each_channel(filters, bias, frame)

    def checked(x: Array) -> Array:
        if x.ndim != filters.ndim or x.shape[1] != channels or x.dtype != filters.dtype:
            raise _unfit(x, filters.shape, filters.dtype, groups)
        return run(x)  # type: ignore[no-any-return]

    return checked


def _unfit(x: Array, shape: tuple[int, ...], dtype: Any, groups: int) -> ValueError:
    got = f"shape {x.shape} of {x.dtype} for filters {shape} in {groups} groups"
    return _errors.bad_value("X", f"{len(shape)} axes, {shape[1] * groups} channels, {dtype}", got)


class AlongTime:
    """One axis, neighbouring taps, one group: the engine's convolution."""

    def __init__(self, filters: Array, bias: Array | None, frame: Frame) -> None:
        self.shape, self.dtype, self.frame = filters.shape, filters.dtype, frame
        wide = np.float64 if filters.dtype == np.float64 else np.float32
        matrix = np.ascontiguousarray(filters.transpose(0, 2, 1), wide)
        added = None if bias is None else np.ascontiguousarray(bias, wide)
        self.packed = _core.Convolution(matrix, added, frame.strides[0])
        self.fixed = frame.padding((0,))[0] if not frame.auto_pad.startswith("SAME") else None

    def __call__(self, x: Array) -> Array:
        """Return the convolution of (N, C, P)."""
        if x.ndim != 3 or x.shape[1] != self.shape[1] or x.dtype != self.dtype:
            raise _unfit(x, self.shape, self.dtype, 1)
        low, high = self.fixed or self.frame.padding(x.shape[2:])[0]
        if self.dtype.char in "fd":
            return self.packed(x, low, high)
        return self.packed(x.astype(np.float32), low, high).astype(self.dtype)

    def activated(self, name: str, alpha: float, beta: float) -> AlongTime | None:
        """Return the same with an activation of the engine's behind it, or None where that rounds twice."""
        if self.dtype.char not in "fd":
            return None
        other = copy(self)
        other.packed = self.packed.activated(name, alpha, beta)
        return other


def _each_channel(filters: Array, bias: Array | None, frame: Frame) -> Call:
    """Filters that see one channel each: a sum over their taps."""
    shape = (-1, *(1,) * len(frame.kernel))
    places = list(np.ndindex(*frame.kernel))

    def run(x: Array) -> Array:
        view = windows(x, frame, 0)
        y = np.zeros(view.shape[: x.ndim], x.dtype)
        for place in places:
            y += view[(..., *place)] * filters[(slice(None), 0, *place)].reshape(shape)
        return y if bias is None else y + bias.reshape(shape)

    return run


class Gathered:
    """Any number of axes and groups: what lies under each window is gathered into rows, channels last."""

    def __init__(self, filters: Array, bias: Array | None, frame: Frame, groups: int) -> None:
        self.shape, self.dtype, self.frame, self.groups = filters.shape, filters.dtype, frame, groups
        each = len(filters) // groups
        parts = [slice(group * each, (group + 1) * each) for group in range(groups)]
        rows = np.moveaxis(filters, 1, -1).reshape(len(filters), -1)
        self.products = [linear(rows[part], None if bias is None else bias[part]) for part in parts]
        self.activation: Call | None = None
        self.plain = {*frame.kernel, *frame.strides} == {1}

    def __call__(self, x: Array) -> Array:
        """Return the convolution of (N, C, *P)."""
        if x.ndim != len(self.shape) or x.shape[1] != self.shape[1] * self.groups or x.dtype != self.dtype:
            raise _unfit(x, self.shape, self.dtype, self.groups)
        wide = padded(x, self.frame, 0)
        outputs = self.frame.outputs(wide.shape[2:])
        wide = np.ascontiguousarray(np.moveaxis(wide, 1, -1))  # (N, *P, C)
        rows = wide.reshape(-1, 1, x.shape[1]) if self.plain else self._gathered(wide, outputs)
        width = self.shape[1]
        if self.groups == 1:
            y = self.products[0](rows.reshape(len(rows), -1))
        else:
            chosen = (rows[:, :, width * k : width * (k + 1)].reshape(len(rows), -1) for k in range(self.groups))
            y = np.concatenate([product(part) for product, part in zip(self.products, chosen, strict=True)], 1)
        if self.activation is not None:
            y = self.activation(y)
        return np.moveaxis(y.reshape(len(x), *outputs, self.shape[0]), -1, 1)

    def _gathered(self, wide: Array, outputs: tuple[int, ...]) -> Array:
        """Return (windows, places of the window, C)."""
        cuts = self.frame.cuts(outputs)
        rows = np.empty((len(wide), *outputs, len(cuts), wide.shape[-1]), wide.dtype)
        for number, cut in enumerate(cuts):
            rows[..., number, :] = wide[(slice(None), *cut)]
        return rows.reshape(-1, *rows.shape[-2:])

    def activated(self, name: str, alpha: float, beta: float) -> Gathered | None:
        """Return the same with an activation of the engine's behind it, or None where that rounds twice."""
        if self.dtype.char not in "fd":
            return None
        other = copy(self)
        other.activation = partial(_core.activation, name, alpha, beta)
        return other


def pooling(site: Site) -> Call:
    """Bind MaxPool, AveragePool or LpPool; rarer options are left to the package onnx."""
    name, kernel = site.node.op_type, site.attribute("kernel_shape")
    up, whole = bool(site.attribute("ceil_mode")), bool(site.attribute("count_include_pad"))
    if site.node.wants(1) or (up and (whole or site.attribute("auto_pad") != "NOTSET")):
        return fallback(site)
    fixed = frame_of(site, kernel)

    def framed(x: Array) -> Frame:
        return fixed.rounded_up(x.shape[2:]) if up else fixed

    if name == "MaxPool":
        return lambda x: (_folded(np.maximum, x, framed(x), _least(x.dtype)),)
    if whole:
        return lambda x: (_folded(np.add, x, fixed, 0) / x.dtype.type(np.prod(kernel)),)

    def average(x: Array) -> tuple[Array]:
        inside = _folded(np.add, np.ones((1, 1, *x.shape[2:]), x.dtype), framed(x), 0)
        return (_folded(np.add, x, framed(x), 0) / inside,)

    return average


def _folded(function: Any, x: Array, frame: Frame, fill: Any) -> Array:
    """Return what lies under each window, folded to one number by a function of two."""
    wide = padded(x, frame, fill)
    first, *others = frame.cuts(frame.outputs(wide.shape[2:]))
    y = wide[(slice(None), slice(None), *first)].copy(order="K")
    for cut in others:
        function(y, wide[(slice(None), slice(None), *cut)], out=y)
    return y


def _least(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def global_pooling(site: Site) -> Call:
    """Bind GlobalMaxPool or GlobalAveragePool."""
    function: Any = np.max if site.node.op_type == "GlobalMaxPool" else np.mean
    return lambda x: function(x, axis=tuple(range(2, x.ndim)), keepdims=True)


BUILDERS: dict[str, Any] = {
    "AveragePool": pooling,
    "Conv": convolution,
    "GlobalAveragePool": global_pooling,
    "GlobalMaxPool": global_pooling,
    "MaxPool": pooling,
}
