// Products with few columns, row by row as dot products.
#pragma once
#include "kernels/elementwise.h"
#include "kernels/table.h"

namespace recurra {
namespace RECURRA_TARGET {

// The upper half of the lanes added to the lower one until one is left.
template <class T, int lanes>
RECURRA_INLINE T fold_lanes(const T* x) {
  typedef T Half __attribute__((vector_size(lanes / 2 * sizeof(T)), aligned(sizeof(T))));
  if constexpr (lanes == 2) {
    return x[0] + x[1];
  } else {
    const Half sum = *reinterpret_cast<const Half*>(x) + *reinterpret_cast<const Half*>(x + lanes / 2);
    return fold_lanes<T, lanes / 2>(reinterpret_cast<const T*>(&sum));
  }
}

template <class T>
void dots(const Dots<T>& d) {
  constexpr long W = kLanes<T>;
  const long padded = (d.depth + W - 1) / W * W;
  for (long row = 0; row < d.rows; ++row) {
    const T* a = d.a + row * d.a_row;
    for (long o = 0; o < d.outputs; ++o) {
      const T* b = d.b + o * padded;
      Vec<T> sum{};
      for (long k = 0; k < d.depth; k += W) sum = fma(load_upto(a + k, d.depth - k), load(b + k), sum);
      d.c[row * d.c_row + o] = fold_lanes<T, W>(reinterpret_cast<const T*>(&sum)) + (d.start ? d.start[o] : T(0));
    }
  }
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
