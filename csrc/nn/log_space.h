// Sums of probabilities kept as logarithms, in double, a row at a time on the vector kernels.
#pragma once
#include <algorithm>
#include <limits>

#include "kernels/dispatch.h"

namespace recurra {

constexpr double kLogZero = -std::numeric_limits<double>::infinity();
// Subtracted in place of a largest element of -inf, which would make -inf - -inf, NaN, of an impossible event.
constexpr double kLeastShift = -1e300;

inline void exp_all(long count, double* x) { kernels<double>().train.math(MathFunction::kExp, count, x, x); }
inline void log_all(long count, double* x) { kernels<double>().train.math(MathFunction::kLog, count, x, x); }

// log of the sum of exp over rows: x is [rows, columns] and is spoilt; out: [columns].
inline void log_sum_rows(long rows, long columns, double* x, double* shift, double* out) {
  std::fill(shift, shift + columns, kLeastShift);
  for (long i = 0; i < rows; ++i)
    for (long j = 0; j < columns; ++j) shift[j] = std::max(shift[j], x[i * columns + j]);
  for (long i = 0; i < rows; ++i)
    for (long j = 0; j < columns; ++j) x[i * columns + j] -= shift[j];
  exp_all(rows * columns, x);
  std::copy(x, x + columns, out);
  for (long i = 1; i < rows; ++i)
    for (long j = 0; j < columns; ++j) out[j] += x[i * columns + j];
  log_all(columns, out);
  for (long j = 0; j < columns; ++j) out[j] += shift[j];
}

// log of the sum of exp of one row; x is spoilt.
inline double log_sum(long count, double* x) {
  double largest = kLeastShift;
  for (long j = 0; j < count; ++j) largest = std::max(largest, x[j]);
  for (long j = 0; j < count; ++j) x[j] -= largest;
  exp_all(count, x);
  double sum = 0;
  for (long j = 0; j < count; ++j) sum += x[j];
  log_all(1, &sum);
  return sum + largest;
}

}  // namespace recurra
