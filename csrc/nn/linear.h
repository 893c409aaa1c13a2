// A dense layer on the recurrent engine's products: y = x W^T + b over rows.
#pragma once
#include "base/team.h"
#include "nn/packed_matrix.h"

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

// The same with its weights packed once: safe to run from several threads.
template <class T>
class PackedLinear {
 public:
  using Number = T;
  // weight: [outputs, inputs], bias: [outputs] or null; read here and never again.
  PackedLinear(const T* weight, const T* bias, long inputs, long outputs);

  // x: rows of `inputs` numbers, x_row apart. y: [rows, outputs].
  bool run(long rows, const T* x, long x_row, T* y, const Poll& poll) const;

  long inputs() const { return inputs_; }
  long outputs() const { return outputs_; }

 private:
  long inputs_, outputs_;
  PackedMatrix<T> matrix_;  // or
  Buffer<T> rows_;          // [outputs, padded inputs], for few outputs
  Buffer<T> bias_;          // [outputs, padded to whole vectors]
};

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
