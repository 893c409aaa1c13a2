// The terms of the weight gradients: which product gives the gradient of which weights, and how it goes home.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "nn/gate_products.h"

namespace recurra {

// d[feature, column] = sum over steps and rows of left[row, feature] * right[row, column]; without features, of right
// alone.
template <class T>
struct Term {
  long features = 0;
  long vectors = 0;                                                  // vectors of a full panel
  long total_vectors = 0;                                            // of all panels but the tail's
  long tail_vectors = 0;                                             // of the tail, a last panel
  std::function<const T*(std::size_t part, long step)> left, right;  // of the first row
  long left_row = 0, right_row = 0, tail_row = 0;
  long panel_size = 0, panel_rows = 0;  // from one panel of `right` to the next: so many, and for each row so many
  long slot = 0;                        // where columns begin in whole panels
  // Adds the features [first, last), packed, of some columns to the caller's gradient.
  std::function<void(const T* packed, long first, long last, long first_column, long columns)> unpack;

  long whole() const { return (total_vectors + vectors - 1) / vectors; }  // panels before the tail
  long panels() const { return whole() + (tail_vectors ? 1 : 0); }
  long vectors_of(long panel) const {
    return panel < whole() ? std::min(vectors, total_vectors - panel * vectors) : tail_vectors;
  }
  long rows() const { return std::max(1l, features); }
};

template <class T>
class WeightTerms {
 public:
  WeightTerms(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out)
      : parts_(parts), outs_(out), d_(parts.front()), o_(out.front()) {
    const ParameterOffsets& at = *o_.offsets;
    for (const Direction<T>& d : parts_) batch_ += d.steps->batch;
    add_gates(
        d_.g.in, d_.input, at.weight_ih, [this](std::size_t p, long s) { return parts_[p].x_at(s); }, d_.input,
        &Direction<T>::normal_in);
    add_gates(
        d_.g.rec, d_.recurrent, at.weight_hh, [this](std::size_t p, long s) { return parts_[p].product_h_at(s); },
        d_.padded_recurrent, &Direction<T>::normal_rec);
    if (d_.g.late.slots())
      add_gates(
          d_.g.late, d_.recurrent, at.weight_hh, [this](std::size_t p, long s) { return parts_[p].reset_h_at(s); },
          d_.g.padded(), &Direction<T>::normal_late);
    if (d_.config->projection) add_projection(at.weight_hr);
    if (d_.config->bias) add_biases(at.bias_ih, at.bias_hh);
  }

  const std::vector<Term<T>>& all() const { return terms_; }
  long batch() const { return batch_; }
  // One row and one step lie behind another: all steps are rows of one block.
  bool single_row() const { return batch_ == 1; }

  // Vector parameters inside the cell: sums of each row over its steps, added row by row.
  void add_row_sums() {
    const ParameterOffsets& at = *o_.offsets;
    const long hidden = d_.g.hidden, padded = d_.g.padded();
    const auto add_kind = [&](long kind, long offset) {
      each_row([&](const DirectionGradients<T>& o, long row) {
        for (long j = 0; j < hidden; ++j) o_.weights[offset + j] += o.row_sums.data()[(row * 5 + kind) * padded + j];
      });
    };
    if (at.weight_ph >= 0) {
      add_kind(0, at.weight_ph);
      if (!d_.config->coupled) add_kind(1, at.weight_ph + hidden);
      add_kind(2, at.weight_ph + (d_.config->coupled ? 1 : 2) * hidden);
    }
    if (at.weight_ln_c >= 0) {
      add_kind(3, at.weight_ln_c);
      add_kind(4, at.bias_ln_c);
    }
    if (at.weight_ln_ih < 0) return;
    add_scales(d_.g.in, &DirectionGradients<T>::row_sums_in, at.weight_ln_ih);
    add_scales(d_.g.rec, &DirectionGradients<T>::row_sums_rec, at.weight_ln_hh);
    if (d_.g.late.slots()) add_scales(d_.g.late, &DirectionGradients<T>::row_sums_late, at.weight_ln_hh);
  }

 private:
  // Columns [slot, slot + slots) of gates in the layout g.
  void lay(Term<T>& t, const Geometry& g, long slot, long slots) {
    t.vectors = g.row_major ? 4 : slots, t.total_vectors = g.whole() * slots;
    t.tail_vectors = g.tail_vectors(), t.tail_row = g.tail_row();
    t.right_row = single_row() ? g.step(1) : g.row();
    t.panel_size = g.granule() * g.panel(0), t.panel_rows = g.granule() * g.panel(1) - t.panel_size;
    t.slot = slot * g.lanes;
  }

  // The gradients of `columns` lie in the gates or, normalised, in an array of their own.
  void add_gates(const Columns& columns, long features, long offset, std::function<const T*(std::size_t, long)> left,
                 long left_row, NormalSeries<T> Direction<T>::* series) {
    Geometry g = d_.g;
    const bool own = d_.config->layer_norm;
    if (own) g.slots = columns.slots();
    Term<T> t;
    lay(t, g, own ? 0 : columns.slot, columns.slots());
    t.features = features, t.left = std::move(left), t.left_row = left_row;
    t.right = [this, g, own, series](std::size_t p, long s) -> const T* {
      Direction<T>& d = parts_[p];
      return own ? (d.*series).normal.data() + d.step_rows(s) * g.panels * g.slots * g.lanes : d.gates_at(s);
    };
    T* target = o_.weights + offset;
    t.unpack = [this, columns, features, target](const T* packed, long first, long last, long first_column,
                                                 long count) {
      const GateRow source{d_.g, columns};
      add_columns(packed, first, last, count, features, target, [&](long c) { return source(first_column + c); });
    };
    terms_.push_back(std::move(t));
  }

  // target[row_of(c), first..last) += packed column c, none where the row is negative. A cache line of each of as many
  // rows in turn, so that neither side leaves the first-level cache half used.
  template <class RowOf>
  static void add_columns(const T* packed, long first, long last, long columns, long features, T* target,
                          const RowOf& row_of) {
    constexpr long kLine = static_cast<long>(kAlignment / sizeof(T)), kAhead = 4 * kLine;
    for (long c0 = 0; c0 < columns; c0 += kLine) {
      const long count = std::min(kLine, columns - c0);
      T* rows[kLine];
      for (long c = 0; c < count; ++c) {
        const long row = row_of(c0 + c);
        rows[c] = row < 0 ? nullptr : target + row * features;
      }
      const T* from = packed + c0;
      for (long f0 = first; f0 < last; f0 += kLine, from += kLine * columns) {
        for (long c = 0; c < count; ++c) {
          if (!rows[c]) continue;
          T* out = rows[c] + f0;
          prefetch(out + kAhead, 1);
          if (f0 + kLine <= last) {
#pragma GCC unroll 16
            for (long f = 0; f < kLine; ++f) out[f] += from[f * columns + c];
          } else {
            for (long f = 0; f < last - f0; ++f) out[f] += from[f * columns + c];
          }
        }
      }
    }
  }

  void add_projection(long offset) {
    Term<T> t;
    t.features = d_.g.hidden;
    t.vectors = 4, t.total_vectors = d_.padded_recurrent / d_.g.lanes;
    t.left = [this](std::size_t p, long s) -> const T* { return parts_[p].output_at(s); };
    t.left_row = d_.g.padded();
    t.right = [this](std::size_t p, long s) -> const T* {
      return outs_[p].projected.data() + parts_[p].step_rows(s) * d_.padded_recurrent;
    };
    t.right_row = d_.padded_recurrent, t.panel_size = 4 * d_.g.lanes;
    T* target = o_.weights + offset;
    t.unpack = [this, target](const T* packed, long first, long last, long first_column, long count) {
      add_columns(packed, first, last, count, d_.g.hidden, target,
                  [&](long c) { return first_column + c < d_.recurrent ? first_column + c : -1; });
    };
    terms_.push_back(std::move(t));
  }

  // One sum serves both biases; a GRU's slots n and u go to one of them each.
  void add_biases(long bias_ih, long bias_hh) {
    const Geometry& g = d_.g;
    Term<T> t;
    lay(t, g, 0, g.slots);
    t.right = [this](std::size_t p, long s) -> const T* { return parts_[p].gates_at(s); };
    t.unpack = [this, bias_ih, bias_hh](const T* packed, long, long, long first_column, long count) {
      add_bias(d_.g.in, packed, first_column, count, o_.weights + bias_ih);
      add_bias(d_.g.rec, packed, first_column, count, o_.weights + bias_hh);
      if (d_.g.late.slots()) add_bias(d_.g.late, packed, first_column, count, o_.weights + bias_hh);
    };
    terms_.push_back(std::move(t));
  }

  void add_bias(const Columns& columns, const T* packed, long first_column, long count, T* target) {
    const GateRow source{d_.g, columns};
    for (long c = 0; c < count; ++c) {
      const long row = source.among_all(first_column + c);
      if (row >= 0) target[row] += packed[c];
    }
  }

  // Calls f(gradients of the part, row of the part) in the order of the sorted batch.
  template <class F>
  void each_row(const F& f) {
    for (std::size_t part = 0; part < parts_.size(); ++part)
      for (long row = 0; row < parts_[part].steps->batch; ++row) f(outs_[part], row);
  }

  void add_scales(const Columns& columns, Buffer<T> DirectionGradients<T>::* sums, long offset) {
    const Geometry& g = d_.g;
    const long row_size = g.panels * columns.slots() * g.lanes;
    long before = 0;
    for (const Group& group : groups_of(*d_.config, g, columns)) {
      each_row([&](const DirectionGradients<T>& o, long row) {
        const T* from = (o.*sums).data() + row * row_size + before;
        for (long slot = 0; slot < group.slots; ++slot)
          for (long unit = 0; unit < g.hidden; ++unit)
            o_.weights[offset + columns.gates[group.slot + slot] * g.hidden + unit] +=
                from[(unit / g.lanes * group.slots + slot) * g.lanes + unit % g.lanes];
      });
      before += g.panels * group.slots * g.lanes;
    }
  }

  std::vector<Direction<T>>& parts_;
  std::vector<DirectionGradients<T>>& outs_;
  Direction<T>& d_;           // the first part: sizes and weights are those of all
  DirectionGradients<T>& o_;  // where the gradients of all go
  long batch_ = 0;            // of all parts
  std::vector<Term<T>> terms_;
};

}  // namespace recurra
