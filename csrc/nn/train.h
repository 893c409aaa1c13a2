// Everything of training outside the recurrence: losses, activations, softmax, dropout.
//
// Arrays are contiguous. Large ones are shared out over threads; results do not depend on how. Instantiated for float
// and double.
#pragma once
#include <cstdint>

#include "base/activation.h"
#include "kernels/train_table.h"

namespace recurra {

// Mean of (y - target)^2 over all elements, and its gradient dy.
template <class T>
double mean_squared_error(long count, const T* y, const T* target, T* dy);

// The rows' losses c.loss and c.scale times their gradients c.dy. Labels must lie within the columns.
template <class T>
void cross_entropy_rows(const CrossEntropy<T>& c);

// Mean over the rows, and its gradient c.dy; sets c.scale and c.loss itself.
template <class T>
double mean_cross_entropy(CrossEntropy<T> c);

template <class T>
void apply_activation(const Activation& activation, long count, const T* x, T* y);
template <class T>
void apply_activation_backward(const Activation& activation, long count, const T* y, const T* dy, T* dx);

// A function of simd/math.h, for tests of its stated error.
template <class T>
void apply_math(MathFunction function, long count, const T* x, T* y);

// x, y, dy, dx: [rows, columns]
template <class T>
void apply_softmax(long rows, long columns, const T* x, T* y);
template <class T>
void apply_softmax_backward(long rows, long columns, const T* y, const T* dy, T* dx);

// y = x * mask, the masks of nn/random.h for purpose kDropoutLayer and step `stream`. Applied to dy it is the backward
// pass.
template <class T>
void apply_dropout(long rows, long columns, double rate, uint64_t seed, uint32_t stream, const T* x, T* y);

}  // namespace recurra
