// The dense layer: packs its weights for each call (small beside the product of many rows) or once, rows or features
// shared over threads.
#include "nn/linear.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "kernels/dispatch.h"
#include "nn/packed_matrix.h"

namespace recurra {
namespace {

constexpr long kRowsTogether = 64;  // rows whose padded result passes through the first-level cache
constexpr long kBlockRows = 256;    // rows of a reduction block
constexpr double kFlopsWorthThreads = 4e6;

int threads_for(long rows, long inputs, long outputs, long parts) {
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(inputs) * static_cast<double>(outputs);
  return flops < kFlopsWorthThreads ? 1 : static_cast<int>(std::min<long>(num_threads(), std::max(1l, parts)));
}

auto real_below(long count) {
  return [count](long k) { return k < count ? k : -1; };
}

// out [rows, columns] = start + a * matrix, without the padding of the packed columns.
template <class T>
bool multiply_rows(Team& team, const PackedMatrix<T>& matrix, const T* start, long rows, const T* a, long a_row, T* out,
                   long columns) {
  const Kernels<T>& k = kernels<T>();
  const long padded = matrix.vectors * k.lanes;
  const Range own = share(rows, team.rank(), team.size());
  const bool direct = padded == columns;
  Buffer<T> scratch(static_cast<std::size_t>(direct ? 0 : kRowsTogether * padded));
  for (long row = own.first; row < own.last; row += kRowsTogether) {
    if (!team.go_on()) return false;
    Product<T> p{};
    p.rows = std::min(kRowsTogether, own.last - row);
    p.vectors = matrix.vectors, p.panel_vectors = matrix.panel_vectors, p.blocks = 1, p.depth = matrix.depth;
    p.a = a + row * a_row, p.a_row = a_row;
    p.b = matrix.data.data(), p.b_panel = matrix.panel_size();
    p.c = direct ? out + row * columns : scratch.data(), p.c_row = padded, p.c_panel = matrix.panel_vectors * k.lanes;
    p.start = start, p.start_row = 0, p.start_panel = p.c_panel;
    k.multiply(p);
    for (long r = 0; !direct && r < p.rows; ++r)
      std::copy_n(scratch.data() + r * padded, columns, out + (row + r) * columns);
  }
  return true;
}

}  // namespace

template <class T>
PackedLinear<T>::PackedLinear(const T* weight, const T* bias, long inputs, long outputs)
    : inputs_(inputs), outputs_(outputs) {
  const long lanes = kernels<T>().lanes, padded = padded_to(outputs, lanes);
  if (dots_pay(inputs, outputs, lanes)) {
    rows_ = Buffer<T>(static_cast<std::size_t>(outputs * padded_to(inputs, lanes)));
    fill_dots(rows_.data(), weight, inputs, outputs, lanes);
  } else {
    matrix_ = pack_rows(weight, inputs, padded / lanes, 4, lanes, real_below(outputs));
  }
  bias_ = Buffer<T>(static_cast<std::size_t>(padded));
  std::fill(bias_.data(), bias_.data() + padded, T(0));
  if (bias) std::copy_n(bias, outputs, bias_.data());
}

template <class T>
bool PackedLinear<T>::run(long rows, const T* x, long x_row, T* y, const Poll& poll) const {
  return run_team(threads_for(rows, inputs_, outputs_, rows / 8), poll, [&](Team& team) {
    if (matrix_) {
      multiply_rows(team, matrix_, bias_.data(), rows, x, x_row, y, outputs_);
      return;
    }
    const Range own = share(rows, team.rank(), team.size());
    Dots<T> d{};
    d.depth = inputs_, d.outputs = outputs_, d.b = rows_.data(), d.start = bias_.data();
    d.a_row = x_row, d.c_row = outputs_;
    for (long row = own.first; row < own.last && team.go_on(); row += kBlockRows) {
      d.rows = std::min(kBlockRows, own.last - row);
      d.a = x + row * x_row, d.c = y + row * outputs_;
      kernels<T>().dots(d);
    }
  });
}

template <class T>
bool linear(const Linear<T>& a, const Poll& poll) {
  return PackedLinear<T>(a.weight, a.bias, a.inputs, a.outputs).run(a.rows, a.x, a.x_row, a.y, poll);
}

template <class T>
bool linear_backward(const LinearGradients<T>& a, const Poll& poll) {
  const Kernels<T>& k = kernels<T>();
  const long padded = padded_to(a.outputs, k.lanes), vectors = padded / k.lanes;
  PackedMatrix<T> matrix;
  if (a.dx) matrix = pack_columns(a.weight, a.inputs, a.outputs, k.lanes, real_below(a.outputs));
  Buffer<T> dy(static_cast<std::size_t>(a.rows * padded));  // whole vectors for the reduction
  for (long row = 0; row < a.rows; ++row) {
    T* to = std::copy_n(a.dy + row * a.dy_row, a.outputs, dy.data() + row * padded);
    std::fill(to, dy.data() + (row + 1) * padded, T(0));
  }
  Buffer<T> packed(static_cast<std::size_t>((a.inputs + 1) * padded));
  return run_team(threads_for(a.rows, a.inputs, a.outputs, a.inputs / 6), poll, [&](Team& team) {
    if (a.dx && !multiply_rows<T>(team, matrix, nullptr, a.rows, dy.data(), padded, a.dx, a.inputs)) return;
    const Range own = share(a.inputs, team.rank(), team.size());
    T* sums = packed.data() + a.inputs * padded;
    std::fill(packed.data() + own.first * padded, packed.data() + own.last * padded, T(0));
    if (team.rank() == 0) std::fill(sums, sums + padded, T(0));
    for (long row = 0; row < a.rows; row += kBlockRows) {
      if (!team.go_on()) return;
      const long rows = std::min(kBlockRows, a.rows - row);
      const T* x = a.x + row * a.x_row + own.first;
      for (long v = 0; v < vectors; v += 4) {
        const T* right = dy.data() + row * padded + v * k.lanes;
        Reduction<T> p{};
        p.columns = own.last - own.first, p.vectors = std::min(4l, vectors - v), p.blocks = 1, p.rows = &rows;
        p.a = &x, p.a_row = a.x_row, p.b = &right, p.b_row = padded;
        p.c = packed.data() + own.first * padded + v * k.lanes, p.c_row = padded;
        k.reduce(p);
        p.c = sums + v * k.lanes;
        if (team.rank() == 0 && a.dbias) k.sum_rows(p);
      }
    }
    for (long o = 0; o < a.outputs; ++o)
      for (long i = own.first; i < own.last; ++i) a.dweight[o * a.inputs + i] += packed.data()[i * padded + o];
    if (team.rank() == 0 && a.dbias)
      for (long o = 0; o < a.outputs; ++o) a.dbias[o] += sums[o];
  });
}

#define RECURRA_INSTANTIATE(T)                         \
  template class PackedLinear<T>;                      \
  template bool linear(const Linear<T>&, const Poll&); \
  template bool linear_backward(const LinearGradients<T>&, const Poll&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
