// The activations, chosen at run time, and their derivatives taken from their outputs.
//
// a, b are alpha and beta. NaN stays NaN in all of them.
//
//   name              y                          dy/dx from y
//   tanh              tanh x                     1 - y^2
//   sigmoid           1 / (1 + exp(-x))          y (1 - y)
//   relu              max(x, 0)                  1 if y > 0 else 0
//   hard_sigmoid      max(0, min(1, a x + b))    a if 0 < y < 1 else 0
//   softsign          x / (1 + |x|)              (1 - |y|)^2
//   softplus          log(1 + exp x)             1 - exp(-y)
//   elu               x if x > 0 else a(e^x-1)   1 if y > 0 else y + a         (a >= 0)
//   leaky_relu        x if x > 0 else a x        1 if y > 0 else a             (a >= 0)
//   thresholded_relu  x if x > a else 0          1 if y != 0 else 0
//   scaled_tanh       a tanh(b x)                b (a - y^2 / a)
//   affine            a x + b                    a
//   identity          x                          1
#pragma once
#include "base/activation.h"
#include "simd/math.h"

namespace recurra {
namespace RECURRA_TARGET {

// log(1 + exp x) without overflow.
template <class T>
RECURRA_INLINE Vec<T> softplus(Vec<T> x) {
  return max(Vec<T>{}, x) + log1p<T>(exp<T>(-abs<T>(x)));
}

template <class T>
static __attribute__((noinline)) Vec<T> activate(const Activation& activation, Vec<T> x) {
  const Vec<T> a = broadcast<T>(static_cast<T>(activation.alpha)), b = broadcast<T>(static_cast<T>(activation.beta));
  const Vec<T> zero{}, one = broadcast<T>(1);
  switch (activation.kind) {
    case ActivationKind::kTanh:
      return tanh<T>(x);
    case ActivationKind::kSigmoid:
      return sigmoid<T>(x);
    case ActivationKind::kRelu:
      return max(zero, x);
    case ActivationKind::kHardSigmoid:
      return max(zero, min(one, fma(a, x, b)));
    case ActivationKind::kSoftsign:
      return x / (one + abs<T>(x));
    case ActivationKind::kSoftplus:
      return softplus<T>(x);
    case ActivationKind::kElu:
      return select(x > zero, x, a * expm1<T>(min(zero, x)));
    case ActivationKind::kLeakyRelu:
      return select(x > zero, x, a * x);
    case ActivationKind::kThresholdedRelu:
      return select(x <= a, zero, x);
    case ActivationKind::kScaledTanh:
      return a * tanh<T>(b * x);
    case ActivationKind::kAffine:
      return fma(a, x, b);
    case ActivationKind::kIdentity:
      break;
  }
  return x;
}

template <class T>
static __attribute__((noinline)) Vec<T> activation_gradient(const Activation& activation, Vec<T> y) {
  const Vec<T> a = broadcast<T>(static_cast<T>(activation.alpha)), b = broadcast<T>(static_cast<T>(activation.beta));
  const Vec<T> zero{}, one = broadcast<T>(1);
  switch (activation.kind) {
    case ActivationKind::kTanh:
      return one - y * y;
    case ActivationKind::kSigmoid:
      return y * (one - y);
    case ActivationKind::kRelu:
      return select(y > zero, one, zero);
    case ActivationKind::kHardSigmoid:
      return select((y > zero) & (y < one), a, zero);
    case ActivationKind::kSoftsign:
      return (one - abs<T>(y)) * (one - abs<T>(y));
    case ActivationKind::kSoftplus:
      return -expm1<T>(-y);
    case ActivationKind::kElu:
      return select(y > zero, one, y + a);
    case ActivationKind::kLeakyRelu:
      return select(y > zero, one, a);
    case ActivationKind::kThresholdedRelu:
      return select(y != zero, one, zero);
    case ActivationKind::kScaledTanh:
      return activation.alpha == 0 ? zero : b * (a - y * y / a);
    case ActivationKind::kAffine:
      return a;
    case ActivationKind::kIdentity:
      break;
  }
  return one;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
