// Gradients of the weights: products over all steps and rows, deferred until every gate gradient is there.
//
// Each thread owns pieces (matrix, panel, features) of the packed gradients. It takes the steps, of all parts of the
// batch, in blocks of about 256 rows, adds each block's sum to its total, and finally adds the totals to the caller's
// flat gradient. Blocks depend on the batch alone, so the bits do not depend on the number of threads. Of a single block
// piece after piece is finished, all in the same room, which stays in the second-level cache.
#include <algorithm>
#include <functional>
#include <vector>

#include "nn/gate_products.h"

namespace recurra {
namespace {

constexpr long kBlockRows = kMostParts;  // of a reduction: its right-hand side stays in the first-level cache
constexpr long kPieceFeatures = 24;      // a whole number of register tiles

// d[feature, column] = sum over steps and rows of left[row, feature] * right[row, column]; without features, of right
// alone.
template <class T>
struct Term {
  long features = 0;
  long vectors = 0;        // vectors of a full panel
  long total_vectors = 0;  // of all panels but the tail's
  long tail_vectors = 0;   // of the tail, a last panel
  std::function<const T*(std::size_t part, long step)> left;
  std::function<const T*(std::size_t part, long step, long panel)> right;
  long left_row = 0, right_row = 0, tail_row = 0;
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
class WeightGradients {
  // What one thread computes: features [first, last) of a panel, whose gradients lie at `packed`, `row` a feature.
  struct Piece {
    const Term<T>* term;
    T* packed;
    long panel, first, last, row;
    long size() const { return (last - first) * row; }
  };

 public:
  WeightGradients(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out)
      : parts_(parts), outs_(out), d_(parts.front()), o_(out.front()), k_(*d_.kernels) {
    const ParameterOffsets& at = *o_.offsets;
    for (const Direction<T>& d : parts_) batch_ += d.steps->batch, steps_ = std::max(steps_, d.steps->count);
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

  void run(Team& group) {
    std::vector<Piece> own = pieces_of(group);
    const auto smaller = [](const Piece& a, const Piece& b) { return a.size() < b.size(); };
    if (steps_ > together()) {
      if (!sum(group, own.data(), own.data() + own.size())) return;
    } else if (!own.empty()) {
      T* const room = std::max_element(own.begin(), own.end(), smaller)->packed;
      for (Piece& p : own) {
        p.packed = room;
        if (!sum(group, &p, &p + 1)) return;
      }
    }
    if (group.rank() == 0) add_row_sums();
  }

  // Sums up pieces and adds them to the caller's gradient. False when the call was stopped.
  bool sum(Team& group, const Piece* first, const Piece* last) {
    for (const Piece* p = first; p < last; ++p) std::fill_n(p->packed, p->size(), T(0));
    for (long step = 0; step < steps_; step += together()) {
      if (!group.go_on()) return false;
      const long end = std::min(steps_, step + together());
      for (const Piece* p = first; p < last; ++p) add_block(*p, step, end);
    }
    for (const Piece* p = first; p < last; ++p)
      p->term->unpack(p->packed, p->first, p->last, p->panel * p->term->vectors * d_.g.lanes, p->row);
    return true;
  }

  // Steps of a block.
  long together() const { return std::max(1l, kBlockRows / std::max(1l, batch_)); }

  // Elements of the packed gradients.
  long packed_size() const {
    long size = 0;
    for (const Term<T>& t : terms_) size += t.rows() * (t.total_vectors + t.tail_vectors) * d_.g.lanes;
    return size;
  }

 private:
  // The address of the gates of `columns`, whose gradients lie in the gates or, normalised, in an array of their own.
  std::function<const T*(std::size_t, long, long)> gate_gradients(const Columns& columns,
                                                                  NormalSeries<T> Direction<T>::* series,
                                                                  long panel_units) {
    Geometry g = d_.g;
    const bool own = d_.config->layer_norm;
    if (own) g.slots = columns.slots();
    const long slot = own ? 0 : columns.slot * g.lanes;
    return [this, g, own, slot, series, panel_units](std::size_t part, long step, long panel) -> const T* {
      Direction<T>& d = parts_[part];
      const T* base =
          own ? (d.*series).normal.data() + d.step_rows(step) * g.panels * g.slots * g.lanes : d.gates_at(step);
      return base + panel * panel_units * g.panel(d.rows(step)) + (g.tail && panel == g.whole() ? 0 : slot);
    };
  }

  void add_gates(const Columns& columns, long features, long offset, std::function<const T*(std::size_t, long)> left,
                 long left_row, NormalSeries<T> Direction<T>::* series) {
    Geometry g = d_.g;
    if (d_.config->layer_norm) g.slots = columns.slots();
    Term<T> t;
    t.features = features;
    t.vectors = g.row_major ? 4 : columns.slots();
    t.total_vectors = g.whole() * columns.slots();
    t.tail_vectors = g.tail_vectors(), t.tail_row = g.tail_row();
    t.left = std::move(left), t.left_row = left_row;
    t.right = gate_gradients(columns, series, g.granule());
    t.right_row = single_row() ? g.step(1) : g.row();
    T* target = o_.weights + offset;
    t.unpack = [this, columns, features, target](const T* packed, long first, long last, long first_column,
                                                 long count) {
      const GateRow source{d_.g, columns};
      add_columns(packed, first, last, count, features, target, [&](long c) { return source(first_column + c); });
    };
    terms_.push_back(std::move(t));
  }

  // target[row_of(c), first..last) += packed column c, none where the row is negative. A cache line of each of a few
  // rows in turn, so that neither side leaves the first-level cache half used.
  template <class RowOf>
  static void add_columns(const T* packed, long first, long last, long columns, long features, T* target,
                          const RowOf& row_of) {
    constexpr long kLine = static_cast<long>(kAlignment / sizeof(T)), kTogether = kLine, kAhead = 4 * kLine;
    for (long c0 = 0; c0 < columns; c0 += kTogether) {
      const long count = std::min(kTogether, columns - c0);
      T* rows[kTogether];
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
    t.right = [this](std::size_t p, long s, long panel) -> const T* {
      return outs_[p].projected.data() + parts_[p].step_rows(s) * d_.padded_recurrent + panel * 4 * d_.g.lanes;
    };
    t.right_row = d_.padded_recurrent;
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
    t.vectors = g.row_major ? 4 : g.slots, t.total_vectors = g.whole() * g.slots;
    t.tail_vectors = g.tail_vectors(), t.tail_row = g.tail_row();
    t.right = [this](std::size_t p, long s, long panel) -> const T* {
      return parts_[p].gates_at(s) + panel * d_.g.granule() * d_.g.panel(parts_[p].rows(s));
    };
    t.right_row = single_row() ? g.step(1) : g.row();
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

  // One row and one step lie behind another: all steps are rows of one block.
  bool single_row() const { return batch_ == 1; }

  // The pieces of this thread. Each goes to whoever has least so far: whole panels where there are enough of them.
  std::vector<Piece> pieces_of(const Team& group) {
    std::vector<Piece> own;
    std::vector<long> load(static_cast<std::size_t>(group.size()));
    T* packed = o_.packed.data();
    for (const Term<T>& t : terms_) {
      const long most = t.panels() >= 2 * group.size() ? t.rows() : kPieceFeatures;
      for (long panel = 0; panel < t.panels(); ++panel) {
        for (long first = 0; first < t.rows(); first += most) {
          const long last = std::min(first + most, t.rows());
          const auto least = std::min_element(load.begin(), load.end());
          *least += (last - first) * t.vectors_of(panel);
          const long row = t.vectors_of(panel) * d_.g.lanes;
          if (least - load.begin() == group.rank()) own.push_back({&t, packed, panel, first, last, row});
          packed += (last - first) * row;
        }
      }
    }
    return own;
  }

  void add_block(const Piece& piece, long step, long end) {
    const Term<T>& t = *piece.term;
    const long panel = piece.panel, first = piece.first;
    long rows[kBlockRows];
    const T *left[kBlockRows], *right[kBlockRows];
    Reduction<T> p{};
    for (long s = step; s < (single_row() ? step + 1 : end); ++s) {
      for (std::size_t part = 0; part < parts_.size(); ++part) {
        const long active = s < parts_[part].steps->count ? parts_[part].rows(s) : 0;
        if (active == 0) continue;
        rows[p.blocks] = single_row() ? end - step : active;
        left[p.blocks] = t.features ? t.left(part, s) + first : nullptr;
        right[p.blocks++] = t.right(part, s, panel);
      }
    }
    p.columns = piece.last - first, p.vectors = t.vectors_of(panel);
    p.rows = rows, p.a = left, p.a_row = t.left_row, p.b = right;
    p.b_row = panel < t.whole() ? t.right_row : t.tail_row;
    p.c_row = piece.row, p.c = piece.packed;
    t.features ? k_.reduce(p) : k_.sum_rows(p);
  }

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
  const Kernels<T>& k_;
  long batch_ = 0, steps_ = 0;  // of all parts
  std::vector<Term<T>> terms_;
};

}  // namespace

template <class T>
void prepare_weight_gradients(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out) {
  out.front().packed = Buffer<T>(static_cast<std::size_t>(WeightGradients<T>(parts, out).packed_size()));
}

template <class T>
void weight_gradients(Team& group, std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out) {
  WeightGradients<T>(parts, out).run(group);
}

#define RECURRA_INSTANTIATE(T)                                                                             \
  template void prepare_weight_gradients(std::vector<Direction<T>>&, std::vector<DirectionGradients<T>>&); \
  template void weight_gradients(Team&, std::vector<Direction<T>>&, std::vector<DirectionGradients<T>>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
