// The plain cells over a tail: the last few units of a layer, whose four slots lie side by side in one vector a row
// (R = 4 rows then fill a vector of each slot) or in two (R = 2).
//
// Blocks are transposed on the way in and out; between, the cell is that of whole vectors, so that the bits agree. A
// last group of fewer than R rows repeats its last row and writes only what is there.
#pragma once
#include "cells/gru.h"
#include "cells/lstm.h"
#include "kernels/table.h"
#include "simd/shuffle.h"

namespace recurra {
namespace RECURRA_TARGET {

// At most R rows of an array, `stride` apart.
template <class T, int R>
struct TailRows {
  static constexpr int W = kLanes<T>, kUnits = W / R, kVectors = 4 / R;

  // The four slots, each vector holding one slot of all rows.
  RECURRA_INLINE void load_slots(const T* gates, long stride, long rows, Vec<T> (&slots)[4]) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      Vec<T> row[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) row[r] = load(gates + (r < rows ? r : rows - 1) * stride + v * W);
      transpose<T>(row);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) slots[v * R + r] = row[r];
    }
  }
  RECURRA_INLINE void store_slots(T* gates, long stride, long rows, const Vec<T> (&slots)[4]) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      Vec<T> row[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) row[r] = slots[v * R + r];
      transpose<T>(row);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        if (r < rows) store(gates + r * stride + v * W, row[r]);
    }
  }

  // The tail's units; whole vectors are read, rows of units being padded to them.
  RECURRA_INLINE Vec<T> load_units(const T* units, long stride, long rows) {
    Vec<T> row[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) row[r] = load(units + (r < rows ? r : rows - 1) * stride);
    transpose<T>(row);  // but for its first result the compiler drops it
    return row[0];
  }
  RECURRA_INLINE void store_units(T* units, long stride, long rows, Vec<T> x) {
    alignas(kVectorBytes) T all[W];
    store(all, x);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      if (r < rows) __builtin_memcpy(units + r * stride, all + r * kUnits, kUnits * sizeof(T));
  }
};

struct LstmTail {
  template <class T, class Rows>
  RECURRA_INLINE void forward(const CellArrays<T>& a, long row, long rows, Vec<T> (&s)[4]) {
    Vec<T> c = Rows::load_units(a.c_prev + row * a.c_row, a.c_row, rows);
    Rows::store_units(a.h + row * a.h_row, a.h_row, rows, Lstm::forward<T>(s[0], s[1], s[2], s[3], c));
    Rows::store_units(a.c + row * a.c_row, a.c_row, rows, c);
  }
  template <class T, class Rows>
  RECURRA_INLINE void backward(const CellArrays<T>& a, long row, long rows, Vec<T> (&s)[4]) {
    const Vec<T> c_prev = Rows::load_units(a.c_prev + row * a.c_row, a.c_row, rows);
    const Vec<T> c = Rows::load_units(a.c + row * a.c_row, a.c_row, rows);
    const Vec<T> dh = Rows::load_units(a.dh + row * a.dh_row, a.dh_row, rows);
    Vec<T> dc = Rows::load_units(a.dc + row * a.c_row, a.c_row, rows);
    Lstm::backward<T>(s[0], s[1], s[2], s[3], c_prev, c, dh, dc);
    Rows::store_units(a.dc + row * a.c_row, a.c_row, rows, dc);
  }
};

// Slots n, r, z, u.
struct GruTail {
  template <class T, class Rows>
  RECURRA_INLINE void forward(const CellArrays<T>& a, long row, long rows, Vec<T> (&s)[4]) {
    const Vec<T> h_prev = Rows::load_units(a.h_prev + row * a.h_prev_row, a.h_prev_row, rows);
    Rows::store_units(a.h + row * a.h_row, a.h_row, rows, Gru::forward<T>(s[0], s[1], s[2], s[3], h_prev));
  }
  template <class T, class Rows>
  RECURRA_INLINE void backward(const CellArrays<T>& a, long row, long rows, Vec<T> (&s)[4]) {
    const Vec<T> h_prev = Rows::load_units(a.h_prev + row * a.h_prev_row, a.h_prev_row, rows);
    const Vec<T> dh = Rows::load_units(a.dh + row * a.dh_row, a.dh_row, rows);
    Rows::store_units(a.carry + row * a.carry_row, a.carry_row, rows,
                      Gru::backward<T>(s[0], s[1], s[2], s[3], h_prev, dh));
  }
};

template <class T, class Cell, int R, bool kForward>
void tail_of(const CellArrays<T>& a) {
  using Rows = TailRows<T, R>;
  const auto group = [&](long row, long rows) __attribute__((always_inline)) {
    T* const gates = a.gates + row * a.gates_row;
    Vec<T> s[4];
    Rows::load_slots(gates, a.gates_row, rows, s);
    if constexpr (kForward) {
      Cell::template forward<T, Rows>(a, row, rows, s);
    } else {
      Cell::template backward<T, Rows>(a, row, rows, s);
    }
    Rows::store_slots(gates, a.gates_row, rows, s);
  };
  long row = 0;
  for (; row + R <= a.rows; row += R) group(row, R);
  if (row < a.rows) group(row, a.rows - row);
}

template <class T, class Cell, bool kForward>
void tail(const CellArrays<T>& a) {
  if constexpr (kLanes<T> >= 4) {
    if (a.tail == kLanes<T> / 4) return tail_of<T, Cell, 4, kForward>(a);
  }
  tail_of<T, Cell, 2, kForward>(a);
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
