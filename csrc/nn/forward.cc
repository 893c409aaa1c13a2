// Forward through time, one direction.
//
// Chunk by chunk: the input product of a few steps at once into the gates, then step by step the recurrent product on
// top of it and the cell. A thread has a direction to itself, or units of it (one meeting a step).
#include <algorithm>

#include "nn/gate_products.h"
#include "nn/random.h"

namespace recurra {
namespace {

constexpr long kPanelsOfOneRow = 8;  // that are swept together: two register tiles of a single row

template <class T>
class Forward {
 public:
  Forward(Team& group, Direction<T>& d) : group_(group), d_(d), k_(*d.kernels), part_(part_of(d, group)) {}

  void run() {
    begin();
    if (part_.by_units && !group_.meet()) return;
    for (long first = 0; first < d_.steps->count; first += d_.window) {
      const long last = std::min(d_.steps->count, first + d_.window);
      if (!group_.go_on()) return;
      input_products(first, last);
      for (long step = first; step < last; ++step) {
        if (d_.heavy && !group_.go_on()) return;
        this->step(step);
        if (part_.by_units && !meet(step + 1)) return;
      }
    }
  }

 private:
  // Waits for the others' units of the state after `state` steps.
  bool meet(long state) {
    if (!group_.meet()) return false;
    const long rows = state < d_.steps->count ? d_.rows(state) : 0, padded = d_.padded_recurrent;
    if (rows * padded > kMostToSendFor) return true;
    for (long row = 0; row < rows; ++row)
      send_for_others(d_.product_h_at(state) + row * padded, units0(), units0() + units(padded), padded);
    return true;
  }
  T* gates_at(long step) { return d_.gates_at(step) + group_.rank() * d_.gates_apart; }
  T* c_at(long step) { return d_.c_at(step) + group_.rank() * d_.c_apart; }
  long units0() const { return part_.panel0 * d_.g.lanes; }
  // Real units of this part in an array of `count` units.
  long units(long count) const { return std::max(0l, std::min(part_.panel1 * d_.g.lanes, count) - units0()); }

  // Initial states into the series, and what is drawn once a sequence.
  void begin() {
    const auto fill = [&](T* to, const T* from, long count, long padded) {
      for (long row = 0; row < d_.steps->batch; ++row) {
        T* at = to + row * padded + units0();
        std::fill(at, to + row * padded + std::min(padded, part_.panel1 * d_.g.lanes), T(0));
        if (from) std::copy_n(from + d_.batch_row(row) * count + units0(), units(count), at);
      }
    };
    fill(d_.h_at(0), d_.h0, d_.recurrent, d_.padded_recurrent);
    if (d_.lstm()) fill(c_at(0), d_.c0, d_.g.hidden, d_.g.padded());
    for (long row = 0; row < d_.steps->batch; ++row)
      if (d_.length(row) == 0) write_final(row, 0);
    if (d_.masked_h.data()) {
      for (long row = 0; row < d_.steps->batch; ++row)
        dropout_row(d_.mask.data() + row * d_.padded_recurrent, static_cast<int>(d_.recurrent),
                    d_.config->recurrent_dropout, d_.seed, kRecurrentDropout, d_.layer, d_.direction, 0,
                    d_.batch_row(row));
      mask_h(0, d_.steps->batch);
    }
    if (d_.x_copy.data() && d_.training) copy_x(0, d_.steps->count);
  }

  // Zoneout masks of the steps [first, last).
  void draw_zones(long first, long last) {
    const auto draw = [&](T* out, long count, double rate, int purpose, long step, long row) {
      zoneout_row(out, static_cast<int>(count), rate, d_.seed, purpose, d_.layer, d_.direction, step,
                  d_.batch_row(row));
    };
    for (long step = first; step < last; ++step) {
      for (long row = 0; row < d_.rows(step); ++row) {
        if (d_.zone_h.data())
          draw(d_.zone_h_at(step) + row * d_.padded_recurrent, d_.recurrent, d_.config->zone_h, kZoneoutH, step, row);
        if (d_.zone_c.data())
          draw(d_.zone_c_at(step) + row * d_.g.padded(), d_.g.hidden, d_.config->zone_c, kZoneoutC, step, row);
      }
    }
  }

  // x in processing order, dropped out, for the steps [first, last). By units the rows are shared out afresh.
  void copy_x(long first, long last) {
    const Range all = part_.by_units ? share(d_.steps->batch, group_.rank(), group_.size()) : Range{0, d_.steps->batch};
    std::vector<T> fresh(
        d_.sampling && d_.config->interlayer_dropout > 0 && d_.layer > 0 ? static_cast<std::size_t>(d_.input) : 0);
    for (long step = first; step < last; ++step) {
      for (long row = all.first; row < std::min(all.last, d_.rows(step)); ++row) {
        const long n = d_.batch_row(row), time = d_.input_time(row, step);
        const T* from = d_.x.data + n * d_.x.row + time * d_.x.step;
        T* to = const_cast<T*>(d_.x_at(step)) + row * d_.input;
        if (d_.x.element == 1) {
          copy_short(from, d_.input, to);
        } else {
          for (long i = 0; i < d_.input; ++i) to[i] = from[i * d_.x.element];
        }
        if (d_.dropout_mask.data()) {
          const T* mask = d_.dropout_mask.data() + row * d_.input;
          for (long i = 0; i < d_.input; ++i) to[i] *= mask[i];
        }
        if (fresh.empty()) continue;
        dropout_row(fresh.data(), static_cast<int>(d_.input), d_.config->interlayer_dropout, d_.seed,
                    kInterlayerDropout, d_.layer, 0, time, n);
        for (long i = 0; i < d_.input; ++i) to[i] *= fresh[static_cast<std::size_t>(i)];
      }
    }
  }

  // The masked state after `state` steps, for its first `active` rows.
  void mask_h(long state, long active) {
    for (long row = 0; row < active; ++row) {
      const T* h = d_.h_at(state) + row * d_.padded_recurrent;
      const T* mask = d_.mask.data() + row * d_.padded_recurrent;
      T* out = d_.masked_h_at(state) + row * d_.padded_recurrent;
      for (long j = units0(); j < units0() + units(d_.padded_recurrent); ++j) out[j] = h[j] * mask[j];
    }
  }

  void input_products(long first, long last) {
    if (d_.x_copy.data() && !d_.training) copy_x(first, last);
    if (part_.by_units && d_.x_copy.data() && !d_.training) group_.meet();
    if (d_.sampling) draw_zones(first, last);
    const bool normal = d_.config->layer_norm;
    if (d_.steps->batch < k_.tile_rows && !d_.steps->ragged && !normal) {
      over_time(first, last);
    } else {
      for (long step = first; step < last; ++step) {
        const long rows = d_.rows(step);
        if (rows <= 0) break;
        T* gates = normal ? d_.normal_in.normal.data() + d_.step_rows(step) * d_.g.panels * d_.g.in.slots() * d_.g.lanes
                          : gates_at(step);
        gate_product(d_, d_.weights->in, d_.g.in, part_, d_.laid_rows(step), rows, d_.x_at(step), d_.x_row(), gates,
                     normal, normal ? Start::kZero : Start::kBias, d_.weights->bias.data());
        if (normal) normalise(d_.normal_in, d_.g.in, step, d_.weights->scale_in, d_.weights->bias, false);
      }
    }
    if (d_.config->cell == kGru && !normal) fill_u(first, last);
  }

  // Few rows: the steps of each row make the rows of its product.
  void over_time(long first, long last) {
    const long batch = d_.steps->batch, step_size = d_.g.step(batch);
    for (long row = 0; row < d_.steps->batch; ++row) {
      Product<T> p{};
      const Columns& columns = d_.g.in;
      p.rows = last - first;
      p.vectors = std::max(0l, std::min(part_.panel1, d_.g.whole()) - part_.panel0) * columns.slots();
      p.panel_vectors = d_.weights->in.panel_vectors;
      p.blocks = 1, p.depth = d_.input;
      p.a = d_.x_at(first) + row * d_.x_row(), p.a_row = d_.x_step();
      p.b_panel = d_.weights->in.panel_size();
      p.b = d_.weights->in.data.data() + part_.panel0 * columns.slots() / p.panel_vectors * p.b_panel;
      p.c = gate_at(d_.g, gates_at(first), batch, part_.panel0, row) + columns.slot * d_.g.lanes;
      p.c_row = step_size;
      p.c_panel = d_.g.row_major ? p.panel_vectors * d_.g.lanes : d_.g.panel(batch);
      p.start = d_.weights->bias.data() + part_.panel0 * columns.slots() * d_.g.lanes;
      p.start_panel = p.panel_vectors * d_.g.lanes;
      if (p.vectors > 0) k_.multiply(p);
      if (part_.panel1 <= d_.g.whole()) continue;
      p.vectors = p.panel_vectors = d_.g.tail_vectors(), p.b = d_.weights->in.tail.data();
      p.c = gate_at(d_.g, gates_at(first), batch, d_.g.whole(), row), p.start = d_.weights->bias_tail.data();
      k_.multiply(p);
    }
  }

  // GRU: slot u starts from its bias; in the tail, too, whatever zero weights made of an infinite input.
  void fill_u(long first, long last) {
    for (long step = first; step < last; ++step) {
      const long rows = d_.rows(step);
      for (long panel = part_.panel0; panel < std::min(part_.panel1, d_.g.whole()); ++panel) {
        T* u = gate_at(d_.g, gates_at(step), d_.laid_rows(step), panel, 0) + 3 * d_.g.lanes;
        for (long row = 0; row < rows; ++row)
          copy_short(d_.weights->bias_u.data() + panel * d_.g.lanes, d_.g.lanes, u + row * d_.g.row());
      }
      if (part_.panel1 <= d_.g.whole()) continue;
      const long tail = d_.g.tail;
      T* u = gate_at(d_.g, gates_at(step), d_.laid_rows(step), d_.g.whole(), 0) + 3 * tail;
      for (long row = 0; row < rows; ++row)
        copy_short(d_.weights->bias_tail.data() + 3 * tail, tail, u + row * d_.g.tail_row());
    }
  }

  void normalise(NormalSeries<T>& series, const Columns& columns, long step, const Buffer<T>& scale,
                 const Buffer<T>& shift, bool add) {
    const std::vector<Group> groups = groups_of(*d_.config, d_.g, columns);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      Normalise<T> n = normalise_arguments(d_, series, columns, groups[i], i, step, scale);
      n.shift = shift.data() + groups[i].slot * d_.g.lanes;
      n.add = add && columns.slot + groups[i].slot != 3;  // a GRU's slot u has no input part
      if (d_.lstm()) n.add = add;
      k_.normalise(n);
    }
  }

  void recurrent_product(const PackedMatrix<T>& matrix, const Columns& columns, NormalSeries<T>& series,
                         const Buffer<T>& scale, const Buffer<T>& shift, long step, const T* a, long a_row) {
    const long laid = d_.laid_rows(step), rows = d_.rows(step);
    if (!d_.config->layer_norm) {
      gate_product<T>(d_, matrix, columns, part_, laid, rows, a, a_row, gates_at(step), false, Start::kGates, nullptr);
      return;
    }
    T* own = series.normal.data() + d_.step_rows(step) * d_.g.panels * columns.slots() * d_.g.lanes;
    gate_product<T>(d_, matrix, columns, part_, laid, rows, a, a_row, own, true, Start::kZero, nullptr);
    normalise(series, columns, step, scale, shift, true);
  }

  // What the cell reads and writes for the unit vectors [panel0, panel1).
  CellArrays<T> cell_arrays(long step, long panel0, long panel1) {
    const long laid = d_.laid_rows(step), unit = panel0 * d_.g.lanes, padded = d_.g.padded();
    CellArrays<T> a{};
    a.rows = d_.rows(step), a.panels = panel1 - panel0;
    a.gates = gate_at(d_.g, gates_at(step), laid, panel0, 0), a.gates_row = d_.g.row(panel0),
    a.gates_panel = d_.g.panel(laid), a.tail = d_.g.tail;
    a.h_prev = d_.h_at(step) + unit, a.h_prev_row = d_.padded_recurrent;
    a.h = d_.output.data() ? d_.output_at(step) + unit : d_.h_at(step + 1) + unit;
    a.h_row = d_.output.data() ? padded : d_.padded_recurrent;
    a.c_row = padded;
    if (d_.lstm()) a.c_prev = c_at(step) + unit, a.c = c_at(step + 1) + unit;
    if (d_.zone_c.data()) a.zone_c = d_.zone_c_at(step) + unit, a.zone_row = padded;
    if (d_.mask.data()) a.mask = d_.mask.data() + unit, a.mask_row = d_.padded_recurrent;
    if (d_.reset_h.data()) a.reset_h = d_.reset_h_at(step) + unit, a.reset_h_row = padded;
    if (d_.fresh.data()) a.fresh = d_.fresh.data() + unit, a.fresh_row = padded;
    if (d_.normal_c.normal.data()) a.normal = d_.normal_c_at(step) + unit;
    return a;
  }

  void step(long step) {
    const long rows = d_.rows(step);
    if (rows > 0) {
      if (d_.plain() && !d_.config->layer_norm) {
        plain_step(step, rows);
      } else {
        general_step(step);
      }
      if (d_.output.data()) project(step, rows);
      if (d_.zones_h()) zone_h(step, rows);
      if (d_.masked_h.data()) mask_h(step + 1, rows);
      write_y(step, rows);
    }
  }

  // A few panels at a time, so that the cell finds the sums in the first-level cache; on odd steps from the last to the
  // first, so that weights which do not all fit the second-level cache are found there in part.
  void plain_step(long step, long rows) {
    if (rows == 1 && !d_.g.tail && k_.cells[d_.config->cell].one_row) {
      row_step(step);
      return;
    }
    const long panel_size = rows * d_.g.slots * d_.g.lanes * static_cast<long>(sizeof(T));
    const long granule = d_.g.granule();
    const long most = rows == 1 ? kPanelsOfOneRow : 16384 / panel_size;
    const long together = std::max(granule, most / granule * granule);
    const T* h = d_.product_h_at(step);
    const long groups = (part_.panel1 - part_.panel0 + together - 1) / together;
    for (long i = 0; i < groups; ++i) {
      const long panel = part_.panel0 + (step % 2 ? groups - 1 - i : i) * together;
      Part some = part_;
      some.panel0 = panel, some.panel1 = std::min(part_.panel1, panel + together);
      gate_product<T>(d_, d_.weights->rec, d_.g.rec, some, d_.laid_rows(step), rows, h, d_.padded_recurrent,
                      gates_at(step), false, Start::kGates, nullptr);
      plain_cell(step, some.panel0, some.panel1);
    }
  }

  void plain_cell(long step, long panel0, long panel1) {
    const CellKernels<T>& cell = k_.cells[d_.config->cell];
    const long whole = std::min(panel1, d_.g.whole());
    if (panel0 < whole) cell.forward(cell_arrays(step, panel0, whole));
    if (panel1 > whole) cell.tail_forward(cell_arrays(step, whole, panel1));
  }

  // Products and cell of a single row.
  void row_step(long step) {
    const PackedMatrix<T>& w = d_.weights->rec;
    const long laid = d_.laid_rows(step), unit = units0();
    T* const gates = gate_at(d_.g, gates_at(step), laid, part_.panel0, 0);
    RowStep<T> s{};
    s.panels = part_.panel1 - part_.panel0;
    s.start = gates, s.start_u = gates + 3 * d_.g.lanes, s.start_panel = s.start_u_panel = d_.g.panel(laid);
    s.depth = w.depth, s.h_prev = d_.product_h_at(step), s.h_own = d_.h_at(step) + unit;
    s.rec_panel = w.panel_size(), s.rec = w.data.data() + part_.panel0 * s.rec_panel;
    s.h = d_.output.data() ? d_.output_at(step) + unit : d_.h_at(step + 1) + unit;
    if (d_.lstm()) s.c_prev = c_at(step) + unit, s.c = c_at(step + 1) + unit;
    if (d_.training) s.gates = gates, s.gates_panel = s.start_panel;
    s.backwards = step % 2 != 0;
    k_.cells[d_.config->cell].one_row(s);
  }

  void general_step(long step) {
    recurrent_product(d_.weights->rec, d_.g.rec, d_.normal_rec, d_.weights->scale_rec, d_.weights->shift_rec, step,
                      d_.product_h_at(step), d_.padded_recurrent);
    const CellKernels<T>& cell = k_.cells[d_.config->cell];
    const CellArrays<T> a = cell_arrays(step, part_.panel0, part_.panel1);
    const CellOptions<T> options = cell_options(d_, part_.panel0);
    cell.forward_stage1(a, options);
    if (d_.config->cell == kGruBefore)
      recurrent_product(d_.weights->late, d_.g.late, d_.normal_late, d_.weights->scale_late, d_.weights->shift_late,
                        step, d_.reset_h_at(step), d_.g.padded());
    if (a.normal) normalise_cell(step, a);
    if (cell.forward_stage2) cell.forward_stage2(a, options);
  }

  void normalise_cell(long step, const CellArrays<T>& a) {
    Normalise<T> n{};
    n.rows = a.rows, n.panels = d_.g.panels, n.units = d_.g.hidden, n.slots = 1;
    for (long row = 0; row < a.rows; ++row)
      std::copy_n(a.fresh + row * a.fresh_row, d_.g.padded(), a.normal + row * a.fresh_row);
    n.z = a.normal, n.z_row = a.fresh_row, n.z_panel = d_.g.lanes;
    n.deviation = d_.normal_c.deviation.data() + d_.step_rows(step);
    k_.normalise(n);
  }

  void project(long step, long rows) {
    const PackedMatrix<T>& matrix = d_.weights->projection;
    Product<T> p{};
    p.rows = rows, p.vectors = matrix.vectors, p.panel_vectors = matrix.panel_vectors, p.blocks = 1,
    p.depth = matrix.depth;
    p.a = d_.output_at(step), p.a_row = d_.g.padded();
    p.b = matrix.data.data(), p.b_panel = matrix.panel_size();
    p.c = d_.h_at(step + 1), p.c_row = d_.padded_recurrent, p.c_panel = 4 * d_.g.lanes;
    k_.multiply(p);
  }

  void zone_h(long step, long rows) {
    for (long row = 0; row < rows; ++row) {
      const long at = row * d_.padded_recurrent;
      const T *before = d_.h_at(step) + at, *kept = d_.zone_h_at(step) + at;
      T* h = d_.h_at(step + 1) + at;
      for (long j = units0(); j < units0() + units(d_.padded_recurrent); ++j) h[j] += kept[j] * (before[j] - h[j]);
    }
  }

  void write_y(long step, long rows) {
    const T* h = d_.h_at(step + 1) + units0();
    const long count = units(d_.recurrent);
    if (d_.y.data) {
      T* y = d_.y.data + units0();
      for (long row = 0; row < rows; ++row)
        copy_short(h + row * d_.padded_recurrent, count,
                   y + d_.batch_row(row) * d_.y.row + d_.output_time(row, step) * d_.y.step);
    }
    if (!d_.steps->ragged && step + 1 < d_.steps->count) return;
    for (long row = 0; row < rows; ++row)
      if (step + 1 == d_.length(row)) write_final(row, step + 1);
  }

  void write_final(long row, long state) {
    const long n = d_.batch_row(row);
    if (d_.hn)
      std::copy_n(d_.h_at(state) + row * d_.padded_recurrent + units0(), units(d_.recurrent),
                  d_.hn + n * d_.recurrent + units0());
    if (d_.cn)
      std::copy_n(c_at(state) + row * d_.g.padded() + units0(), units(d_.g.hidden), d_.cn + n * d_.g.hidden + units0());
  }

  Team& group_;
  Direction<T>& d_;
  const Kernels<T>& k_;
  const Part part_;
};

}  // namespace

template <class T>
void forward(Team& group, Direction<T>& d) {
  Forward<T>(group, d).run();
}

template void forward(Team&, Direction<float>&);
template void forward(Team&, Direction<double>&);

}  // namespace recurra
