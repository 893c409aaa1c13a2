// The simple recurrent network (Elman 1990).
//
//   h' = tanh(W x + b + U h + c)
#pragma once
#include "cells/gates.h"

namespace recurra {
namespace RECURRA_TARGET {

struct Rnn {
  template <class T>
  RECURRA_INLINE Vec<T> forward(Vec<T> z) {
    return tanh<T>(z);
  }
  // h: the output; dh: its gradient. Returns the gradient of z.
  template <class T>
  RECURRA_INLINE Vec<T> backward(Vec<T> h, Vec<T> dh) {
    return dh * (one<T>() - h * h);
  }
};

}  // namespace RECURRA_TARGET
}  // namespace recurra
