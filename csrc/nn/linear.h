// A dense layer on the recurrent engine's products: y = x W^T + b over rows.
#pragma once
#include "base/team.h"

namespace recurra {

// Arrays are contiguous but for the row strides of x and dy: x [rows, inputs], weight [outputs, inputs], bias [outputs]
// or null.
template <class T>
struct Linear {
  long rows, inputs, outputs;
  const T* weight;
  const T* bias;
  const T* x;
  long x_row;
  T* y;  // [rows, outputs]
};
template <class T>
bool linear(const Linear<T>& a, const Poll& poll);

template <class T>
struct LinearGradients {
  long rows, inputs, outputs;
  const T* weight;
  const T* x;
  long x_row;
  const T* dy;
  long dy_row;
  T* dx;       // [rows, inputs]; null: not wanted
  T* dweight;  // [outputs, inputs]: added to
  T* dbias;    // [outputs]: added to; null: no bias
};
template <class T>
bool linear_backward(const LinearGradients<T>& a, const Poll& poll);

}  // namespace recurra
