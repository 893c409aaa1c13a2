"""Operators that compute each number by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core
from recurra.onnx import tensors
from recurra.onnx.site import First

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.graph import Node
    from recurra.onnx.site import Call, Site

# Operators that are a function of NumPy's.
UFUNCS: dict[str, Any] = {
    "Abs": np.absolute,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Add": np.add,
    "And": np.logical_and,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseNot": np.bitwise_not,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Equal": np.equal,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "IsNaN": np.isnan,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "Round": np.rint,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tan": np.tan,
    "Where": np.where,
    "Xor": np.logical_xor,
}

# Operators of any number of inputs.
VARIADIC: dict[str, Any] = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add}

# Activations: the engine's name, and which attributes its two numbers are.
ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Elu": ("elu", ("alpha",)),
    "HardSigmoid": ("hard_sigmoid", ("alpha", "beta")),
    "LeakyRelu": ("leaky_relu", ("alpha",)),
    "Relu": ("relu", ()),
    "Sigmoid": ("sigmoid", ()),
    "Softplus": ("softplus", ()),
    "Softsign": ("softsign", ()),
    "Tanh": ("tanh", ()),
    "ThresholdedRelu": ("thresholded_relu", ("alpha",)),
}


def ufunc(site: Site) -> Call:
    """Bind an operator that is one of NumPy's functions."""
    function: Call = UFUNCS[site.node.op_type]
    return function


def variadic(site: Site) -> Call:
    """Bind Max, Min or Sum."""
    return _folding(VARIADIC[site.node.op_type])


def _folding(function: Any) -> Call:
    def run(first: Array, *others: Array) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return run


def mean(site: Site) -> Call:
    """Bind Mean, of any number of inputs."""
    total = _folding(np.add)
    return lambda *inputs: total(*inputs) / np.asarray(len(inputs), inputs[0].dtype)


def activation(site: Site) -> Call:
    """Bind an activation of the engine's."""
    return engine_activation(*activation_of(site.node))


def activation_of(node: Node) -> tuple[str, float, float]:
    """Return the engine's name of an activation, and its two numbers."""
    name, attributes = ACTIVATIONS[node.op_type]
    alpha, beta = (*(node.attributes[attribute] for attribute in attributes), 0.0, 0.0)[:2]
    return name, alpha, beta


def engine_activation(name: str, alpha: float = 0.0, beta: float = 0.0) -> Call:
    """Return a function that applies one of the engine's activations to floats of any size."""
    compute = _core.activation

    def run(x: Any) -> Array:
        if type(x) is np.ndarray and x.dtype.char in "fd":
            return compute(name, alpha, beta, x)
        if x.dtype.kind in "iu":  # Relu takes integers as well
            return np.asarray(np.maximum(x, np.zeros((), x.dtype)))
        wide = np.asarray(x, np.float64 if x.dtype == np.float64 else np.float32)
        return compute(name, alpha, beta, wide).astype(x.dtype)

    return run


def selu(site: Site) -> Call:
    """Bind Selu."""
    elu, gamma = engine_activation("elu", site.attribute("alpha")), site.attribute("gamma")
    return lambda x: elu(x) * x.dtype.type(gamma)


def celu(site: Site) -> Call:
    """Bind Celu."""
    alpha = site.attribute("alpha")
    elu = engine_activation("elu", alpha)
    return lambda x: np.where(x > 0, x, elu(x / x.dtype.type(alpha)))


def hard_swish(site: Site) -> Call:
    """Bind HardSwish."""
    gate = engine_activation("hard_sigmoid", 1.0 / 6.0, 0.5)
    return lambda x: x * gate(x)


def swish(site: Site) -> Call:
    """Bind Swish."""
    gate, alpha = engine_activation("sigmoid"), site.attribute("alpha")
    return lambda x: x * gate(x * x.dtype.type(alpha))


def mish(site: Site) -> Call:
    """Bind Mish."""
    inner, outer = engine_activation("softplus"), engine_activation("tanh")
    return lambda x: x * outer(inner(x))


def prelu(site: Site) -> Call:
    """Bind PRelu."""
    return lambda x, slope: np.where(x < 0, x * slope, x)


def divide(site: Site) -> Call:
    """Bind Div, which rounds integers towards zero."""

    def run(a: Array, b: Array) -> Any:
        if a.dtype.kind == "f":
            return np.divide(a, b)
        if a.dtype.kind == "u":
            return np.floor_divide(a, b)
        quotient = np.floor_divide(a, b)
        return quotient + ((quotient < 0) & (quotient * b != a)).astype(a.dtype)

    return run


def power(site: Site) -> Call:
    """Bind Pow, whose result has the type of its base; a square is a product."""
    fixed = site.constant(1)
    if fixed is not None and fixed.size == 1 and fixed.ndim == 0 and fixed == 2:
        return First(np.square)
    return lambda base, exponent: np.asarray(np.power(base, exponent)).astype(base.dtype, copy=False)


def modulo(site: Site) -> Call:
    """Bind Mod, with the sign of the divisor or, with ``fmod``, of the dividend."""
    function: Call = np.fmod if site.attribute("fmod") else np.mod
    return function


def reciprocal(site: Site) -> Call:
    """Bind Reciprocal."""
    return lambda x: x.dtype.type(1) / x


def clip(site: Site) -> Call:
    """Bind Clip, whose limits are attributes before version 11 and inputs since."""
    if site.node.version < 11:
        low, high = site.attribute("min"), site.attribute("max")
        return lambda x: np.minimum(np.maximum(x, x.dtype.type(low)), x.dtype.type(high))

    def run(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
        y = x if low is None else np.maximum(x, low)
        return y if high is None else np.minimum(y, high)

    return run


def is_inf(site: Site) -> Call:
    """Bind IsInf."""
    negative, positive = site.attribute("detect_negative"), site.attribute("detect_positive")
    return lambda x: np.isinf(x) & (((x > 0) & bool(positive)) | ((x < 0) & bool(negative)))


def shift(site: Site) -> Call:
    """Bind BitShift."""
    function: Call = np.left_shift if site.attribute("direction") == "LEFT" else np.right_shift
    return function


def cast(site: Site) -> Call:
    """Bind Cast, towards zero for integers."""
    dtype = tensors.dtype_of(site.attribute("to"), site.where)
    return lambda x: np.asarray(x).astype(dtype)


def cast_like(site: Site) -> Call:
    """Bind CastLike."""
    return lambda x, like: np.asarray(x).astype(like.dtype)


def identity(site: Site) -> Call:
    """Bind Identity."""
    return lambda x: x


def dropout(site: Site) -> Call:
    """Bind Dropout, which does nothing at inference."""
    flag = site.constant(2)
    if site.varies(2) or (flag is not None and flag.any()):
        raise site.refuse("Dropout at inference", "training_mode", "export the model for inference")

    def run(x: Array, *_: Any) -> tuple[Array, Array]:
        return x, np.ones(x.shape, bool)

    return run


BUILDERS: dict[str, Any] = {
    **dict.fromkeys(UFUNCS, ufunc),
    **dict.fromkeys(VARIADIC, variadic),
    **dict.fromkeys(ACTIVATIONS, activation),
    "BitShift": shift,
    "Cast": cast,
    "CastLike": cast_like,
    "Celu": celu,
    "Clip": clip,
    "Div": divide,
    "Dropout": dropout,
    "HardSwish": hard_swish,
    "Identity": identity,
    "IsInf": is_inf,
    "Mean": mean,
    "Mish": mish,
    "Mod": modulo,
    "PRelu": prelu,
    "Pow": power,
    "Reciprocal": reciprocal,
    "Selu": selu,
    "Swish": swish,
}
