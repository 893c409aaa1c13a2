// The default activations of the gates, sharing divisions: two gates cost one division, four cost one.
//
// tanh x = p/q (simd/math.h); 1/(q1 q2) times the other denominator is 1/q1. sigmoid x = 1/2 + tanh(x/2)/2. Error of a
// shared gate: at most 2 ULP above that of tanh; results stay within [-1, 1] and [0, 1]; a NaN stays in its gate.
#pragma once
#include "simd/math.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
RECURRA_INLINE Vec<T> half() {
  return broadcast<T>(T(0.5));
}
template <class T>
RECURRA_INLINE Vec<T> one() {
  return broadcast<T>(T(1));
}
template <class T>
RECURRA_INLINE Vec<T> sigmoid_from_tanh(Vec<T> t) {
  return fma(half<T>(), t, half<T>());
}

// r, z of a GRU, pre-activations in, gates out.
RECURRA_INLINE void sigmoid2(Vec<float>& a, Vec<float>& b) {
  const Ratio x = half_tanh_ratio(a), y = half_tanh_ratio(b);
  const Vec<float> r = one<float>() / (x.q * y.q);
  a = sigmoid_from_tanh<float>(clamp(x.p * y.q * r, one<float>()));
  b = sigmoid_from_tanh<float>(clamp(y.p * x.q * r, one<float>()));
}
RECURRA_INLINE void sigmoid2(Vec<double>& a, Vec<double>& b) {
  a = sigmoid_from_tanh<double>(tanh<double>(half<double>() * a));
  b = sigmoid_from_tanh<double>(tanh<double>(half<double>() * b));
}

// i, f, g, o of an LSTM, pre-activations in, gates out.
RECURRA_INLINE void lstm_gates(Vec<float>& i, Vec<float>& f, Vec<float>& g, Vec<float>& o) {
  const Ratio x = half_tanh_ratio(i), y = half_tanh_ratio(f);
  const Ratio u = tanh_ratio(g), w = half_tanh_ratio(o);
  const Vec<float> xy = x.q * y.q, uw = u.q * w.q;
  const Vec<float> r = one<float>() / (xy * uw);  // denominators lie in [1, 430], so the product stays below 4e10
  const Vec<float> rxy = r * uw, ruw = r * xy;
  i = sigmoid_from_tanh<float>(clamp(x.p * y.q * rxy, one<float>()));
  f = sigmoid_from_tanh<float>(clamp(y.p * x.q * rxy, one<float>()));
  g = clamp(u.p * w.q * ruw, one<float>());
  o = sigmoid_from_tanh<float>(clamp(w.p * u.q * ruw, one<float>()));
}
RECURRA_INLINE void lstm_gates(Vec<double>& i, Vec<double>& f, Vec<double>& g, Vec<double>& o) {
  sigmoid2(i, f);
  g = tanh<double>(g);
  o = sigmoid_from_tanh<double>(tanh<double>(half<double>() * o));
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
