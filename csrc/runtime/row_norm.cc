// Layer normalisation as NumPy computes it.
#include "runtime/layer_ops.h"

namespace recurra {
namespace {

// The sum in NumPy's order: pairs of blocks of at most 128, eight partial sums within a block.
template <class T>
T pairwise_sum(const T* x, long count) {
  if (count < 8) {
    T sum = 0;
    for (long i = 0; i < count; ++i) sum += x[i];
    return sum;
  }
  if (count > 128) {
    const long half = count / 2 / 8 * 8;
    return pairwise_sum(x, half) + pairwise_sum(x + half, count - half);
  }
  T part[8];
  for (long lane = 0; lane < 8; ++lane) part[lane] = x[lane];
  long i = 8;
  for (; i < count - count % 8; i += 8)
    for (long lane = 0; lane < 8; ++lane) part[lane] += x[i + lane];
  T sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  for (; i < count; ++i) sum += x[i];
  return sum;
}

}  // namespace

template <class T>
void run_row_norm(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = static_cast<const RowNormOp<T>&>(op);
  const long width = op.out_width;
  const T count = static_cast<T>(width);
  T* const squares = frame.scratch;
  each_row(op, frame, [&](const T* x, T* y) {
    const T mean = pairwise_sum(x, width) / count;
    for (long j = 0; j < width; ++j) y[j] = x[j] - mean;
    for (long j = 0; j < width; ++j) squares[j] = y[j] * y[j];
    const T variance = pairwise_sum(squares, width) / count;
    const T inverse = T(1) / static_cast<T>(__builtin_sqrt(variance + own.epsilon));
    for (long j = 0; j < width; ++j) {
      T value = y[j] * inverse;
      if (own.gamma) value *= own.gamma[j];
      if (own.beta) value += own.beta[j];
      y[j] = value;
    }
  });
}

template void run_row_norm(const Op<float>&, const Frame<float>&);
template void run_row_norm(const Op<double>&, const Frame<double>&);

}  // namespace recurra
