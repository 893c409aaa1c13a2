"""MatMul and Gemm on the engine's products: weights that never change are packed once."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site


def linear(weight: Array, bias: Array | None = None) -> Call:
    """Return x -> x W^T + b over rows (rows, inputs) for weights (outputs, inputs) that never change."""
    dtype = weight.dtype
    wide = np.float64 if dtype == np.float64 else np.float32
    matrix = np.ascontiguousarray(weight, wide)
    packed = _core.Linear(matrix, None if bias is None else np.ascontiguousarray(bias, wide))
    if dtype == wide:
        return packed
    return lambda x: packed(x.astype(wide)).astype(dtype)


def product(a: Array, weight: Array) -> Array:
    """Return a W^T for matrices of floats of any size, neither of which stays."""
    if a.dtype.char in "fd":
        return _core.linear(np.ascontiguousarray(weight), None, a)
    return _core.linear(weight.astype(np.float32), None, a.astype(np.float32)).astype(a.dtype)


def matmul(site: Site) -> Call:
    """Bind MatMul: on packed weights where the right factor is a constant matrix."""
    right = site.constant(1)
    if right is not None and right.ndim == 2 and right.dtype.kind == "f" and min(right.shape):
        return _times(right)

    def run(a: Array, b: Array) -> Any:
        if a.ndim == 2 and b.ndim == 2 and a.dtype.kind == "f" and a.shape[1] == b.shape[0] and b.size:
            return product(a, b.T)
        return np.matmul(a, b)

    return run


def _times(right: Array) -> Call:
    packed, (inputs, outputs) = linear(right.T), right.shape

    def run(a: Array, _: Any) -> Array:
        if a.shape[-1:] != (inputs,):
            got = f"shapes {a.shape} and {right.shape}"
            raise _errors.bad_value("factors", f"{inputs} columns on the left", got)
        if a.ndim == 2:
            return packed(a)  # type: ignore[no-any-return]
        return packed(a.reshape(prod(a.shape[:-1]), inputs)).reshape(*a.shape[:-1], outputs)  # type: ignore[no-any-return]

    return run


def gemm(site: Site) -> Call:
    """Bind Gemm: alpha A B + beta C, on packed weights where B is constant."""
    alpha, beta = site.attribute("alpha"), site.attribute("beta")
    left, right = site.attribute("transA"), site.attribute("transB")
    fixed, added = site.constant(1), site.constant(2)
    inside = added is not None and added.dtype.kind == "f" and (added.ndim < 2 or added.shape[0] == 1)
    if fixed is None or fixed.dtype.kind != "f" or fixed.ndim != 2 or not fixed.size:
        return _gemm(_free(left, right), alpha, beta)
    weight = fixed if right else fixed.T
    weight = weight if alpha == 1 else (weight * alpha).astype(fixed.dtype)
    if not (inside and _fits(added, len(weight))):
        packed = linear(weight)
        return _gemm(lambda a, b: packed(_matrix(a, left, weight)), 1.0, beta)
    assert added is not None
    bias = np.broadcast_to((added * beta).astype(fixed.dtype).reshape(-1), (len(weight),))
    whole = linear(weight, bias)
    return lambda a, *_: whole(_matrix(a, left, weight))


def _fits(added: Array | None, outputs: int) -> bool:
    return added is not None and added.size in (1, outputs)


def _matrix(a: Array, transposed: int, weight: Array) -> Array:
    a = a.T if transposed else a
    if a.ndim != 2 or a.shape[1] != weight.shape[1]:
        got = f"shape {a.shape} for weights {weight.shape}"
        raise _errors.bad_value("factor A", f"{weight.shape[1]} columns", got)
    return a


def _free(left: int, right: int) -> Call:
    def run(a: Array, b: Array) -> Array:
        a, b = a.T if left else a, b.T if right else b
        if a.dtype.kind != "f" or not b.size or a.shape[-1:] != b.shape[:1]:
            return a @ b
        return product(a, b.T)

    return run


def _gemm(multiply: Call, alpha: float, beta: float) -> Call:
    def run(a: Array, b: Array, c: Array | None = None) -> Array:
        y = multiply(a, b)
        if alpha != 1:
            y = (y * alpha).astype(y.dtype, copy=False)
        if c is None:
            return y  # type: ignore[no-any-return]
        return y + (c if beta == 1 else (c * beta).astype(c.dtype))  # type: ignore[no-any-return]

    return run


def einsum(site: Site) -> Call:
    """Bind Einsum."""
    equation = site.attribute("equation")
    return lambda *inputs: np.einsum(equation, *inputs)


BUILDERS: dict[str, Any] = {"Einsum": einsum, "Gemm": gemm, "MatMul": matmul}
