// A matrix packed for the product kernels.
#pragma once
#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "nn/geometry.h"

namespace recurra {

// A matrix [columns, depth] packed for products: [panel][depth][vectors of the panel][lanes].
template <class T>
struct PackedMatrix {
  Buffer<T> data;
  Buffer<T> tail;  // of gate columns, or of depth that is gates: those of the geometry's tail, which replace the last
                   // panel's; packed alike
  long depth = 0, vectors = 0, panel_vectors = 4, lanes = 0;
  long panel_size() const { return depth * panel_vectors * lanes; }
  explicit operator bool() const { return data.data() != nullptr; }
};

template <class T>
PackedMatrix<T> empty_matrix(long depth, long vectors, long panel_vectors, long lanes) {
  PackedMatrix<T> m;
  m.depth = depth, m.vectors = vectors, m.panel_vectors = panel_vectors, m.lanes = lanes;
  m.data = Buffer<T>(static_cast<std::size_t>(depth * vectors * lanes));
  return m;
}

// Calls f(destination of depth 0, row stride, first column, columns) for every panel of packed data.
template <class T, class F>
void each_panel(T* data, long depth, long vectors, long panel_vectors, long lanes, const F& f) {
  for (long first = 0; first < vectors; first += panel_vectors) {
    const long columns = std::min(panel_vectors, vectors - first) * lanes;
    f(data + first * lanes * depth, columns, first * lanes, columns);
  }
}
template <class T, class F>
void each_panel(PackedMatrix<T>& m, const F& f) {
  each_panel(m.data.data(), m.depth, m.vectors, m.panel_vectors, m.lanes, f);
}

// Fills packed data: column c of the product is row source(c) of `weight` ([*, depth], row-major), or zero where
// source(c) < 0.
template <class T, class Source>
void fill_rows(T* data, const T* weight, long depth, long vectors, long panel_vectors, long lanes,
               const Source& source) {
  constexpr long kBlock = 16;  // depth: a cache line of the source at a time
  each_panel(data, depth, vectors, panel_vectors, lanes, [&](T* panel, long stride, long first, long columns) {
    for (long k0 = 0; k0 < depth; k0 += kBlock) {
      const long k1 = std::min(depth, k0 + kBlock);
      for (long c = 0; c < columns; ++c) {
        const long row = source(first + c);
        T* out = panel + k0 * stride + c;
        if (row < 0) {
          for (long k = k0; k < k1; ++k, out += stride) *out = T(0);
        } else {
          const T* in = weight + row * depth;
          for (long k = k0; k < k1; ++k, out += stride) *out = in[k];
        }
      }
    }
  });
}

template <class T, class Source>
PackedMatrix<T> pack_rows(const T* weight, long depth, long vectors, long panel_vectors, long lanes,
                          const Source& source) {
  PackedMatrix<T> m = empty_matrix<T>(depth, vectors, panel_vectors, lanes);
  fill_rows(m.data.data(), weight, depth, vectors, panel_vectors, lanes, source);
  return m;
}

// Rows for Dots, where those pay: `weight` [outputs, depth] with its rows padded to whole vectors.
template <class T>
void fill_dots(T* data, const T* weight, long depth, long outputs, long lanes) {
  const long padded = padded_to(depth, lanes);
  for (long o = 0; o < outputs; ++o, data += padded) {
    std::memcpy(data, weight + o * depth, static_cast<std::size_t>(depth) * sizeof(T));
    for (long k = depth; k < padded; ++k) data[k] = T(0);
  }
}

// Column c of the product is column c of `weight` ([*, columns]); depth index k is row source(k), or zero where
// source(k) < 0. Four vectors make a panel.
template <class T, class Source>
void fill_columns(T* data, const T* weight, long columns, long depth, long lanes, const Source& source) {
  each_panel(data, depth, padded_to(columns, lanes) / lanes, 4, lanes,
             [&](T* panel, long stride, long first, long width) {
               const long real = std::max(0l, std::min(width, columns - first));
               for (long k = 0; k < depth; ++k, panel += stride) {
                 const long row = source(k);
                 const long copied = row < 0 ? 0 : real;
                 if (copied)
                   std::memcpy(panel, weight + row * columns + first, static_cast<std::size_t>(copied) * sizeof(T));
                 std::fill(panel + copied, panel + width, T(0));
               }
             });
}

template <class T, class Source>
PackedMatrix<T> pack_columns(const T* weight, long columns, long depth, long lanes, const Source& source) {
  PackedMatrix<T> m = empty_matrix<T>(depth, padded_to(columns, lanes) / lanes, 4, lanes);
  fill_columns(m.data.data(), weight, columns, depth, lanes, source);
  return m;
}

}  // namespace recurra
