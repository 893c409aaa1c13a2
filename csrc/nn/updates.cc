#include "nn/updates.h"

#include <vector>

#include "kernels/dispatch.h"
#include "nn/split.h"

namespace recurra {
namespace {

// The elements [first, first + count) of u.
template <class T>
Update<T> part(Rule rule, const Update<T>& u, long first, long count) {
  Update<T> some = u;
  some.count = count;
  some.parameters += first;
  some.gradients += first;
  for (int k = 0; k < kRules[static_cast<int>(rule)].slots; ++k) some.slots[k] += first;
  return some;
}

constexpr long kChunk = 1 << 14;  // elements that one thread sums up, whatever the number of threads

// The sum of `count` numbers of `weight` elements each, in order.
template <class Body>
double sum(long count, long weight, const Body& body) {
  std::vector<double> sums(static_cast<std::size_t>(count));
  split(count, weight, [&](long first, long last) {
    for (long i = first; i < last; ++i) sums[static_cast<std::size_t>(i)] = body(i);
  });
  double total = 0;
  for (const double one : sums) total += one;
  return total;
}

}  // namespace

template <class T>
void apply_update(Rule rule, const Update<T>& u) {
  const auto function = kernels<T>().train.update[static_cast<int>(rule)];
  split(u.count, 1, [&](long first, long last) { function(part(rule, u, first, last - first)); });
}

template <class T>
void apply_update(Rule rule, const Update<T>& u, const RowList& list) {
  const auto function = kernels<T>().train.update[static_cast<int>(rule)];
  split(list.count, list.width, [&](long first, long last) {
    for (long i = first; i < last; ++i)
      function(part(rule, u, static_cast<long>(list.rows[i]) * list.width, list.width));
  });
}

template <class T>
double sum_of_squares(long count, const T* x) {
  const auto function = kernels<T>().train.sum_of_squares;
  return sum((count + kChunk - 1) / kChunk, kChunk,
             [&](long i) { return function(std::min(kChunk, count - i * kChunk), x + i * kChunk); });
}

template <class T>
double sum_of_squares(const T* x, const RowList& list) {
  const auto function = kernels<T>().train.sum_of_squares;
  return sum(list.count, list.width,
             [&](long i) { return function(list.width, x + static_cast<long>(list.rows[i]) * list.width); });
}

#define RECURRA_INSTANTIATE(T)                                        \
  template void apply_update(Rule, const Update<T>&);                 \
  template void apply_update(Rule, const Update<T>&, const RowList&); \
  template double sum_of_squares(long, const T*);                     \
  template double sum_of_squares(const T*, const RowList&);

RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
