// A step of one row: products and cell in registers.
//
// Every sum is the chain of kernels/product.h, so the bits are those of a product followed by a cell. What is left is
// the chain from one h to the next. Two panels go together, whose sums hide the latency of the fma; the next two's
// products run beside the cells of these.
#pragma once
#include "cells/gru.h"
#include "cells/lstm.h"
#include "kernels/table.h"

namespace recurra {
namespace RECURRA_TARGET {

// Slots that the input adds to, and those that h adds to.
struct LstmRow {
  static constexpr int kSlots = 4, kIn = 4, kFirst = 0, kRec = 4;
  template <class T>
  RECURRA_INLINE Vec<T> finish(const RowStep<T>& s, long panel, Vec<T> (&z)[kSlots]) {
    const long unit = panel * kLanes<T>;
    Vec<T> c = load(s.c_prev + unit);
    const Vec<T> h = Lstm::forward<T>(z[0], z[1], z[2], z[3], c);
    store(s.c + unit, c);
    return h;
  }
};
struct GruRow {
  static constexpr int kSlots = 4, kIn = 3, kFirst = 1, kRec = 3;
  template <class T>
  RECURRA_INLINE Vec<T> finish(const RowStep<T>& s, long panel, Vec<T> (&z)[kSlots]) {
    return Gru::forward<T>(z[0], z[1], z[2], z[3], load(s.h_own + panel * kLanes<T>));
  }
};

// sums[p][first + v] += sum over k of a[k] * b[p][k][v].
template <class T, int P, int V, int first, int slots>
RECURRA_INLINE void add_row_product(long depth, const T* a, const T* b, long b_panel, Vec<T> (&sums)[P][slots]) {
  constexpr long W = kLanes<T>;
  const T* at[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) at[p] = b + p * b_panel;
  for (long k = 0; k < depth; ++k) {
    const Vec<T> x = broadcast(a[k]);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[p][first + v] = fma(x, load(at[p] + v * W), sums[p][first + v]);
      at[p] += V * W;
      __asm__("" : "+r"(at[p]));  // one pointer a panel: else the compiler makes one of every p, v and spills them
    }
  }
}

template <class T, class Cell, int P>
__attribute__((noinline)) void step_panels(const RowStep<T>& s, long panel, bool last) {
  constexpr long W = kLanes<T>;
  Vec<T> z[P][Cell::kSlots];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const T* start = s.start + (panel + p) * s.start_panel;
#pragma GCC unroll 4
    for (int v = 0; v < Cell::kSlots; ++v)
      z[p][v] = load(v < Cell::kIn ? start + v * W : s.start_u + (panel + p) * s.start_u_panel);
  }
  if (s.inputs)
    add_row_product<T, P, Cell::kIn, 0, Cell::kSlots>(s.inputs, s.x, s.in + panel * s.in_panel, s.in_panel, z);
  add_row_product<T, P, Cell::kRec, Cell::kFirst, Cell::kSlots>(s.depth, s.h_prev, s.rec + panel * s.rec_panel,
                                                                s.rec_panel, z);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Vec<T> h = Cell::template finish<T>(s, panel + p, z[p]);
    store(s.h + (panel + p) * W, h);
    if (last && s.kept) store(s.kept + (panel + p) * W, h);
    if (!s.gates) continue;
#pragma GCC unroll 4
    for (int v = 0; v < Cell::kSlots; ++v) store(s.gates + (panel + p) * s.gates_panel + v * W, z[p][v]);
  }
}

template <class T, class Cell>
void step_one_row(const RowStep<T>& s) {
  if (s.panels == 1) return step_panels<T, Cell, 1>(s, 0, true);
  const long wide = s.panels % 2 ? 3 : 2, pairs = (s.panels - wide) / 2;
  const auto end = [&](bool last) {
    if (wide == 3) return step_panels<T, Cell, 3>(s, s.panels - 3, last);
    step_panels<T, Cell, 2>(s, s.panels - 2, last);
  };
  if (s.backwards) end(pairs == 0);
  for (long i = 0; i < pairs; ++i)
    step_panels<T, Cell, 2>(s, 2 * (s.backwards ? pairs - 1 - i : i), s.backwards && i == pairs - 1);
  if (!s.backwards) end(true);
  if (!s.kept || pairs == 0) return;
  const long first = s.backwards ? 2 : 0, count = s.backwards ? s.panels - 2 : 2 * pairs;
  for (long unit = first * kLanes<T>; unit < (first + count) * kLanes<T>; unit += kLanes<T>)
    store(s.kept + unit, load(s.h + unit));
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
