// How the gates of a cell lie in memory, and which columns each product computes.
//
// Units are padded to whole vectors of W lanes: P unit vectors. The gates of one step are [P][rows][slots][W] (RNN,
// with a single slot: [rows][P][W]), so a register tile's result is all gates of the same units, and the
// weight-gradient product streams through them. Slots: LSTM i f g o; coupled i g o; GRU n r z u, where u = U_n h + c_n
// stays apart; GRU with reset before n r z.
//
// A tail: where the last unit vector would hold few real units, half of one or a quarter, its four slots lie side by
// side instead: [rows][tail vectors][W] behind the whole unit vectors, each slot `tail` lanes wide.
#pragma once
#include <initializer_list>

#include "nn/config.h"

namespace recurra {

// The columns of one product: consecutive slots, and the gate (in PyTorch's order) that each of them is.
struct Columns {
  long slot = 0;
  long gates[4] = {};
  long count = 0;

  Columns() = default;
  Columns(long first, std::initializer_list<long> those) : slot(first) {
    for (const long gate : those) gates[count++] = gate;
  }
  long slots() const { return count; }
};

struct Geometry {
  long lanes = 0, hidden = 0;
  long panels = 0;  // P
  long slots = 0;
  long tail = 0;           // units that each slot of the tail has room for; 0: no tail
  bool row_major = false;  // RNN
  Columns in, rec, late;   // late: the second recurrent product of a GRU with reset before

  long padded() const { return panels * lanes; }
  long row() const { return row_major ? padded() : slots * lanes; }  // of a whole unit vector
  long row(long at) const { return tail && at == whole() ? tail_row() : row(); }
  long panel(long rows) const { return row_major ? lanes : rows * slots * lanes; }
  long step(long rows) const { return rows * (whole() * slots + tail_vectors()) * lanes; }
  long whole() const { return tail ? panels - 1 : panels; }  // unit vectors before the tail
  long tail_vectors() const { return slots * tail / lanes; }
  long tail_row() const { return slots * tail; }
  // Unit vectors that must stay together when a product's columns are split.
  long granule() const { return row_major ? 4 : 1; }
};

// How wide the slots of a tail are, for cells of four slots; 0 where a whole vector serves as well.
inline long tail_of(long hidden, long lanes) {
  const long left = hidden % lanes;
  return left == 0 || 2 * left > lanes ? 0 : 4 * left > lanes || lanes < 4 ? lanes / 2 : lanes / 4;
}

inline long padded_to(long n, long lanes) { return (n + lanes - 1) / lanes * lanes; }

// `tail`: whether the last units may make one; only cells of four slots without variants have kernels for it.
inline Geometry geometry_of(const Config& c, long lanes, bool tail = false) {
  Geometry g;
  g.lanes = lanes;
  g.hidden = c.hidden;
  g.panels = padded_to(c.hidden, lanes) / lanes;
  switch (c.cell) {
    case kLstm:
      g.slots = c.gates();
      g.in = c.coupled ? Columns(0, {0, 1, 2}) : Columns(0, {0, 1, 2, 3});
      g.rec = g.in;
      break;
    case kGru:
      g.slots = 4;
      g.in = {0, {2, 0, 1}};
      g.rec = {1, {0, 1, 2}};
      break;
    case kGruBefore:
      g.slots = 3;
      g.in = {0, {2, 0, 1}};
      g.rec = {1, {0, 1}};
      g.late = {0, {2}};
      break;
    default:
      g.slots = 1;
      g.row_major = true;
      g.in = {0, {0}};
      g.rec = g.in;
  }
  if (tail && c.plain() && !c.layer_norm && (c.cell == kLstm || c.cell == kGru)) g.tail = tail_of(c.hidden, lanes);
  return g;
}

// The row of a (G * H, *) weight that lane `column` of a gate product stands for, -1 where it is none.
struct GateRow {
  const Geometry& g;
  const Columns& columns;
  long operator()(long column) const { return of(column, columns.slots(), 0); }
  // The same where columns are all slots of the geometry.
  long among_all(long column) const { return of(column, g.slots, columns.slot); }

  // Whole unit vectors have `slots` slots, of which `first` is the first of these columns; the tail has every slot.
  long of(long column, long slots, long first) const {
    const long vector = column / g.lanes, in_tail = column - g.whole() * slots * g.lanes;
    if (g.tail && in_tail >= 0) return row(in_tail / g.tail - columns.slot, g.whole() * g.lanes + in_tail % g.tail);
    return row(vector % slots - first, vector / slots * g.lanes + column % g.lanes);
  }
  long row(long slot, long unit) const {
    return slot >= 0 && slot < columns.slots() && unit < g.hidden ? columns.gates[slot] * g.hidden + unit : -1;
  }
};

}  // namespace recurra
