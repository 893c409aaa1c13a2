// Gated recurrent unit (Cho et al. 2014), reset gate after the product as in cuDNN, PyTorch and Keras.
//
//   r, z = sigmoid(z_r), sigmoid(z_z)                       z = W x + b + U h + c
//   n    = tanh(W_n x + b_n + r * (U_n h + c_n))            the trap: c_n sits inside the bracket, also when h = 0
//   h'   = (1 - z) * n + z * h
#pragma once
#include "cells/gates.h"

namespace recurra {
namespace RECURRA_TARGET {

struct Gru {
  // n: W_n x + b_n in, gate out; u: U_n h + c_n (kept). Returns h'.
  template <class T>
  RECURRA_INLINE Vec<T> forward(Vec<T>& n, Vec<T>& r, Vec<T>& z, Vec<T> u, Vec<T> h) {
    sigmoid2(r, z);
    n = tanh<T>(fma(r, u, n));
    return fma(z, h - n, n);
  }

  // Gates in, gradients of their pre-activations out (u: gradient of U_n h + c_n). Returns the gradient of h that goes
  // past the products.
  template <class T>
  RECURRA_INLINE Vec<T> backward(Vec<T>& n, Vec<T>& r, Vec<T>& z, Vec<T>& u, Vec<T> h, Vec<T> dh) {
    const Vec<T> dn = dh * (one<T>() - z) * (one<T>() - n * n);
    const Vec<T> carry = dh * z;
    z = dh * (h - n) * (z * (one<T>() - z));
    n = dn;
    const Vec<T> dr = dn * u;
    u = dn * r;
    r = dr * (r * (one<T>() - r));
    return carry;
  }
};

}  // namespace RECURRA_TARGET
}  // namespace recurra
