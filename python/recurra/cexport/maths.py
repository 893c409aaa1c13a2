"""The functions that a generated file computes with: plain arithmetic that compilers vectorise, without libm.

Coefficients are those of the engine (csrc/simd/math.h). ``@`` stands for the prefix of the file's names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from recurra import _errors

if TYPE_CHECKING:
    from recurra.activations import Activation


class Function(NamedTuple):
    """A C function, and the names of those that it calls."""

    text: str
    needs: tuple[str, ...] = ()


FUNCTIONS: dict[str, Function] = {
    "clamp": Function("""
static inline float @clamp(float x, float limit) {
  x = x > limit ? limit : x;
  return x < -limit ? -limit : x;
}
"""),
    "tanh": Function(
        """
// tanh x: a rational function on |x| <= 9.02, where tanh rounds to 1. Largest error 5e-7. NaN stays NaN.
static inline float @tanh(float x) {
  x = @clamp(x, 9.02f);
  const float u = x * x;
  const float p = 1.0f + u * (0.133797141f + u * (3.49402996e-03f + u * (2.05834061e-05f + u * 1.331897075e-08f)));
  const float q = 1.0f + u * (0.467130293f + u * (2.58710557e-02f + u * (3.28308533e-04f + u * 7.761977300e-07f)));
  return x * p / q;
}
""",
        ("clamp",),
    ),
    "sigmoid": Function(
        """
// 1 / (1 + exp(-x)). Largest error 3e-7.
static inline float @sigmoid(float x) { return 0.5f + 0.5f * @tanh(0.5f * x); }
""",
        ("tanh",),
    ),
    "exp": Function("""
// exp x for x <= 0; 2e-38 below -87. Largest error 2e-7 of the result.
static inline float @exp(float x) {
  x = x > -87.0f ? x : -87.0f;
  const int32_t n = (int32_t)(x * 1.44269504f - 0.5f);
  const float r = (x - (float)n * 0.693145752f) - (float)n * 1.42860682e-06f;
  const float p = 0.5f + r * (0.1666657703f + r * (4.16665547e-02f + r * (8.36317308e-03f + r * 1.39261761e-03f)));
  union { uint32_t bits; float number; } power;
  power.bits = (uint32_t)(n + 127) << 23;
  return (1.0f + (r + r * r * p)) * power.number;
}
"""),
    "relu": Function("""
static inline float @relu(float x) { return x < 0.0f ? 0.0f : x; }
"""),
    "hard_sigmoid": Function("""
static inline float @hard_sigmoid(float x, float alpha, float beta) {
  x = alpha * x + beta;
  x = x > 1.0f ? 1.0f : x;
  return x < 0.0f ? 0.0f : x;
}
"""),
    "softsign": Function("""
static inline float @softsign(float x) { return x / (1.0f + (x < 0.0f ? -x : x)); }
"""),
    "softplus": Function(
        """
// log(1 + exp x). Largest error 3e-7, or 1e-7 of the result.
static inline float @softplus(float x) {
  const float e = @exp(x < 0.0f ? x : -x);
  const float s = e / (2.0f + e), u = s * s;  // log(1 + e) = 2 artanh s, with s <= 1/3
  const float tail = 0.2f + u * (0.142857143f + u * (0.111111111f + u * (0.0909090909f + u * 0.0769230769f)));
  return (x > 0.0f ? x : 0.0f) + 2.0f * s * (1.0f + u * (0.333333333f + u * tail));
}
""",
        ("exp",),
    ),
    "elu": Function(
        """
// Largest error 2e-7 alpha.
static inline float @elu(float x, float alpha) { return x > 0.0f ? x : alpha * (@exp(x > 0.0f ? 0.0f : x) - 1.0f); }
""",
        ("exp",),
    ),
    "leaky_relu": Function("""
static inline float @leaky_relu(float x, float alpha) { return x > 0.0f ? x : alpha * x; }
"""),
    "thresholded_relu": Function("""
static inline float @thresholded_relu(float x, float alpha) { return x <= alpha ? 0.0f : x; }
"""),
    "softmax": Function(
        """
// exp x / sum exp x over n numbers that lie a stride apart, in place.
static inline void @softmax(float *x, int n, int stride) {
  float most = x[0], sum = 0.0f;
  for (int j = 1; j < n; ++j) most = x[j * stride] > most ? x[j * stride] : most;
  for (int j = 0; j < n; ++j) x[j * stride] = @exp(x[j * stride] - most);
  for (int j = 0; j < n; ++j) sum += x[j * stride];
  for (int j = 0; j < n; ++j) x[j * stride] /= sum;
}
""",
        ("exp",),
    ),
    "normalise": Function("""
// Mean 0 and variance 1, in place: (x - mean) / sqrt(variance + epsilon).
static inline void @normalise(float *x, int n, float epsilon) {
  float mean = 0.0f, variance = 0.0f;
  for (int j = 0; j < n; ++j) mean += x[j];
  mean /= (float)n;
  for (int j = 0; j < n; ++j) x[j] -= mean;
  for (int j = 0; j < n; ++j) variance += x[j] * x[j];
  variance = variance / (float)n + epsilon;
  union { uint32_t bits; float number; } root;  // 1 / sqrt(variance): three Newton steps from a guess by the exponent
  root.number = variance;
  root.bits = 0x5f3759dfu - (root.bits >> 1);
  float scale = root.number;
  for (int k = 0; k < 3; ++k) scale *= 1.5f - 0.5f * variance * scale * scale;
  for (int j = 0; j < n; ++j) x[j] *= scale;
}
"""),
    "half": Function("""
// A number stored as IEEE binary16, exactly; the least ones are made without float's own subnormals, which may be off.
static inline float @half(uint16_t bits) {
  const int32_t size = bits & 0x7fff;
  union { uint32_t bits; float number; } wide;
  wide.bits = ((uint32_t)size << 13) + 0x38000000u;
  const float number = size < 0x400 ? (float)size * 5.96046448e-08f : wide.number;
  return bits & 0x8000 ? -number : number;
}
"""),
}

# Activations that are written out where they stand.
_PLAIN = {"identity": "{x}", "affine": "({a} * {x} + {b})", "scaled_tanh": "({a} * {tanh}({b} * {x}))"}
_DOT = """
// The sum of n products, eight partial sums at a time.
static inline float @NAME(const KIND *w, const float *x, int n) {
  float sum[8] = {0.0f};
  int k = 0;
  for (; k + 8 <= n; k += 8)
    for (int lane = 0; lane < 8; ++lane) sum[lane] += x[k + lane] * WEIGHT(w[k + lane]);
  for (; k < n; ++k) sum[k % 8] += x[k] * WEIGHT(w[k]);
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}
"""

DOTS = {"float32": "dot", "float16": "dot_half", "int8": "dot_int8"}
"""The sum of products by how the weights are stored."""


def _dot(name: str, kind: str, weight: str, *needs: str) -> Function:
    """Return the sum of products whose weights are of a C type, and become floats by what stands before them."""
    return Function(_DOT.replace("NAME", name).replace("KIND", kind).replace("WEIGHT", weight), needs)


FUNCTIONS |= {
    "dot": _dot("dot", "float", ""),
    "dot_half": _dot("dot_half", "uint16_t", "@half", "half"),
    "dot_int8": _dot("dot_int8", "int8_t", "(float)"),
}

_ONE_NUMBER = ("elu", "leaky_relu", "thresholded_relu")


def literal(value: float) -> str:
    """Return a float32 as C, exact to the bit."""
    text = f"{float(value):.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def call(activation: Activation, x: str, prefix: str) -> tuple[str, str]:
    """Return the C of an activation of the operand ``x``, and which function it needs (or none)."""
    name, alpha, beta = activation
    a, b = literal(alpha), literal(beta)
    if name in _PLAIN:
        text = _PLAIN[name].format(x=x, a=a, b=b, tanh=f"{prefix}tanh")
        return text, "tanh" if name == "scaled_tanh" else ""
    if name not in FUNCTIONS:
        raise _errors.bad_value("activation", "one that C files know", repr(name))
    if name == "hard_sigmoid":
        return f"{prefix}{name}({x}, {a}, {b})", name
    return f"{prefix}{name}({x}, {a})" if name in _ONE_NUMBER else f"{prefix}{name}({x})", name
