// Drivers over the function table: they share large arrays out over threads in ranges that leave every result as it is.
#include "nn/train.h"

#include <algorithm>
#include <vector>

#include "kernels/dispatch.h"
#include "nn/random.h"
#include "nn/split.h"

namespace recurra {
namespace {

template <class T>
const TrainKernels<T>& table() {
  return kernels<T>().train;
}

}  // namespace

template <class T>
double mean_squared_error(long count, const T* y, const T* target, T* dy) {
  constexpr long kChunk = 1 << 14;  // elements that are summed by one thread, whatever the number of threads
  const long chunks = (count + kChunk - 1) / kChunk;
  std::vector<double> sums(static_cast<std::size_t>(chunks));
  const T scale = static_cast<T>(2.0 / static_cast<double>(count));
  split(chunks, kChunk, [&](long first, long last) {
    for (long i = first; i < last; ++i) {
      const long at = i * kChunk;
      const long some = std::min(kChunk, count - at);
      sums[static_cast<std::size_t>(i)] = table<T>().squared_error(some, scale, y + at, target + at, dy + at);
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total / static_cast<double>(count);
}

template <class T>
void cross_entropy_rows(const CrossEntropy<T>& all) {
  split(all.rows, 4 * all.columns, [&](long first, long last) {
    CrossEntropy<T> part = all;
    part.rows = last - first;
    part.y += first * all.columns;
    if (part.target) part.target += first * all.columns;
    if (part.labels) part.labels += first;
    part.dy += first * all.columns;
    part.loss += first;
    table<T>().cross_entropy(part);
  });
}

template <class T>
double mean_cross_entropy(CrossEntropy<T> all) {
  std::vector<double> losses(static_cast<std::size_t>(all.rows));
  all.loss = losses.data();
  all.scale = static_cast<T>(1.0 / static_cast<double>(all.rows));
  cross_entropy_rows(all);
  double total = 0;
  for (const double loss : losses) total += loss;
  return total / static_cast<double>(all.rows);
}

template <class T>
void apply_activation(const Activation& activation, long count, const T* x, T* y) {
  split(count, 2, [&](long i, long end) { table<T>().activate(activation, end - i, x + i, y + i); });
}

template <class T>
void apply_activation_backward(const Activation& activation, long count, const T* y, const T* dy, T* dx) {
  split(count, 2, [&](long i, long end) { table<T>().activate_backward(activation, end - i, y + i, dy + i, dx + i); });
}

template <class T>
void apply_math(MathFunction function, long count, const T* x, T* y) {
  table<T>().math(function, count, x, y);  // not in a team: denormals are kept
}

template <class T>
void apply_softmax(long rows, long columns, const T* x, T* y) {
  split(rows, 4 * columns,
        [&](long row, long end) { table<T>().softmax(end - row, columns, x + row * columns, y + row * columns); });
}

template <class T>
void apply_softmax_backward(long rows, long columns, const T* y, const T* dy, T* dx) {
  split(rows, columns, [&](long row, long end) {
    const long at = row * columns;
    table<T>().softmax_backward(end - row, columns, y + at, dy + at, dx + at);
  });
}

template <class T>
void apply_dropout(long rows, long columns, double rate, uint64_t seed, uint32_t stream, const T* x, T* y) {
  split(rows, 4 * columns, [&](long row, long end) {
    std::vector<T> mask(static_cast<std::size_t>(columns));
    for (; row < end; ++row) {
      dropout_row(mask.data(), columns, rate, seed, kDropoutLayer, 0, 0, static_cast<long>(stream), row);
      table<T>().multiply(columns, x + row * columns, mask.data(), y + row * columns);
    }
  });
}

#define RECURRA_INSTANTIATE(T)                                                              \
  template double mean_squared_error(long, const T*, const T*, T*);                         \
  template void cross_entropy_rows(const CrossEntropy<T>&);                                 \
  template double mean_cross_entropy(CrossEntropy<T>);                                      \
  template void apply_activation(const Activation&, long, const T*, T*);                    \
  template void apply_activation_backward(const Activation&, long, const T*, const T*, T*); \
  template void apply_math(MathFunction, long, const T*, T*);                               \
  template void apply_softmax(long, long, const T*, T*);                                    \
  template void apply_softmax_backward(long, long, const T*, const T*, T*);                 \
  template void apply_dropout(long, long, double, uint64_t, uint32_t, const T*, T*);

RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
