// Backward through time, one direction: gates become their gradients in place, from the last step to the first.
//
// dh of a step is dy, plus what the step after hands down past its products (carry), plus its gate gradients times the
// transposed weights; the cell's pointwise part follows on the same units while they are in the first-level cache.
#include <algorithm>

#include "nn/gate_products.h"
#include "nn/random.h"

namespace recurra {
namespace {

// sum[j] = a[j * stride] + b[j]; a and b may be null: zero.
template <class T>
void add(const T* a, long stride, const T* b, long count, T* __restrict sum) {
  if (a && stride != 1 && count > 1) {
    for (long j = 0; j < count; ++j) sum[j] = a[j * stride] + (b ? b[j] : T(0));
  } else if (a && b) {
    for (long j = 0; j < count; ++j) sum[j] = a[j] + b[j];
  } else if (a || b) {
    copy_short(a ? a : b, count, sum);
  } else {
    std::fill_n(sum, count, T(0));
  }
}

template <class T>
class Backward {
 public:
  Backward(Team& group, Direction<T>& d, DirectionGradients<T>& out)
      : group_(group), d_(d), o_(out), k_(*d.kernels), part_(part_of(d, group)), has_carry_(d.gru() || d.zones_h()) {}

  void run() {
    if (part_.by_units && !group_.meet()) return;
    for (long step = d_.steps->count - 1; step >= 0; --step) {
      if ((d_.heavy || step % d_.window == 0) && !group_.go_on()) return;
      this->step(step);
      if (part_.by_units && !meet(step)) return;
    }
    initial_states();
    if (o_.dx.data) input_gradients();
  }

 private:
  // Waits for the others' gradients of the gates of a step.
  bool meet(long step) {
    if (!group_.meet()) return false;
    const long panel = d_.g.panel(d_.rows(step)), all = d_.g.panels * panel;
    if (all <= kMostToSendFor) send_for_others(d_.gates_at(step), part_.panel0 * panel, part_.panel1 * panel, all);
    return true;
  }
  long unit0() const { return part_.panel0 * d_.g.lanes; }
  long unit1(long count) const { return std::min(part_.panel1 * d_.g.lanes, count); }

  // dh of the state after step `step` (-1: the initial one) but for the products; rows that end here take the final
  // state's gradient.
  void start_dh(long step) {
    const long padded = d_.padded_recurrent, going_on = d_.rows(step + 1);
    const long active = step < 0 ? d_.steps->batch : d_.rows(step);
    for (long row = 0; row < active; ++row) {
      const long n = d_.batch_row(row), end = unit1(d_.recurrent);
      T* dh = o_.dh.data() + row * padded;
      const bool ends = row >= going_on;
      const T* carry = !ends && has_carry_ ? o_.carry.data() + row * padded : nullptr;
      const T* dhn = ends && o_.dhn ? o_.dhn + n * d_.recurrent : nullptr;
      const T* dy =
          step >= 0 && o_.dy.data ? o_.dy.data + n * o_.dy.row + d_.output_time(row, step) * o_.dy.step : nullptr;
      const T* other = carry ? carry : dhn;
      const long count = std::max(0l, end - unit0());
      if (dy) dy += unit0() * o_.dy.element;
      if (step > 0 && dy && o_.dy.element == 1)  // rows lie far apart: no hardware foresees the step before
        prefetch(d_.reverse_output ? dy + o_.dy.step : dy - o_.dy.step, static_cast<std::size_t>(count) * sizeof(T));
      add(dy, o_.dy.element, other ? other + unit0() : nullptr, count, dh + unit0());
      std::fill(dh + unit0() + count, dh + unit1(padded), T(0));
      if (ends && d_.lstm()) start_dc(row, n);
    }
  }

  void start_dc(long row, long n) {
    T* dc = o_.dc.data() + row * d_.g.padded();
    const long end = unit1(d_.g.hidden);
    for (long j = unit0(); j < end; ++j) dc[j] = o_.dcn ? o_.dcn[n * d_.g.hidden + j] : T(0);
    std::fill(dc + std::max(unit0(), end), dc + unit1(d_.g.padded()), T(0));
  }

  // C [rows, units of panels] (+)= gradients of `columns` of step `step` times the transposed matrix.
  void gradient_product(const PackedMatrix<T>& matrix, const Columns& columns, NormalSeries<T>* series, long step,
                        long rows, long panel0, long panel1, T* c, long c_row, bool add) {
    Geometry g = d_.g;
    T* a = d_.gates_at(step) + columns.slot * g.lanes;
    if (series) {
      g.slots = columns.slots();
      a = series->normal.data() + d_.step_rows(step) * g.panels * g.slots * g.lanes;
    }
    Product<T> p{};
    p.rows = rows;
    p.vectors = std::min(panel1, matrix.vectors) - panel0, p.panel_vectors = 4;
    p.blocks = g.row_major ? 1 : g.whole();
    p.depth = g.row_major ? g.padded() : columns.slots() * g.lanes;
    p.a = a, p.a_row = g.row(), p.a_block = g.panel(d_.rows(step));
    p.b = matrix.data.data() + panel0 / 4 * matrix.panel_size(), p.b_panel = matrix.panel_size();
    p.c = c + panel0 * g.lanes, p.c_row = c_row, p.c_panel = 4 * g.lanes;
    if (add) p.start = p.c, p.start_row = p.c_row, p.start_panel = p.c_panel;
    k_.multiply(p);
    if (g.tail) add_tail(p, matrix, panel0, gate_at(g, d_.gates_at(step), d_.rows(step), g.whole(), 0), g.tail_row());
  }

  // The tail's share of a product that summed over the gates of the whole unit vectors.
  void add_tail(Product<T> p, const PackedMatrix<T>& matrix, long panel0, const T* gates, long gates_row) {
    const Geometry& g = d_.g;
    p.blocks = 1, p.depth = g.tail_row();
    p.a = gates, p.a_row = gates_row;
    p.b_panel = p.depth * 4 * g.lanes, p.b = matrix.tail.data() + panel0 / 4 * p.b_panel;
    p.start = p.c, p.start_row = p.c_row, p.start_panel = p.c_panel;
    k_.multiply(p);
  }

  NormalSeries<T>* normal(NormalSeries<T>& series) { return d_.config->layer_norm ? &series : nullptr; }

  // Adds what comes through the recurrent products of step `after`.
  void add_recurrent(long after, long panel0, long panel1) {
    const long rows = after < d_.steps->count ? d_.rows(after) : 0;
    if (rows <= 0) return;
    const long padded = d_.padded_recurrent;
    if (!d_.mask.data()) {
      gradient_product(d_.weights->rec_t, d_.g.rec, normal(d_.normal_rec), after, rows, panel0, panel1, o_.dh.data(),
                       padded, true);
      return;
    }
    gradient_product(d_.weights->rec_t, d_.g.rec, normal(d_.normal_rec), after, rows, panel0, panel1, o_.product.data(),
                     padded, false);
    for (long j = 0; j < rows * padded; ++j) o_.dh.data()[j] += d_.mask.data()[j] * o_.product.data()[j];
  }

  CellArrays<T> cell_arrays(long step, long panel0, long panel1) {
    const long active = d_.rows(step), unit = panel0 * d_.g.lanes, padded = d_.g.padded(),
               recurrent = d_.padded_recurrent;
    CellArrays<T> a{};
    a.rows = active, a.panels = panel1 - panel0;
    a.gates = gate_at(d_.g, d_.gates_at(step), active, panel0, 0), a.gates_row = d_.g.row(panel0),
    a.gates_panel = d_.g.panel(active), a.tail = d_.g.tail;
    a.h_prev = d_.h_at(step) + unit, a.h_prev_row = recurrent;
    a.dh = o_.dm.data() ? o_.dm.data() + unit : o_.dh.data() + unit;
    a.dh_row = o_.dm.data() ? padded : recurrent;
    a.c_row = padded;
    if (d_.lstm()) {
      a.c_prev = d_.c_at(step) + unit, a.c = d_.c_at(step + 1) + unit;
      a.dc = o_.dc.data() + unit;
    }
    if (d_.gru()) a.carry = o_.carry.data() + unit, a.carry_row = recurrent;
    if (d_.zone_c.data()) a.zone_c = d_.zone_c_at(step) + unit, a.zone_row = padded;
    if (d_.mask.data()) a.mask = d_.mask.data() + unit, a.mask_row = recurrent;
    if (o_.reset_h.data()) a.reset_h = o_.reset_h.data() + unit, a.reset_h_row = padded;
    if (d_.fresh.data()) a.fresh = d_.fresh.data() + unit, a.fresh_row = padded;
    if (d_.normal_c.normal.data()) a.normal = d_.normal_c_at(step) + unit;
    if (o_.row_sums.data())
      a.row_sums = o_.row_sums.data() + unit, a.row_sums_row = 5 * padded, a.row_sums_kind = padded;
    return a;
  }

  void step(long step) {
    if (d_.rows(step) <= 0) return;
    start_dh(step);
    if (d_.plain() && !d_.config->layer_norm && !d_.zones_h() && !d_.config->projection && !d_.mask.data()) {
      plain_step(step);
      keep_dh(step);
    } else {
      add_recurrent(step + 1, 0, d_.padded_recurrent / d_.g.lanes);
      keep_dh(step);
      general_step(step);
    }
  }

  void keep_dh(long step) {
    if (!o_.total_dh.data) return;
    for (long row = 0; row < d_.rows(step); ++row) {
      const T* dh = o_.dh.data() + row * d_.padded_recurrent;
      T* to = o_.total_dh.data + d_.batch_row(row) * o_.total_dh.row + d_.output_time(row, step) * o_.total_dh.step;
      std::copy(dh + unit0(), dh + std::max(unit0(), unit1(d_.recurrent)), to + unit0());
    }
  }

  void plain_step(long step) {
    const long row_size = d_.g.slots * d_.g.lanes * static_cast<long>(sizeof(T)) * d_.rows(step);
    const long together = std::max(4l, 16384 / row_size / 4 * 4);
    for (long panel = part_.panel0; panel < part_.panel1; panel += together) {
      const long end = std::min(part_.panel1, panel + together);
      add_recurrent(step + 1, panel, end);
      plain_cell(step, panel, end);
    }
  }

  void plain_cell(long step, long panel0, long panel1) {
    const CellKernels<T>& cell = k_.cells[d_.config->cell];
    const long whole = std::min(panel1, d_.g.whole());
    if (panel0 < whole) cell.backward(cell_arrays(step, panel0, whole));
    if (panel1 > whole) cell.tail_backward(cell_arrays(step, whole, panel1));
  }

  void general_step(long step) {
    const long rows = d_.rows(step);
    if (d_.zones_h()) split_zone(step, rows);
    if (d_.config->projection) unproject(step, rows);
    if (d_.plain() && !d_.config->layer_norm) {
      plain_cell(step, 0, d_.g.panels);
    } else {
      const CellArrays<T> a = cell_arrays(step, 0, d_.g.panels);
      const CellOptions<T> options = cell_options(d_, 0);
      const CellKernels<T>& cell = k_.cells[d_.config->cell];
      cell.backward_stage1(a, options);
      if (a.normal) normalise_cell(step, a);
      if (d_.config->cell == kGruBefore) {
        normalise(d_.normal_late, d_.g.late, step, d_.weights->scale_late, o_.row_sums_late);
        gradient_product(d_.weights->late_t, d_.g.late, normal(d_.normal_late), step, rows, 0, d_.g.panels,
                         o_.reset_h.data(), d_.g.padded(), false);
      }
      if (cell.backward_stage2) cell.backward_stage2(a, options);
    }
    if (d_.zones_h()) join_zone(rows);
    normalise(d_.normal_rec, d_.g.rec, step, d_.weights->scale_rec, o_.row_sums_rec);
    normalise(d_.normal_in, d_.g.in, step, d_.weights->scale_in, o_.row_sums_in);
  }

  // h' = h~ + kept * (h - h~): kept * dh passes by, the rest goes into the cell.
  void split_zone(long step, long rows) {
    const long padded = d_.padded_recurrent;
    const T* kept = d_.zone_h_at(step);
    for (long j = 0; j < rows * padded; ++j) {
      o_.zone_carry.data()[j] = kept[j] * o_.dh.data()[j];
      o_.dh.data()[j] -= o_.zone_carry.data()[j];
    }
  }
  void join_zone(long rows) {
    const long padded = d_.padded_recurrent;
    for (long j = 0; j < rows * padded; ++j)
      o_.carry.data()[j] = d_.gru() ? o_.carry.data()[j] + o_.zone_carry.data()[j] : o_.zone_carry.data()[j];
  }

  void unproject(long step, long rows) {
    const PackedMatrix<T>& matrix = d_.weights->projection_t;
    const long padded = d_.padded_recurrent;
    T* kept = o_.projected.data() + d_.step_rows(step) * padded;
    std::copy_n(o_.dh.data(), rows * padded, kept);
    Product<T> p{};
    p.rows = rows, p.vectors = matrix.vectors, p.panel_vectors = 4, p.blocks = 1, p.depth = matrix.depth;
    p.a = o_.dh.data(), p.a_row = padded;
    p.b = matrix.data.data(), p.b_panel = matrix.panel_size();
    p.c = o_.dm.data(), p.c_row = d_.g.padded(), p.c_panel = 4 * d_.g.lanes;
    k_.multiply(p);
  }

  void normalise_cell(long step, const CellArrays<T>& a) {
    Normalise<T> n{};
    n.rows = a.rows, n.panels = d_.g.panels, n.units = d_.g.hidden, n.slots = 1;
    n.z = a.normal, n.z_row = a.fresh_row, n.z_panel = d_.g.lanes;
    n.deviation = d_.normal_c.deviation.data() + d_.step_rows(step);
    n.scale = d_.weights->cell_scale.data(), n.scale_panel = d_.g.lanes;
    n.target = a.fresh, n.target_row = a.fresh_row, n.target_panel = d_.g.lanes;
    k_.normalise_backward(n);
    for (long row = 0; row < a.rows; ++row)
      std::copy_n(a.normal + row * a.fresh_row, d_.g.padded(), a.fresh + row * a.fresh_row);
  }

  void normalise(NormalSeries<T>& series, const Columns& columns, long step, const Buffer<T>& scale, Buffer<T>& sums) {
    if (!series.normal.data()) return;
    const std::vector<Group> groups = groups_of(*d_.config, d_.g, columns);
    const long row_size = d_.g.panels * columns.slots() * d_.g.lanes;
    long before = 0;  // sums of a group lie together: [group][panels][slots of the group][lanes]
    for (std::size_t i = 0; i < groups.size(); ++i) {
      Normalise<T> n = normalise_arguments(d_, series, columns, groups[i], i, step, scale);
      n.row_sums = sums.data() + before, n.row_sums_row = row_size;
      k_.normalise_backward(n);
      before += d_.g.panels * groups[i].slots * d_.g.lanes;
    }
  }

  void initial_states() {
    start_dh(-1);
    add_recurrent(0, part_.panel0, std::min(part_.panel1, d_.padded_recurrent / d_.g.lanes));
    for (long row = 0; row < d_.steps->batch; ++row) {
      const long n = d_.batch_row(row);
      const auto copy = [&](T* to, const T* from, long count) {
        std::copy(from + unit0(), from + std::max(unit0(), unit1(count)), to + unit0());
      };
      if (o_.dh0) copy(o_.dh0 + n * d_.recurrent, o_.dh.data() + row * d_.padded_recurrent, d_.recurrent);
      if (o_.dc0) copy(o_.dc0 + n * d_.g.hidden, o_.dc.data() + row * d_.g.padded(), d_.g.hidden);
    }
  }

  // dx of every active element: the gate gradients times the transposed input weights. By units the steps are shared
  // out.
  void input_gradients() {
    const Range all{0, d_.steps->count};
    const Range steps = part_.by_units ? share(d_.steps->count, group_.rank(), group_.size()) : all;
    const long few = k_.tile_rows, together = 32;
    const bool over_time = d_.steps->batch < few && !d_.steps->ragged;
    const long padded = padded_to(d_.input, d_.g.lanes);
    Buffer<T> out(static_cast<std::size_t>(std::max(together, d_.steps->batch) * padded));
    for (long first = steps.first; first < steps.last; first += over_time ? together : 1) {
      if ((d_.heavy || first % d_.window == 0) && !group_.go_on()) return;
      if (!over_time) {
        const long rows = d_.rows(first);
        if (rows <= 0) break;
        input_product(first, 0, rows, 0, out.data(), padded);
        for (long row = 0; row < rows; ++row) write_dx(row, first, out.data() + row * padded);
        continue;
      }
      const long count = std::min(together, steps.last - first);
      for (long row = 0; row < d_.steps->batch; ++row) {
        input_product(first, row, count, 1, out.data(), padded);
        for (long i = 0; i < count; ++i) write_dx(row, first + i, out.data() + i * padded);
      }
    }
  }

  void input_product(long step, long row0, long rows, bool over_time, T* out, long padded) {
    Geometry g = d_.g;
    const Columns& columns = g.in;
    const PackedMatrix<T>& matrix = d_.weights->in_t;
    const T* a = d_.gates_at(step) + columns.slot * g.lanes;
    if (d_.config->layer_norm) {
      g.slots = columns.slots();
      a = d_.normal_in.normal.data() + d_.step_rows(step) * g.panels * g.slots * g.lanes;
    }
    Product<T> p{};
    p.rows = rows, p.vectors = matrix.vectors, p.panel_vectors = 4;
    p.blocks = g.row_major ? 1 : g.whole();
    p.depth = g.row_major ? g.padded() : columns.slots() * g.lanes;
    p.a = a + row0 * g.row(), p.a_row = over_time ? g.step(d_.steps->batch) : g.row(),
    p.a_block = g.panel(d_.rows(step));
    p.b = matrix.data.data(), p.b_panel = matrix.panel_size();
    p.c = out, p.c_row = padded, p.c_panel = 4 * g.lanes;
    k_.multiply(p);
    if (g.tail)
      add_tail(p, matrix, 0, gate_at(g, d_.gates_at(step), d_.rows(step), g.whole(), row0),
               over_time ? g.step(d_.steps->batch) : g.tail_row());
  }

  void write_dx(long row, long step, T* dx) {
    const long n = d_.batch_row(row), time = d_.input_time(row, step);
    T* to = o_.dx.data + n * o_.dx.row + time * o_.dx.step;
    if (d_.dropout_mask.data()) {
      const T* mask = d_.dropout_mask.data() + row * d_.input;
      for (long i = 0; i < d_.input; ++i) dx[i] *= mask[i];
    }
    copy_short(dx, d_.input, to);
    if (!d_.sampling || d_.config->interlayer_dropout <= 0 || d_.layer == 0) return;
    dropout_row(dx, static_cast<int>(d_.input), d_.config->interlayer_dropout, d_.seed, kInterlayerDropout, d_.layer, 0,
                time, n);
    for (long i = 0; i < d_.input; ++i) to[i] *= dx[i];
  }

  Team& group_;
  Direction<T>& d_;
  DirectionGradients<T>& o_;
  const Kernels<T>& k_;
  const Part part_;
  const bool has_carry_;
};

}  // namespace

template <class T>
void prepare(Direction<T>& d, DirectionGradients<T>& o) {
  const Config& c = *d.config;
  const long batch = d.steps->batch;
  o.dh = zeros<T>(batch * d.padded_recurrent);
  if (d.lstm()) o.dc = zeros<T>(batch * d.g.padded());
  if (d.gru() || d.zones_h()) o.carry = zeros<T>(batch * d.padded_recurrent);
  if (d.zones_h()) o.zone_carry = zeros<T>(batch * d.padded_recurrent);
  if (d.mask.data()) o.product = zeros<T>(batch * d.padded_recurrent);
  if (c.cell == kGruBefore) o.reset_h = zeros<T>(batch * d.g.padded());
  if (c.projection) {
    o.dm = zeros<T>(batch * d.g.padded());
    o.projected = zeros<T>(d.steps->offset.back() * d.padded_recurrent);
  }
  if (c.peepholes || (c.layer_norm && d.lstm())) o.row_sums = zeros<T>(batch * 5 * d.g.padded());
  if (c.layer_norm) {
    const auto sums = [&](const Columns& columns) {
      return zeros<T>(batch * d.g.panels * columns.slots() * d.g.lanes);
    };
    o.row_sums_in = sums(d.g.in);
    o.row_sums_rec = sums(d.g.rec);
    if (d.g.late.slots()) o.row_sums_late = sums(d.g.late);
  }
}

template <class T>
void backward(Team& group, Direction<T>& d, DirectionGradients<T>& gradients) {
  Backward<T>(group, d, gradients).run();
}

#define RECURRA_INSTANTIATE(T)                                  \
  template void prepare(Direction<T>&, DirectionGradients<T>&); \
  template void backward(Team&, Direction<T>&, DirectionGradients<T>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
