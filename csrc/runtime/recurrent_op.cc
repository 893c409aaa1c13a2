// A recurrent layer over the steps of a call: the products and cells of nn/forward.cc in the same order, for a model
// that nobody trains.
#include "runtime/recurrent_op.h"

#include <cstring>

namespace recurra {
namespace {

template <class T>
class Layer {
 public:
  Layer(const RecurrentOp<T>& op, const Frame<T>& f) : op_(op), f_(f), k_(*op.k), g_(op.g) {}

  void run() {
    const bool one_row = f_.rows == 1 && op_.row.panels > 0;
    for (long first = 0; first < f_.steps; first += f_.window) {
      const long last = first + f_.window < f_.steps ? first + f_.window : f_.steps;
      const bool together = f_.rows == 1 && last - first > 1 && !op_.c.layer_norm;
      if (together) input_products(first, last - first);
      if (one_row) {
        for (long step = first; step < last; ++step) row_step(step, together), finish(step);
        continue;
      }
      for (long step = first; step < last; ++step) {
        if (!together) input_product(step);
        one_step(step);
        finish(step);
      }
    }
    if (op_.sequences) return;
    for (long row = f_.row0; row < f_.row0 + f_.rows; ++row)
      copy(state(op_.h, op_.padded_recurrent, row), op_.padded_recurrent, op_.output(f_, 0, row));
  }

 private:
  // Products and cell of a single row; `input_added`: the gates hold the input product.
  void row_step(long step, bool input_added) const {
    RowStep<T> s = op_.row;
    if (input_added) {
      s.start = gates(step), s.start_u = s.start + 3 * g_.lanes;
      s.start_panel = s.start_u_panel = g_.slots * g_.lanes, s.inputs = 0;
    } else {
      s.x = op_.input(f_, step, f_.row0);
    }
    T* const h = state(op_.h, op_.padded_recurrent, f_.row0);
    s.h_prev = s.h_own = h;
    s.h = op_.c.projection ? scratch(op_.unprojected) : new_h(step);
    if (op_.direct && !f_.lengths) s.kept = h;
    if (op_.c.cell == kLstm) {
      T* const c = state(op_.c_state, g_.padded(), f_.row0);
      s.c_prev = c, s.c = f_.lengths ? scratch(op_.new_c) : c;
    }
    s.backwards = f_.backwards != (step % 2 != 0);
    k_.cells[op_.c.cell].one_row(s);
  }

  T* state(long offset, long width, long row) const { return f_.states + f_.batch * offset + row * width; }
  T* scratch(long offset) const { return f_.scratch + f_.rows * offset; }
  T* gates(long step) const {
    const long row_size = g_.panels * g_.slots * g_.lanes;
    return f_.gates + step % f_.window * f_.rows * row_size;
  }
  static void copy(const T* from, long count, T* to) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
  }

  // Where the new h goes: straight into the output where that has a row for every step.
  T* new_h(long step) const { return op_.sequences ? op_.output(f_, step, f_.row0) : scratch(op_.new_h); }
  long new_h_row() const { return op_.sequences ? padded_width<T>(op_.out_width) : op_.padded_recurrent; }

  Product<T> product(const Packed<T>& w, long panel0, long panels, long slots, const T* a, long a_row, T* c) const {
    Product<T> p{};
    p.rows = f_.rows, p.vectors = panels * slots, p.panel_vectors = w.panel_vectors, p.blocks = 1, p.depth = w.depth;
    p.a = a, p.a_row = a_row;
    p.b_panel = w.panel_size(), p.b = w.data + panel0 * slots / w.panel_vectors * p.b_panel;
    p.c = c, p.c_row = g_.row();
    p.c_panel = g_.row_major ? w.panel_vectors * g_.lanes : g_.panel(f_.rows);
    return p;
  }

  // What an input product starts from: the bias, the same for every row.
  void start_from_bias(Product<T>& p) const {
    p.start = op_.bias, p.start_row = 0, p.start_panel = op_.in_weights.panel_vectors * g_.lanes;
  }

  void input_product(long step) const {
    const T* x = op_.input(f_, step, f_.row0);
    if (op_.c.layer_norm) {
      T* own = scratch(op_.norm_in.scratch);
      normalised_product(op_.in_weights, g_.in, x, op_.in_row(f_), own, op_.norm_in, step, false);
      return;
    }
    Product<T> p =
        product(op_.in_weights, 0, g_.panels, g_.in.slots(), x, op_.in_row(f_), gates(step) + g_.in.slot * g_.lanes);
    start_from_bias(p);
    k_.multiply(p);
    fill_u(step);
  }

  // The steps of a single row make the rows of one product.
  void input_products(long step, long count) const {
    Product<T> p = product(op_.in_weights, 0, g_.panels, g_.in.slots(), op_.input(f_, step, f_.row0), 0,
                           gates(step) + g_.in.slot * g_.lanes);
    p.rows = count;
    p.a_row = op_.in == kInput ? f_.x_step : f_.batch * padded_width<T>(op_.in_width);
    p.c_row = g_.panels * g_.slots * g_.lanes;
    start_from_bias(p);
    k_.multiply(p);
    for (long i = 0; i < count; ++i) fill_u(step + i);
  }

  // GRU: slot u starts from its bias.
  void fill_u(long step) const {
    if (op_.c.cell != kGru) return;
    for (long panel = 0; panel < g_.panels; ++panel)
      for (long row = 0; row < f_.rows; ++row)
        copy(op_.bias_u + panel * g_.lanes, g_.lanes,
             gates(step) + panel * g_.panel(f_.rows) + row * g_.row() + 3 * g_.lanes);
  }

  // A product on its own, each group of its slots normalised and then put, or added, to the gates.
  void normalised_product(const Packed<T>& w, const Columns& columns, const T* a, long a_row, T* own,
                          const ProductNorm<T>& norm, long step, bool add) const {
    Geometry alone = g_;
    alone.slots = columns.slots();
    Product<T> p = product(w, 0, g_.panels, columns.slots(), a, a_row, own);
    p.c_row = alone.row();
    p.c_panel = g_.row_major ? w.panel_vectors * g_.lanes : alone.panel(f_.rows);
    k_.multiply(p);
    // a GRU's candidate is normalised apart from its r and z (docs/semantics.md)
    const bool gru = op_.c.cell == kGru || (op_.c.cell == kGruBefore && columns.slots() == 3);
    const long first = !gru ? columns.slots() : columns.slot == g_.in.slot ? 1 : 2;
    for (long slot = 0; slot < columns.slots(); slot += slot == 0 ? first : columns.slots()) {
      Normalise<T> n{};
      n.rows = f_.rows, n.panels = g_.panels, n.units = g_.hidden;
      n.slots = slot == 0 ? first : columns.slots() - first;
      n.z = own + slot * g_.lanes, n.z_row = alone.row(), n.z_panel = alone.panel(f_.rows);
      n.deviation = scratch(op_.deviation);
      n.scale = norm.scale + slot * g_.lanes, n.shift = norm.shift + slot * g_.lanes;
      n.scale_panel = alone.slots * alone.lanes;
      n.target = gates(step) + (columns.slot + slot) * g_.lanes;
      n.target_row = g_.row(), n.target_panel = g_.panel(f_.rows);
      n.add = add && (op_.c.cell != kGru || columns.slot + slot != 3);  // a GRU's slot u has no input part
      k_.normalise(n);
    }
  }

  void recurrent_product(const Packed<T>& w, const Columns& columns, const ProductNorm<T>& norm, const T* a, long a_row,
                         long step) const {
    if (op_.c.layer_norm) {
      normalised_product(w, columns, a, a_row, scratch(norm.scratch), norm, step, true);
      return;
    }
    add_product(w, columns, 0, g_.panels, a, a_row, step);
  }

  void add_product(const Packed<T>& w, const Columns& columns, long panel0, long panels, const T* a, long a_row,
                   long step) const {
    T* c = gates(step) + panel0 * g_.panel(f_.rows) + columns.slot * g_.lanes;
    Product<T> p = product(w, panel0, panels, columns.slots(), a, a_row, c);
    p.start = p.c, p.start_row = p.c_row, p.start_panel = p.c_panel;
    k_.multiply(p);
  }

  const T* old_h() const { return state(op_.h, op_.padded_recurrent, f_.row0); }

  CellArrays<T> cell_arrays(long step, long panel0, long panels) const {
    CellArrays<T> a{};
    const long unit = panel0 * g_.lanes, padded = g_.padded();
    a.rows = f_.rows, a.panels = panels;
    a.gates = gates(step) + panel0 * g_.panel(f_.rows), a.gates_row = g_.row(), a.gates_panel = g_.panel(f_.rows);
    a.h_prev = old_h() + unit, a.h_prev_row = op_.padded_recurrent;
    a.h = (op_.c.projection ? scratch(op_.unprojected) : new_h(step)) + unit;
    a.h_row = op_.c.projection ? padded : new_h_row();
    if (op_.c.cell == kLstm) {
      T* c = state(op_.c_state, padded, f_.row0);
      a.c_prev = c + unit, a.c = (f_.lengths ? scratch(op_.new_c) : c) + unit, a.c_row = padded;
    }
    a.zone_c = op_.zone_c ? op_.zone_c + unit : nullptr, a.zone_row = 0;
    a.reset_h = scratch(op_.reset_h) + unit, a.reset_h_row = padded;
    a.fresh = scratch(op_.fresh) + unit, a.fresh_row = padded;
    if (op_.options.norm_scale) a.normal = scratch(op_.normal) + unit;
    return a;
  }

  void one_step(long step) const {
    if (op_.c.plain() && !op_.c.layer_norm) {
      plain_step(step);
    } else {
      general_step(step);
    }
  }

  void finish(long step) const {
    if (op_.c.projection) project(step);
    if (op_.c.zone_h > 0) zone_h(step);
    if (!(f_.rows == 1 && op_.direct && !f_.lengths)) keep(step);
  }

  // A few panels at a time, so that the cell finds the sums in the first-level cache.
  void plain_step(long step) const {
    const long panel_bytes = f_.rows * g_.slots * g_.lanes * static_cast<long>(sizeof(T));
    const long granule = g_.granule(), most = f_.rows == 1 ? 8 : 16384 / panel_bytes / granule * granule;
    const long together = most > granule ? most : granule;
    for (long panel = 0; panel < g_.panels; panel += together) {
      const long panels = panel + together < g_.panels ? together : g_.panels - panel;
      add_product(op_.rec_weights, g_.rec, panel, panels, old_h(), op_.padded_recurrent, step);
      k_.cells[op_.c.cell].plain(cell_arrays(step, panel, panels));
    }
  }

  void general_step(long step) const {
    recurrent_product(op_.rec_weights, g_.rec, op_.norm_rec, old_h(), op_.padded_recurrent, step);
    const CellArrays<T> a = cell_arrays(step, 0, g_.panels);
    const auto& cell = k_.cells[op_.c.cell];
    cell.stage1(a, op_.options);
    if (op_.c.cell == kGruBefore)
      recurrent_product(op_.late_weights, g_.late, op_.norm_late, a.reset_h, a.reset_h_row, step);
    if (a.normal) normalise_cell(a);
    if (cell.stage2) cell.stage2(a, op_.options);
  }

  void normalise_cell(const CellArrays<T>& a) const {
    Normalise<T> n{};
    n.rows = f_.rows, n.panels = g_.panels, n.units = g_.hidden, n.slots = 1;
    copy(a.fresh, f_.rows * a.fresh_row, a.normal);
    n.z = a.normal, n.z_row = a.fresh_row, n.z_panel = g_.lanes;
    n.deviation = scratch(op_.deviation);
    k_.normalise(n);
  }

  void project(long step) const {
    const Packed<T>& w = op_.projection;
    Product<T> p{};
    p.rows = f_.rows, p.vectors = w.vectors, p.panel_vectors = w.panel_vectors, p.blocks = 1, p.depth = w.depth;
    p.a = scratch(op_.unprojected), p.a_row = g_.padded();
    p.b = w.data, p.b_panel = w.panel_size();
    p.c = new_h(step), p.c_row = new_h_row(), p.c_panel = w.panel_vectors * g_.lanes;
    k_.multiply(p);
  }

  void zone_h(long step) const {
    const T rate = static_cast<T>(op_.c.zone_h);
    for (long row = 0; row < f_.rows; ++row) {
      const T* before = old_h() + row * op_.padded_recurrent;
      T* h = new_h(step) + row * new_h_row();
      for (long j = 0; j < op_.c.recurrent(); ++j) h[j] += rate * (before[j] - h[j]);
    }
  }

  // New states in place of the old ones, for the rows that this step counts for; zeros out of the others.
  void keep(long step) const {
    for (long i = 0; i < f_.rows; ++i) {
      const long row = f_.row0 + i;
      T* h = new_h(step) + i * new_h_row();
      if (f_.counts(step, row)) {
        copy(h, op_.padded_recurrent, state(op_.h, op_.padded_recurrent, row));
        if (f_.lengths && op_.c.cell == kLstm)
          copy(scratch(op_.new_c) + i * g_.padded(), g_.padded(), state(op_.c_state, g_.padded(), row));
      } else if (op_.sequences) {
        std::memset(h, 0, static_cast<std::size_t>(op_.out_width) * sizeof(T));
      }
    }
  }

  const RecurrentOp<T>& op_;
  const Frame<T>& f_;
  const InferenceKernels<T>& k_;
  const Geometry& g_;
};

// One step of one row, what most streams are, by the shortest way.
template <class T>
void step_directly(const RecurrentOp<T>& op, const Frame<T>& f) {
  RowStep<T> s = op.row;
  T* const h = f.states + f.batch * op.h + f.row0 * op.padded_recurrent;
  s.x = op.input(f, 0, f.row0);
  s.h_prev = s.h_own = s.kept = h;
  s.h = op.output(f, 0, f.row0);
  if (op.c.cell == kLstm) s.c_prev = s.c = f.states + f.batch * op.c_state + f.row0 * op.g.padded();
  s.backwards = f.backwards;
  op.k->cells[op.c.cell].one_row(s);
}

}  // namespace

template <class T>
void run_recurrent(const Op<T>& op, const Frame<T>& frame) {
  const auto& recurrent = static_cast<const RecurrentOp<T>&>(op);
  if (recurrent.direct && frame.rows == 1 && frame.steps == 1 && !frame.lengths) {
    step_directly(recurrent, frame);
  } else {
    Layer<T>(recurrent, frame).run();
  }
}

template void run_recurrent(const Op<float>&, const Frame<float>&);
template void run_recurrent(const Op<double>&, const Frame<double>&);

}  // namespace recurra
