"""Operators that reduce axes, softmax and the normalizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core
from recurra.onnx.operators.shapes import axes_of
from recurra.onnx.site import integers

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site


def _mean(x: Array, **axes: Any) -> Any:
    total = np.add.reduce(x, **axes)
    count = x.size // max(1, total.size)
    return total / x.dtype.type(count) if x.dtype.kind == "f" else total // max(1, count)


def _log_sum_exp(x: Array, **axes: Any) -> Any:
    top = np.max(x, axis=axes["axis"], keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.zeros((), x.dtype))
    total = np.log(np.sum(np.exp(x - top), **axes))
    return total + (top if axes["keepdims"] else top.reshape(np.shape(total)))


REDUCTIONS: dict[str, Any] = {
    "ReduceL1": lambda x, **axes: np.sum(np.abs(x), **axes),
    "ReduceL2": lambda x, **axes: np.sqrt(np.sum(np.square(x), **axes)),
    "ReduceLogSum": lambda x, **axes: np.log(np.sum(x, **axes)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": np.maximum.reduce,
    "ReduceMean": _mean,
    "ReduceMin": np.minimum.reduce,
    "ReduceProd": np.multiply.reduce,
    "ReduceSum": np.add.reduce,
    "ReduceSumSquare": lambda x, **axes: np.sum(np.square(x), **axes),
}
# What a reduction over nothing gives, where NumPy knows none.
_EMPTY = {"ReduceMax": -np.inf, "ReduceMin": np.inf}


def reduction(site: Site) -> Call:
    """Bind a reduction: axes from an attribute or, of later versions, an input; all axes without any."""
    name, keep = site.node.op_type, bool(site.attribute("keepdims"))
    function, fixed, varies = REDUCTIONS[name], axes_of(site), site.varies(1)
    nothing = bool(site.attribute("noop_with_empty_axes"))

    def run(x: Array, axes: Array | None = None) -> Array:
        chosen = integers(axes) if varies and axes is not None else fixed
        if not chosen:
            if nothing:
                return np.asarray(function(x[None], axis=0, keepdims=False)) if x.size else x
            chosen = tuple(range(x.ndim))
        more = {}
        if name in _EMPTY and not x.size:
            more["initial"] = x.dtype.type(_EMPTY[name]) if x.dtype.kind == "f" else _limit(x, _EMPTY[name])
        return np.asarray(function(x, axis=chosen, keepdims=keep, **more)).astype(x.dtype, copy=False)

    return run


def _limit(x: Array, sign: float) -> Any:
    if x.dtype.kind == "b":
        return sign > 0
    limits = np.iinfo(x.dtype)
    return limits.max if sign > 0 else limits.min


def softmax(site: Site) -> Call:
    """Bind Softmax or LogSoftmax: along an axis since version 13, over all axes from it on before."""
    function = _softmax if site.node.op_type == "Softmax" else _log_softmax
    axis = site.attribute("axis")
    if site.node.version >= 13:
        return lambda x: function(x, axis)

    def run(x: Array) -> Array:
        place = axis % x.ndim
        flat = x.reshape(int(np.prod(x.shape[:place], dtype=np.int64)), -1)
        return function(flat, 1).reshape(x.shape)

    return run


def _softmax(x: Array, axis: int) -> Array:
    if axis in (-1, x.ndim - 1) and x.dtype.char in "fd" and x.size:
        return _core.softmax(x)
    y = np.exp(x - np.max(x, axis, keepdims=True, initial=-np.inf))
    return y / np.sum(y, axis, keepdims=True)  # type: ignore[no-any-return]


def _log_softmax(x: Array, axis: int) -> Array:
    shifted = x - np.max(x, axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))  # type: ignore[no-any-return]


def layer_normalization(site: Site) -> Call:
    """Bind LayerNormalization, over all axes from ``axis`` on."""
    axis, epsilon = site.attribute("axis"), site.attribute("epsilon")

    def run(x: Array, scale: Array, shift: Array | None = None) -> tuple[Array, Array, Array]:
        wide = x.astype(np.float32) if x.dtype == np.float16 else x
        axes = tuple(range(axis % x.ndim, x.ndim))
        mean = np.mean(wide, axes, keepdims=True)
        centred = wide - mean
        factor = 1 / np.sqrt(np.mean(np.square(centred), axes, keepdims=True) + wide.dtype.type(epsilon))
        y = (centred * factor).astype(x.dtype, copy=False) * scale
        return (y if shift is None else y + shift), mean, factor

    return run


def batch_normalization(site: Site) -> Call:
    """Bind BatchNormalization at inference: one multiplication and addition for each number."""
    if site.attribute("training_mode") or len([name for name in site.node.outputs if name]) > 1:
        raise site.refuse("BatchNormalization at inference", "training_mode", "export the model for inference")
    epsilon = site.attribute("epsilon")

    def factors(scale: Array, shift: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
        factor = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        return factor, shift - mean * factor

    fixed = None
    if all(one is not None for one in site.constants[1:5]):
        fixed = factors(*site.constants[1:5])  # type: ignore[arg-type]

    def run(x: Array, *others: Array) -> tuple[Array]:
        shape = (-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else (-1,)
        factor, shift = (one.astype(x.dtype).reshape(shape) for one in fixed or factors(*others))
        return (x * factor + shift,)

    return run


def instance_normalization(site: Site) -> Call:
    """Bind InstanceNormalization."""
    epsilon = site.attribute("epsilon")

    def run(x: Array, scale: Array, shift: Array) -> Array:
        axes, shape = tuple(range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
        centred = x - np.mean(x, axes, keepdims=True)
        deviation = np.sqrt(np.mean(np.square(centred), axes, keepdims=True) + x.dtype.type(epsilon))
        return centred / deviation * scale.reshape(shape) + shift.reshape(shape)  # type: ignore[no-any-return]

    return run


BUILDERS: dict[str, Any] = {
    **dict.fromkeys(REDUCTIONS, reduction),
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": softmax,
    "Softmax": softmax,
}
