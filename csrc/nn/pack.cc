// Packing, once per change of the weights.
#include "nn/pack.h"

#include <algorithm>
#include <cstring>

namespace recurra {
namespace {

// A vector parameter laid out like the columns of a product; absent parameters are zero.
template <class T>
Buffer<T> pack_vector(const Geometry& g, const Columns& columns, const T* a, const T* b = nullptr) {
  const long count = g.panels * columns.slots() * g.lanes;
  Buffer<T> out(static_cast<std::size_t>(count));
  const GateRow source{g, columns};
  for (long c = 0; c < count; ++c) {
    const long row = source(c);
    out.data()[c] = row < 0 ? T(0) : (a ? a[row] : T(0)) + (b ? b[row] : T(0));
  }
  return out;
}

template <class T>
Buffer<T> pack_units(const Geometry& g, const T* values) {
  Buffer<T> out(static_cast<std::size_t>(g.padded()));
  std::fill(std::copy(values, values + g.hidden, out.data()), out.data() + g.padded(), T(0));
  return out;
}

template <class T>
void pack_biases(DirectionWeights<T>& w, const Config& c, const Geometry& g, const T* bias_ih, const T* bias_hh) {
  if (c.layer_norm) {
    w.bias = pack_vector(g, g.in, bias_ih);
    w.shift_rec = pack_vector(g, g.rec, bias_hh);
    if (g.late.slots()) w.shift_late = pack_vector(g, g.late, bias_hh);
    return;
  }
  w.bias = pack_vector(g, g.in, bias_ih, bias_hh);
  if (c.cell != kGru) return;
  const Columns n{0, {2}};
  w.bias_u = pack_vector(g, n, bias_hh);
  const Buffer<T> only_input = pack_vector(g, n, bias_ih);
  for (long p = 0; p < g.panels; ++p)  // slot n: the recurrent bias stays inside r * (...)
    std::memcpy(w.bias.data() + p * 3 * g.lanes, only_input.data() + p * g.lanes,
                static_cast<std::size_t>(g.lanes) * sizeof(T));
}

template <class T>
Buffer<T> pack_tail_bias(const Config& c, const Geometry& g, const T* bias_ih, const T* bias_hh) {
  Buffer<T> out(static_cast<std::size_t>(g.tail_row()));
  const bool gru = c.cell == kGru;  // its slot n has the input's bias alone, its slot u the recurrent one
  const Columns all = gru ? Columns(0, {2, 0, 1, 2}) : g.in;
  for (long k = 0; k < g.tail_row(); ++k) {
    const long slot = k / g.tail, row = GateRow{g, all}.row(slot, g.whole() * g.lanes + k % g.tail);
    const T in = bias_ih && row >= 0 && !(gru && slot == 3) ? bias_ih[row] : T(0);
    out.data()[k] = in + (bias_hh && row >= 0 && !(gru && slot == 0) ? bias_hh[row] : T(0));
  }
  return out;
}

template <class T>
DirectionWeights<T> pack_direction(const Config& c, long layer, const ParameterOffsets& o, const T* weights,
                                   bool backward) {
  const Geometry g = geometry_of(c, kernels_of<T>(c).lanes), tailed = geometry_of(c, g.lanes, true);
  const auto at = [&](long offset) { return offset < 0 ? nullptr : weights + offset; };
  const long input = c.layer_input(layer), recurrent = c.recurrent();
  DirectionWeights<T> w;
  const auto in_tail = [&](const Columns& columns) {
    const long first = tailed.whole() * columns.slots() * g.lanes;
    return [source = GateRow{tailed, columns}, first](long k) { return source(first + k); };
  };
  const auto gates = [&](const T* weight, long depth, const Columns& columns) {
    const long panel_vectors = g.row_major ? 4 : columns.slots(), tail = tailed.tail_vectors();
    PackedMatrix<T> m =
        pack_rows(weight, depth, g.panels * columns.slots(), panel_vectors, g.lanes, GateRow{g, columns});
    if (!tail) return m;
    m.tail = Buffer<T>(static_cast<std::size_t>(depth * tailed.tail_row()));
    fill_rows(m.tail.data(), weight, depth, tail, tail, g.lanes, in_tail(columns));
    return m;
  };
  const auto transposed = [&](const T* weight, long width, const Columns& columns) {
    PackedMatrix<T> m = pack_columns(weight, width, g.panels * columns.slots() * g.lanes, g.lanes, GateRow{g, columns});
    if (!tailed.tail) return m;
    m.tail = Buffer<T>(static_cast<std::size_t>(m.vectors * g.lanes * tailed.tail_row()));
    fill_columns(m.tail.data(), weight, width, tailed.tail_row(), g.lanes, in_tail(columns));
    return m;
  };
  w.in = gates(at(o.weight_ih), input, g.in);
  w.rec = gates(at(o.weight_hh), recurrent, g.rec);
  if (g.late.slots()) w.late = gates(at(o.weight_hh), recurrent, g.late);
  pack_biases(w, c, g, at(o.bias_ih), at(o.bias_hh));
  if (tailed.tail) w.bias_tail = pack_tail_bias(c, tailed, at(o.bias_ih), at(o.bias_hh));
  const long padded_output = padded_to(recurrent, g.lanes);
  const auto real_row = [](long count) { return [count](long k) { return k < count ? k : -1; }; };
  if (c.projection)
    w.projection = pack_rows(at(o.weight_hr), c.hidden, padded_output / g.lanes, 4, g.lanes, real_row(c.projection));
  if (backward) {
    w.in_t = transposed(at(o.weight_ih), input, g.in);
    w.rec_t = transposed(at(o.weight_hh), recurrent, g.rec);
    if (g.late.slots()) w.late_t = transposed(at(o.weight_hh), recurrent, g.late);
    if (c.projection)
      w.projection_t = pack_columns(at(o.weight_hr), c.hidden, c.projection, g.lanes, real_row(c.projection));
  }
  if (c.layer_norm) {
    w.scale_in = pack_vector(g, g.in, at(o.weight_ln_ih));
    w.scale_rec = pack_vector(g, g.rec, at(o.weight_ln_hh));
    if (g.late.slots()) w.scale_late = pack_vector(g, g.late, at(o.weight_ln_hh));
    if (c.cell == kLstm) {
      w.cell_scale = pack_units(g, at(o.weight_ln_c));
      w.cell_shift = pack_units(g, at(o.bias_ln_c));
    }
  }
  if (c.peepholes) {
    w.peepholes = Buffer<T>(static_cast<std::size_t>(3 * g.padded()));
    std::fill(w.peepholes.data(), w.peepholes.data() + 3 * g.padded(), T(0));
    const T* p = at(o.weight_ph);
    const long kinds = c.coupled ? 2 : 3;
    for (long kind = 0; kind < kinds; ++kind)
      std::copy(p + kind * g.hidden, p + (kind + 1) * g.hidden,
                w.peepholes.data() + (kind == kinds - 1 ? 2 : kind) * g.padded());
  }
  return w;
}

}  // namespace

template <class T>
std::shared_ptr<const PackedWeights<T>> pack(const Config& config, const Layout& layout, const T* weights,
                                             bool backward) {
  auto packed = std::make_shared<PackedWeights<T>>();
  packed->backward = backward;
  packed->source.assign(weights, weights + layout.size);
  for (std::size_t i = 0; i < layout.offsets.size(); ++i) {
    const long layer = static_cast<long>(i) / config.directions();
    packed->directions.push_back(pack_direction(config, layer, layout.offsets[i], packed->source.data(), backward));
  }
  return packed;
}

template std::shared_ptr<const PackedWeights<float>> pack(const Config&, const Layout&, const float*, bool);
template std::shared_ptr<const PackedWeights<double>> pack(const Config&, const Layout&, const double*, bool);

}  // namespace recurra
