// Products between states and the gates of a step, for the units of one part.
#pragma once
#include "nn/direction.h"

namespace recurra {

// The address of unit vector `panel` of `row` within the gates of a step laid out for `laid` rows.
template <class T>
T* gate_at(const Geometry& g, T* step, long laid, long panel, long row) {
  return step + panel * g.panel(laid) + row * g.row(panel);
}

// gates[columns] = start + A * matrix for the first `rows` rows of a step laid out for `laid` rows. `gates` has
// `slots` slots a panel (that of the geometry, or the columns alone where a product has an array of its own).
enum class Start { kZero, kBias, kGates };

// The tail of such a product; it never starts from zero.
template <class T>
void tail_product(const Direction<T>& d, const PackedMatrix<T>& matrix, long laid, long rows, const T* a, long a_row,
                  T* gates, Start start) {
  Product<T> p{};
  p.rows = rows, p.vectors = p.panel_vectors = d.g.tail_vectors();
  p.blocks = 1, p.depth = matrix.depth;
  p.a = a, p.a_row = a_row, p.b = matrix.tail.data();
  p.c = gate_at(d.g, gates, laid, d.g.whole(), 0), p.c_row = d.g.tail_row();
  p.start = start == Start::kGates ? p.c : d.weights->bias_tail.data();
  p.start_row = start == Start::kGates ? p.c_row : 0;
  d.kernels->multiply(p);
}

template <class T>
void gate_product(const Direction<T>& d, const PackedMatrix<T>& matrix, const Columns& columns, const Part& part,
                  long laid, long rows, const T* a, long a_row, T* gates, bool own_array, Start start, const T* bias) {
  Geometry g = d.g;
  if (own_array) g.slots = columns.slots();
  const long slot = own_array ? 0 : columns.slot * g.lanes;
  Product<T> p{};
  p.rows = rows;
  p.vectors = std::max(0l, std::min(part.panel1, g.whole()) - part.panel0) * columns.slots();
  p.panel_vectors = matrix.panel_vectors;
  p.blocks = 1;
  p.depth = matrix.depth;
  p.a = a, p.a_row = a_row;
  p.b_panel = matrix.panel_size();
  p.b = matrix.data.data() + part.panel0 * columns.slots() / matrix.panel_vectors * p.b_panel;
  p.c = gate_at(g, gates, laid, part.panel0, 0) + slot;
  p.c_row = g.row();
  p.c_panel = g.row_major ? matrix.panel_vectors * g.lanes : g.panel(laid);
  if (start == Start::kGates) {
    p.start = p.c, p.start_row = p.c_row, p.start_panel = p.c_panel;
  } else if (start == Start::kBias) {
    p.start = bias + part.panel0 * columns.slots() * g.lanes;
    p.start_row = 0, p.start_panel = matrix.panel_vectors * g.lanes;
  }
  if (p.vectors > 0) d.kernels->multiply(p);
  if (part.panel1 > g.whole()) tail_product(d, matrix, laid, rows, a, a_row, gates, start);
}

// Slots of a product that are normalised together (docs/semantics.md): a GRU's candidate apart from its r and z.
struct Group {
  long slot, slots;
};
inline std::vector<Group> groups_of(const Config& c, const Geometry& g, const Columns& columns) {
  if (c.cell == kGru && columns.slot == g.in.slot) return {{0, 1}, {1, 2}};
  if (c.cell == kGru) return {{0, 2}, {2, 1}};
  if (c.cell == kGruBefore && columns.slots() == 3) return {{0, 1}, {1, 2}};
  return {{0, columns.slots()}};
}

// The arguments of a normalisation of a step, whose product `series` holds.
template <class T>
Normalise<T> normalise_arguments(Direction<T>& d, NormalSeries<T>& series, const Columns& columns, const Group& group,
                                 std::size_t index, long step, const Buffer<T>& scale) {
  const long laid = d.laid_rows(step);
  Geometry own = d.g;
  own.slots = columns.slots();
  Normalise<T> n{};
  n.rows = d.rows(step), n.panels = d.g.panels, n.units = d.g.hidden, n.slots = group.slots;
  n.z = gate_at(own, series.normal.data() + d.step_rows(step) * own.panels * own.slots * own.lanes, laid, 0, 0) +
        group.slot * own.lanes;
  n.z_row = own.row(), n.z_panel = own.panel(laid);
  const long series_rows = static_cast<long>(series.deviation.size()) / 2;
  n.deviation = series.deviation.data() + static_cast<long>(index) * series_rows + d.step_rows(step);
  n.scale = scale.data() + group.slot * own.lanes, n.scale_panel = own.slots * own.lanes;
  n.target = gate_at(d.g, d.gates_at(step), laid, 0, 0) + (columns.slot + group.slot) * d.g.lanes;
  n.target_row = d.g.row(), n.target_panel = d.g.panel(laid);
  return n;
}

}  // namespace recurra
