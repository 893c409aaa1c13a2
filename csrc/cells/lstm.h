// Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).
//
//   i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)      z = W x + b + U h + c
//   g       = tanh(z_g)
//   c'      = f * c + i * g
//   h'      = o * tanh(c')
#pragma once
#include "cells/gates.h"

namespace recurra {
namespace RECURRA_TARGET {

struct Lstm {
  // Pre-activations in, gates out; c: cell state before in, after out. Returns h'.
  template <class T>
  RECURRA_INLINE Vec<T> forward(Vec<T>& i, Vec<T>& f, Vec<T>& g, Vec<T>& o, Vec<T>& c) {
    lstm_gates(i, f, g, o);
    c = fma(f, c, i * g);
    return o * tanh<T>(c);
  }

  // Gates in, gradients of their pre-activations out. c_prev, c: cell state before and after; dh: gradient of h';
  // dc: gradient of c' from the step after in, gradient of c_prev out.
  template <class T>
  RECURRA_INLINE void backward(Vec<T>& i, Vec<T>& f, Vec<T>& g, Vec<T>& o, Vec<T> c_prev, Vec<T> c, Vec<T> dh,
                               Vec<T>& dc) {
    const Vec<T> tanh_c = tanh<T>(c);
    const Vec<T> d = fma(dh * o, one<T>() - tanh_c * tanh_c, dc);
    o = dh * tanh_c * (o * (one<T>() - o));
    dc = d * f;
    f = d * c_prev * (f * (one<T>() - f));
    const Vec<T> di = d * g * (i * (one<T>() - i));
    g = d * i * (one<T>() - g * g);
    i = di;
  }
};

}  // namespace RECURRA_TARGET
}  // namespace recurra
