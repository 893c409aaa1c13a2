// Softmax and losses over rows. Sums run over the columns in a fixed order; losses come out in double.
#pragma once
#include "kernels/elementwise.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
RECURRA_INLINE T sum_of_lanes(Vec<T> x) {
  T sum = 0;
  for (int k = 0; k < kLanes<T>; ++k) sum += x[k];
  return sum;
}
template <class T>
RECURRA_INLINE T largest_lane(Vec<T> x) {
  T largest = x[0];
  for (int k = 1; k < kLanes<T>; ++k) largest = x[k] > largest ? x[k] : largest;
  return largest;
}
RECURRA_INLINE double log_of(double x) { return log<double>(broadcast(x))[0]; }

template <class T>
T row_max(const T* x, long columns) {
  const T least = -MathOf<T>::kInfinity;
  Vec<T> largest = broadcast(least);
  for (long j = 0; j < columns; j += kLanes<T>) largest = max(largest, load_upto(x + j, columns - j, least));
  return largest_lane<T>(largest);
}

// y = exp(x - shift); returns the sum. Padding lanes take exp(-inf) = 0.
template <class T>
T row_exp(const T* x, long columns, T shift, T* y) {
  Vec<T> sum{};
  for (long j = 0; j < columns; j += kLanes<T>) {
    const Vec<T> e = exp<T>(load_upto(x + j, columns - j, -MathOf<T>::kInfinity) - broadcast(shift));
    store_upto(y + j, e, columns - j);
    sum = sum + e;
  }
  return sum_of_lanes<T>(sum);
}

template <class T>
T row_sum(const T* x, long columns) {
  Vec<T> sum{};
  for (long j = 0; j < columns; j += kLanes<T>) sum = sum + load_upto(x + j, columns - j);
  return sum_of_lanes<T>(sum);
}

template <class T>
T row_dot(const T* a, const T* b, long columns) {
  Vec<T> sum{};
  for (long j = 0; j < columns; j += kLanes<T>)
    sum = fma(load_upto(a + j, columns - j), load_upto(b + j, columns - j), sum);
  return sum_of_lanes<T>(sum);
}

template <class T>
void row_scale(T* x, long columns, T factor) {
  for (long j = 0; j < columns; j += kLanes<T>)
    store_upto(x + j, load_upto(x + j, columns - j) * broadcast(factor), columns - j);
}

template <class T>
void softmax(long rows, long columns, const T* x, T* y) {
  for (long row = 0; row < rows; ++row, x += columns, y += columns) {
    const T sum = row_exp(x, columns, row_max(x, columns), y);
    for (long j = 0; j < columns; j += kLanes<T>)
      store_upto(y + j, load_upto(y + j, columns - j) / broadcast(sum), columns - j);
  }
}

// dx = y (dy - sum y dy)
template <class T>
void softmax_backward(long rows, long columns, const T* y, const T* dy, T* dx) {
  for (long row = 0; row < rows; ++row, y += columns, dy += columns, dx += columns) {
    const Vec<T> mean = broadcast(row_dot(y, dy, columns));
    for (long j = 0; j < columns; j += kLanes<T>)
      store_upto(dx + j, load_upto(y + j, columns - j) * (load_upto(dy + j, columns - j) - mean), columns - j);
  }
}

// Sixteen sums in double whatever the instruction set, so that all of them add in one order.
template <class T>
double squared_error(long count, T scale, const T* y, const T* target, T* dy) {
  constexpr long kSums = 16;
  double sums[kSums] = {};
  for (long i = 0; i < count; i += kSums) {
    const long some = count - i < kSums ? count - i : kSums;
    for (long k = 0; k < some; ++k) {
      const T difference = y[i + k] - target[i + k];
      sums[k] += static_cast<double>(difference) * static_cast<double>(difference);
      dy[i + k] = scale * difference;
    }
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// Logits z, p = softmax z: loss = sum t (log sum exp z - z), dz = p sum t - t.
template <class T>
double cross_entropy_of_logits(const CrossEntropy<T>& c, const T* z, const T* target, int64_t label, T* dz) {
  const T largest = row_max(z, c.columns);
  const T sum = row_exp(z, c.columns, largest, dz);
  const double log_sum = static_cast<double>(largest) + log_of(static_cast<double>(sum));
  if (!target) {
    const double loss = log_sum - static_cast<double>(z[label]);
    row_scale(dz, c.columns, c.scale / sum);
    dz[label] -= c.scale;
    return loss;
  }
  const T weight = row_sum(target, c.columns);
  const double loss = static_cast<double>(weight) * log_sum - static_cast<double>(row_dot(target, z, c.columns));
  const Vec<T> factor = broadcast(weight / sum), scale = broadcast(c.scale);
  for (long j = 0; j < c.columns; j += kLanes<T>) {
    const long left = c.columns - j;
    store_upto(dz + j, scale * (factor * load_upto(dz + j, left) - load_upto(target + j, left)), left);
  }
  return loss;
}

template <class T>
constexpr T kLeast = T(1e-7);  // Keras's epsilon

// Probabilities y, q = y / sum y clipped: loss = -sum t log q, and as the clip passes no gradient where it acts (a = 0,
// else 1), dy = (sum a t - a t / q) / sum y.
template <class T>
double cross_entropy_of_target(const CrossEntropy<T>& c, const T* y, const T* target, T* dy) {
  const Vec<T> sum = broadcast(row_sum(y, c.columns));
  const Vec<T> low = broadcast(kLeast<T>), high = broadcast(T(1) - kLeast<T>);
  Vec<T> loss{}, weight{};
  for (long j = 0; j < c.columns; j += kLanes<T>) {
    const long left = c.columns - j;
    const Vec<T> q = load_upto(y + j, left) / sum, t = load_upto(target + j, left);
    const Vec<T> clipped = min(high, max(low, q));
    const Vec<T> active = select((q >= low) & (q <= high), t, Vec<T>{});
    loss = fma(t, log<T>(clipped), loss);
    weight = weight + active;
    store_upto(dy + j, active / clipped, left);
  }
  const Vec<T> total = broadcast(sum_of_lanes<T>(weight)), scale = broadcast(c.scale);
  for (long j = 0; j < c.columns; j += kLanes<T>)
    store_upto(dy + j, scale * (total - load_upto(dy + j, c.columns - j)) / sum, c.columns - j);
  return -static_cast<double>(sum_of_lanes<T>(loss));
}

template <class T>
double cross_entropy_of_label(const CrossEntropy<T>& c, const T* y, int64_t label, T* dy) {
  const T sum = row_sum(y, c.columns), q = y[label] / sum;
  const T least = kLeast<T>, most = T(1) - least;
  const T clipped = q < least ? least : q > most ? most : q;
  const bool active = q >= least && q <= most;
  for (long j = 0; j < c.columns; ++j) dy[j] = active ? c.scale / sum : T(0);
  if (active) dy[label] = c.scale * (1 - 1 / clipped) / sum;
  return -log_of(static_cast<double>(clipped));
}

template <class T>
void cross_entropy(const CrossEntropy<T>& c) {
  for (long row = 0; row < c.rows; ++row) {
    const T* y = c.y + row * c.columns;
    const T* target = c.target ? c.target + row * c.columns : nullptr;
    const int64_t label = c.target ? 0 : c.labels[row];
    T* dy = c.dy + row * c.columns;
    c.loss[row] = c.from_logits ? cross_entropy_of_logits(c, y, target, label, dy)
                  : target      ? cross_entropy_of_target(c, y, target, dy)
                                : cross_entropy_of_label(c, y, label, dy);
  }
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
