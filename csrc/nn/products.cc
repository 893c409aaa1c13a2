// The products of attention: the second matrix of each sample is packed, and all rows of the first go through it.
#include "nn/products.h"

#include <algorithm>

#include "base/threads.h"
#include "kernels/dispatch.h"
#include "nn/packed_matrix.h"

namespace recurra {
namespace {

constexpr long kRowsTogether = 64;
constexpr double kFlopsWorthThreads = 4e6;

long same(long index) { return index; }

template <class T>
void pack(const Products<T>& p, long sample, long lanes, T* data) {
  const T* const b = p.b + sample * p.depth * p.columns;
  if (p.transposed) {
    fill_rows(data, b, p.depth, padded_to(p.columns, lanes) / lanes, 4, lanes,
              [&](long column) { return column < p.columns ? column : -1; });
  } else {
    fill_columns(data, b, p.columns, p.depth, lanes, same);
  }
}

}  // namespace

template <class T>
bool products(const Products<T>& p, const Poll& poll) {
  const Kernels<T>& k = kernels<T>();
  const long padded = padded_to(p.columns, k.lanes), blocks = (p.rows + kRowsTogether - 1) / kRowsTogether;
  const double flops = 2.0 * static_cast<double>(p.batch * p.rows) * static_cast<double>(p.depth * p.columns);
  const long items = p.batch * blocks;
  const int threads = flops < kFlopsWorthThreads ? 1 : static_cast<int>(std::min<long>(num_threads(), items));
  return run_team(std::max(threads, 1), poll, [&](Team& team) {
    Buffer<T> packed(static_cast<std::size_t>(p.depth * padded)),
        result(static_cast<std::size_t>(kRowsTogether * padded));
    const Range own = share(items, team.rank(), team.size());
    for (long item = own.first; item < own.last && team.go_on(); ++item) {
      const long sample = item / blocks, first = item % blocks * kRowsTogether;
      if (item == own.first || first == 0) pack(p, sample, k.lanes, packed.data());
      Product<T> one{};
      one.rows = std::min(kRowsTogether, p.rows - first), one.blocks = 1;
      one.vectors = padded / k.lanes, one.panel_vectors = 4, one.depth = p.depth;
      one.a = p.a + (sample * p.rows + first) * p.depth, one.a_row = p.depth;
      one.b = packed.data(), one.b_panel = p.depth * 4 * k.lanes;
      one.c = result.data(), one.c_row = padded, one.c_panel = 4 * k.lanes;
      k.multiply(one);
      T* const c = p.c + (sample * p.rows + first) * p.columns;
      for (long row = 0; row < one.rows; ++row)
        std::copy_n(result.data() + row * padded, p.columns, c + row * p.columns);
    }
  });
}

template bool products(const Products<float>&, const Poll&);
template bool products(const Products<double>&, const Poll&);

}  // namespace recurra
