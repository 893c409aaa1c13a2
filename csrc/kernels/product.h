// Register-tiled products on packed weights.
//
// A tile is M rows by V vectors of accumulators; each accumulator is one chain of fused multiply-adds with k ascending,
// so the bits of an element depend neither on the tile it falls into nor on how rows are split over threads.
#pragma once
#include "kernels/table.h"
#include "simd/vec.h"

namespace recurra {
namespace RECURRA_TARGET {

// Rows of the tile for V vectors: as many as the registers hold beside the weights of one k and one broadcast.
constexpr int tile_rows(int vectors) {
  return kVectorRegisters >= 32 ? (vectors == 4   ? 6
                                   : vectors == 3 ? 8
                                                  : 12)
                                : (vectors == 4   ? 3
                                   : vectors == 3 ? 4
                                   : vectors == 2 ? 6
                                                  : 12);
}

// Accumulators beside which the registers do not hold the broadcasts of all rows at once.
constexpr int kFullTile = kVectorRegisters == 32 ? 20 : 10;

// The rows of A, one pointer each, for M rows and P panels of V vectors (M > 1: P = 1).
template <class T, int M, int V, int P>
RECURRA_INLINE void multiply_tile(const Product<T>& p, long row, long panel, long first_vector, long b_row) {
  Vec<T> s[M][P * V];
  const T* start = p.start ? p.start + row * p.start_row + panel * p.start_panel + first_vector * kLanes<T> : nullptr;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < P * V; ++v)
      s[m][v] = start ? load(start + m * p.start_row + (v / V) * p.start_panel + (v % V) * kLanes<T>) : Vec<T>{};
  const T* b = p.b + panel * p.b_panel + first_vector * kLanes<T>;
  const T* a_block = p.a + row * p.a_row;
  for (long block = 0; block < p.blocks; ++block, a_block += p.a_block) {
    const T* a = a_block;
    for (long k = 0; k < p.depth; ++k, ++a, b += b_row) {
      Vec<T> w[P * V];
#pragma GCC unroll 16
      for (int v = 0; v < P * V; ++v) {
        w[v] = load(b + (v / V) * p.b_panel + (v % V) * kLanes<T>);
        if (M > 1) RECURRA_IN_REGISTER(w[v]);  // folded into every fma they would be read M times
      }
      const T* at = a;
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        if (m > 0 && M * P * V >= kFullTile) RECURRA_AFTER(at, s[m - 1][0]);
        const Vec<T> x = broadcast(at[m * p.a_row]);
#pragma GCC unroll 16
        for (int v = 0; v < P * V; ++v) s[m][v] = fma(x, w[v], s[m][v]);
      }
    }
  }
  T* c = p.c + row * p.c_row + panel * p.c_panel + first_vector * kLanes<T>;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < P * V; ++v) store(c + m * p.c_row + (v / V) * p.c_panel + (v % V) * kLanes<T>, s[m][v]);
}

// Calls tile<M> for `rows` rows in tiles of at most kMax rows whose sizes differ by one at most.
template <int M>
struct RowsOf {
  template <class F>
  RECURRA_INLINE void call(long m, const F& f) {
    if (m == M) return f(RowsOf<M>());
    if constexpr (M > 1) RowsOf<M - 1>::call(m, f);
  }
  static constexpr int value = M;
};

template <class T, int V>
RECURRA_INLINE void multiply_rows(const Product<T>& p, long panel, long first_vector, long b_row) {
  constexpr int kMax = tile_rows(V);
  const long tiles = (p.rows + kMax - 1) / kMax;
  long row = 0;
  for (long t = 0; t < tiles; ++t) {
    const long m = (p.rows - row + tiles - t - 1) / (tiles - t);
    RowsOf<kMax>::call(m, [&](auto size) __attribute__((always_inline)) {
      multiply_tile<T, decltype(size)::value, V, 1>(p, row, panel, first_vector, b_row);
    });
    row += m;
  }
}

// One panel of V vectors, all rows. With 16 registers four vectors go as two passes of two: 6x2 tiles reach more than
// 3x4 do.
template <class T, int V>
__attribute__((noinline)) void multiply_panel(const Product<T>& p, long panel) {
  constexpr long kRow = V * kLanes<T>;
  if constexpr (V == 4 && kVectorRegisters == 16) {
    if (p.rows > 3) {
      multiply_rows<T, 2>(p, panel, 0, kRow);
      multiply_rows<T, 2>(p, panel, 2, kRow);
      return;
    }
  }
  multiply_rows<T, V>(p, panel, 0, kRow);
}

// A single row: several panels at once, so that enough chains hide the latency of the fma.
template <class T, int V>
__attribute__((noinline)) long multiply_one_row(const Product<T>& p, long panels) {
  constexpr int kPanels = (kVectorRegisters >= 32 ? 16 : 12) / V;
  long panel = 0;
  for (; panel + kPanels <= panels; panel += kPanels) multiply_tile<T, 1, V, kPanels>(p, 0, panel, 0, V * kLanes<T>);
  for (; panel + 2 <= panels; panel += 2) multiply_tile<T, 1, V, 2>(p, 0, panel, 0, V * kLanes<T>);
  return panel;
}

template <class T, int V>
void multiply_panels(const Product<T>& p) {
  const long panels = p.vectors / V;
  for (long panel = p.rows == 1 ? multiply_one_row<T, V>(p, panels) : 0; panel < panels; ++panel)
    multiply_panel<T, V>(p, panel);
}

template <class T>
void multiply(const Product<T>& p) {
  if (p.rows <= 0) return;
  switch (p.panel_vectors) {
    case 1:
      return multiply_panels<T, 1>(p);
    case 2:
      return multiply_panels<T, 2>(p);
    case 3:
      return multiply_panels<T, 3>(p);
    default:
      multiply_panels<T, 4>(p);
  }
  const long panel = p.vectors / 4;  // the narrower last panel
  switch (p.vectors % 4) {
    case 1:
      return multiply_panel<T, 1>(p, panel);
    case 2:
      return multiply_panel<T, 2>(p, panel);
    case 3:
      return multiply_panel<T, 3>(p, panel);
  }
}

// ---- C += A^T B -----------------------------------------------------------------------------------

constexpr long kRowsAhead = 24;  // of blocks to come whose first lines are sent for: another core may hold them

template <class T, int M, int V>
RECURRA_INLINE void reduce_tile(const Reduction<T>& p, long column, long first_vector) {
  Vec<T> s[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) s[m][v] = Vec<T>{};
  const long ahead = p.blocks && p.rows[0] * 2 < kRowsAhead ? kRowsAhead / (p.rows[0] + 1) : 2;
  for (long block = 0; block < p.blocks; ++block) {
    const T* a = p.a[block] + column;
    const T* b = p.b[block] + first_vector * kLanes<T>;
    if (block + ahead < p.blocks) {
      __builtin_prefetch(p.a[block + ahead] + column);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) __builtin_prefetch(p.b[block + ahead] + (first_vector + v) * kLanes<T>);
    }
    for (long r = p.rows[block]; r > 0; --r, a += p.a_row, b += p.b_row) {
      Vec<T> w[V];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        w[v] = load(b + v * kLanes<T>);
        if (M > 1) RECURRA_IN_REGISTER(w[v]);
      }
      const T* at = a;
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        if (m > 0 && M * V >= kFullTile) RECURRA_AFTER(at, s[m - 1][0]);
        const Vec<T> x = broadcast(at[m]);
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) s[m][v] = fma(x, w[v], s[m][v]);
      }
    }
  }
  T* c = p.c + column * p.c_row + first_vector * kLanes<T>;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      T* at = c + m * p.c_row + v * kLanes<T>;
      store(at, load(at) + s[m][v]);
    }
}

template <class T, int V>
__attribute__((noinline)) void reduce_columns(const Reduction<T>& p, long first_vector) {
  constexpr int kMax = tile_rows(V);
  const long tiles = (p.columns + kMax - 1) / kMax;
  long column = 0;
  for (long t = 0; t < tiles; ++t) {
    const long m = (p.columns - column + tiles - t - 1) / (tiles - t);
    RowsOf<kMax>::call(m, [&](auto size) __attribute__((always_inline)) {
      reduce_tile<T, decltype(size)::value, V>(p, column, first_vector);
    });
    column += m;
  }
}

template <class T>
void reduce(const Reduction<T>& p) {
  switch (p.vectors) {
    case 1:
      return reduce_columns<T, 1>(p, 0);
    case 2:
      return reduce_columns<T, 2>(p, 0);
    case 3:
      return reduce_columns<T, 3>(p, 0);
    default:
      if constexpr (kVectorRegisters == 16) {
        reduce_columns<T, 2>(p, 0);
        reduce_columns<T, 2>(p, 2);
      } else {
        reduce_columns<T, 4>(p, 0);
      }
  }
}

template <class T, int V>
void sum_columns(const Reduction<T>& p) {
  Vec<T> s[V]{};
  for (long block = 0; block < p.blocks; ++block) {
    const T* b = p.b[block];
    for (long r = p.rows[block]; r > 0; --r, b += p.b_row)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) s[v] += load(b + v * kLanes<T>);
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store(p.c + v * kLanes<T>, load(p.c + v * kLanes<T>) + s[v]);
}

template <class T>
void sum_rows(const Reduction<T>& p) {
  switch (p.vectors) {
    case 1:
      return sum_columns<T, 1>(p);
    case 2:
      return sum_columns<T, 2>(p);
    case 3:
      return sum_columns<T, 3>(p);
    default:
      sum_columns<T, 4>(p);
  }
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
