// Recurrent layers into operations: the weights as nn/pack.cc packs them.
#include <cstdio>

#include "kernels/narrow.h"
#include "nn/packed_matrix.h"
#include "runtime/builder.h"

namespace recurra {
namespace {

// The layer's options, as recurra/layers/_options.py translates them.
Config config_of(const Settings& s, CellKind cell, long input, bool bidirectional) {
  Config c;
  c.cell = cell;
  c.input = input;
  c.hidden = s.integer("units", 0, 1, kMostWidth);
  if (!s["units"].present()) s.damaged("units", "an integer");
  c.layers = s.integer("num_layers", 1, 1, 1024);
  c.bidirectional = bidirectional || s.flag("bidirectional", false);
  c.go_backwards = s.flag("go_backwards", false);
  c.bias = s.flag("use_bias", true);
  c.projection = cell == kLstm ? s.integer("proj_size", 0, 0, c.hidden) : 0;
  c.peepholes = cell == kLstm && s.flag("use_peepholes", false);
  c.coupled = cell == kLstm && s.flag("input_forget", false);
  c.layer_norm = s.flag("layer_norm", false);
  c.clip = s.number("clip", 0, 0, 1e30);
  c.cell_clip = cell == kLstm ? s.number("cell_clip", 0, 0, 1e30) : 0;
  c.activation = s.activation("activation", "tanh", nullptr);
  if (cell != kRnn) c.gate_activation = s.activation("recurrent_activation", "sigmoid", nullptr);
  if (cell == kLstm)
    c.output_activation = s.activation(s["output_activation"].is_null() ? s["activation"] : s["output_activation"],
                                       "output_activation", "tanh", nullptr);
  if (cell == kGru && !s.flag("reset_after", true)) c.cell = kGruBefore;
  const Json zoneout = s["zoneout"];
  if (zoneout.is_array()) {
    double* rates[] = {&c.zone_h, &c.zone_c};
    int i = 0;
    for (JsonEntries entries(zoneout); entries.next(); ++i)
      if (i >= 2 || !entries.value.get(rates[i])) s.damaged("zoneout", "one or two rates");
  } else {
    c.zone_h = s.number("zoneout", 0, 0, 1);
    if (cell == kLstm) c.zone_c = c.zone_h;
  }
  if (cell != kLstm) c.zone_c = 0;
  return c;
}

// One layer in one direction on its way into an operation.
template <class T>
class Direction {
 public:
  Direction(Builder<T>& b, const Settings& s, const char* prefix, const Config& c, long layer, bool reverse)
      : b_(b), l_(b.loading), s_(s), prefix_(prefix), c_(c), layer_(layer), reverse_(reverse) {}

  bool add(bool sequences, long state_index) {
    const long units = c_.hidden, recurrent = c_.recurrent(), rows = c_.gates() * units, input = b_.plan.here.width;
    const T* const weight_ih = weight("weight_ih", rows, input);
    const T* const weight_hh = weight("weight_hh", rows, recurrent);
    if (!l_.good()) return false;
    op_ = b_.template add<RecurrentOp<T>>(run_recurrent<T>, recurrent);
    if (!op_) return false;
    op_->k = &kernels();
    op_->c = c_, op_->sequences = sequences;
    op_->g = geometry_of(c_, op_->k->lanes);
    op_->padded_recurrent = padded_to(recurrent, op_->g.lanes);
    op_->in_weights = gates(weight_ih, input, g().in);
    op_->rec_weights = gates(weight_hh, recurrent, g().rec);
    if (g().late.slots()) op_->late_weights = gates(weight_hh, recurrent, g().late);
    if (c_.projection)
      op_->projection = b_.pack(weight("weight_hr", recurrent, units), units, op_->padded_recurrent / g().lanes, 4,
                                g().lanes, [recurrent](long column) { return column < recurrent ? column : -1; });
    add_biases(rows);
    if (c_.peepholes) add_peepholes();
    if (c_.layer_norm) add_norms(rows);
    add_options();
    add_states(state_index);
    add_scratch();
    add_row_step();
    return l_.good();
  }

 private:
  const Geometry& g() const { return op_->g; }

  // Those of half as wide vectors where these pay; layer normalisation sums lane by lane, so its bits
  // depend on the width: always the widest.
  const InferenceKernels<T>& kernels() const {
    const InferenceKernels<T>&wide = b_.tables.wide, &narrow = b_.tables.narrow;
    if (narrow.lanes == 0 || c_.layer_norm) return wide;
    return narrow_pays(c_.hidden, wide.lanes, narrow.lanes, b_.tables.gain) ? narrow : wide;
  }

  const T* weight(const char* name, long rows, long columns = 0) {
    char whole[64];
    std::snprintf(whole, sizeof whole, "%s_l%ld%s", name, layer_, reverse_ ? "_reverse" : "");
    return l_.template weight<T>(prefix_, whole, rows, columns);
  }

  Packed<T> gates(const T* weight, long depth, const Columns& columns) {
    const long panel_vectors = g().row_major ? 4 : columns.slots();
    return b_.pack(weight, depth, g().panels * columns.slots(), panel_vectors, g().lanes, GateRow{g(), columns});
  }
  // A vector parameter laid out like the columns of a product: the sum of both, absent ones zero.
  T* columns_of(const Columns& columns, const T* a, const T* b) {
    const long count = g().panels * columns.slots() * g().lanes;
    T* const out = l_.template take<T>(count);
    const GateRow source{g(), columns};
    for (long i = 0; out && i < count; ++i) {
      const long row = source(i);
      if (row >= 0) out[i] = (a ? a[row] : T(0)) + (b ? b[row] : T(0));
    }
    return out;
  }

  void add_biases(long rows) {
    const T* const ih = c_.bias ? weight("bias_ih", rows) : nullptr;
    const T* const hh = c_.bias ? weight("bias_hh", rows) : nullptr;
    if (c_.layer_norm) {
      op_->norm_in.shift = columns_of(g().in, ih, nullptr);
      op_->norm_rec.shift = columns_of(g().rec, hh, nullptr);
      if (g().late.slots()) op_->norm_late.shift = columns_of(g().late, hh, nullptr);
      return;
    }
    T* const bias = columns_of(g().in, ih, hh);
    op_->bias = bias;
    if (c_.cell != kGru) return;
    const Columns n{0, {2}};
    op_->bias_u = columns_of(n, hh, nullptr);
    const T* const only_input = columns_of(n, ih, nullptr);
    for (long i = 0; bias && only_input && i < g().padded(); ++i)  // slot n: c_n stays inside r * (...)
      bias[i / g().lanes * 3 * g().lanes + i % g().lanes] = only_input[i];
  }

  void add_norms(long rows) {
    const T* const in = weight("weight_ln_ih", rows);
    const T* const rec = weight("weight_ln_hh", rows);
    op_->norm_in.scale = columns_of(g().in, in, nullptr);
    op_->norm_rec.scale = columns_of(g().rec, rec, nullptr);
    if (g().late.slots()) op_->norm_late.scale = columns_of(g().late, rec, nullptr);
    if (c_.cell != kLstm) return;
    op_->options.norm_scale = b_.pad(weight("weight_ln_c", c_.hidden), c_.hidden, g().padded());
    op_->options.norm_shift = b_.pad(weight("bias_ln_c", c_.hidden), c_.hidden, g().padded());
  }

  void add_peepholes() {
    const long kinds = c_.coupled ? 2 : 3, units = c_.hidden;
    const T* const p = weight("weight_ph", kinds * units);
    if (!p) return;
    op_->options.peephole_i = b_.pad(p, units, g().padded());
    op_->options.peephole_f = b_.pad(c_.coupled ? nullptr : p + units, units, g().padded());
    op_->options.peephole_o = b_.pad(p + (kinds - 1) * units, units, g().padded());
  }

  void add_options() {
    CellOptions<T>& o = op_->options;
    o.gate = c_.gate_activation, o.candidate = c_.activation, o.output = c_.output_activation;
    o.clip = static_cast<T>(c_.clip), o.cell_clip = static_cast<T>(c_.cell_clip), o.coupled = c_.coupled;
    if (c_.zone_c == 0) return;
    T* const zone = l_.template take<T>(g().padded());
    for (long i = 0; zone && i < g().padded(); ++i) zone[i] = static_cast<T>(c_.zone_c);
    op_->zone_c = zone;
  }

  // The learned initial states h0 [L * D, R] and c0 [L * D, H] are read once, by the first direction.
  void add_states(long index) {
    const T *h0 = nullptr, *c0 = nullptr;
    if (initial_h) h0 = b_.pad(initial_h + index * c_.recurrent(), c_.recurrent(), op_->padded_recurrent);
    if (initial_c) c0 = b_.pad(initial_c + index * c_.hidden, c_.hidden, g().padded());
    char name[32];
    const bool alone = c_.layers == 1;
    std::snprintf(name, sizeof name, alone ? "h" : "h_l%ld", layer_);
    op_->h = b_.add_state(name, c_.recurrent(), op_->padded_recurrent, h0);
    if (c_.cell != kLstm) return;
    std::snprintf(name, sizeof name, alone ? "c" : "c_l%ld", layer_);
    op_->c_state = b_.add_state(name, c_.hidden, g().padded(), c0);
  }

  void add_scratch() {
    long used = 0;
    const long padded = g().padded();
    op_->new_h = b_.scratch(op_->padded_recurrent, &used);
    if (c_.cell == kLstm) op_->new_c = b_.scratch(padded, &used);
    if (c_.projection) op_->unprojected = b_.scratch(padded, &used);
    if (c_.cell == kGruBefore) op_->reset_h = b_.scratch(padded, &used);
    if (c_.cell == kLstm && !c_.plain()) op_->fresh = b_.scratch(padded, &used);
    if (c_.layer_norm) {
      if (c_.cell == kLstm) op_->normal = b_.scratch(padded, &used);
      op_->deviation = b_.scratch(1, &used);
      op_->norm_in.scratch = b_.scratch(padded * g().in.slots(), &used);
      op_->norm_rec.scratch = b_.scratch(padded * g().rec.slots(), &used);
      op_->norm_late.scratch = b_.scratch(padded * g().late.slots(), &used);
    }
    const long gates = padded_width<T>(padded * g().slots);
    if (gates > b_.plan.gates_numbers) b_.plan.gates_numbers = gates;
  }

  void add_row_step() {
    if (!c_.plain() || c_.layer_norm || !op_->k->cells[c_.cell].one_row) return;
    RowStep<T>& s = op_->row;
    s.panels = g().panels;
    s.start = op_->bias, s.start_panel = g().in.slots() * g().lanes, s.start_u = op_->bias_u,
    s.start_u_panel = g().lanes;
    s.inputs = op_->in_weights.depth, s.in = op_->in_weights.data, s.in_panel = op_->in_weights.panel_size();
    s.depth = op_->rec_weights.depth, s.rec = op_->rec_weights.data, s.rec_panel = op_->rec_weights.panel_size();
    op_->direct = !c_.projection && c_.zone_h == 0;
  }

  Builder<T>& b_;
  Loading& l_;
  const Settings& s_;
  const char* const prefix_;
  const Config& c_;
  const long layer_;
  const bool reverse_;
  RecurrentOp<T>* op_ = nullptr;

 public:
  const T *initial_h = nullptr, *initial_c = nullptr;
};

}  // namespace

template <class T>
bool Builder<T>::add_recurrent(const Settings& s, const char* prefix, CellKind cell, bool bidirectional,
                               Merging merging, bool sequences) {
  plan.needs_steps = true;
  if (!plan.here.steps) return s.damaged("return_sequences", "a layer before it that returns sequences");
  const Config c = config_of(s, cell, plan.here.width, bidirectional);
  if (!loading.good()) return false;
  const long states = c.layers * c.directions() * (cell == kLstm ? 2 : 1), first_state = plan.states.count();
  const T *h0 = nullptr, *c0 = nullptr;
  if (s.flag("trainable_initial_state", false)) {
    h0 = loading.weight<T>(prefix, "h0", c.layers * c.directions(), c.recurrent());
    if (cell == kLstm) c0 = loading.weight<T>(prefix, "c0", c.layers * c.directions(), c.hidden);
  }
  for (long layer = 0; layer < c.layers && loading.good(); ++layer) {
    const bool every = layer < c.layers - 1 || sequences;
    const Series from = plan.here;
    Series parts[2];
    for (long direction = 0; direction < c.directions() && loading.good(); ++direction) {
      plan.here = from;
      const bool backward = direction == 1 || (c.go_backwards && layer == 0);
      if (backward) {
        plan.whole = true;
        if (!add<Op<T>>(run_reverse<T>, from.width)) return false;
      }
      Direction<T> one(*this, s, prefix, c, layer, direction == 1);
      one.initial_h = h0, one.initial_c = c0;
      if (!one.add(every, layer * c.directions() + direction)) return false;
      if (direction == 1 && every && !add<Op<T>>(run_reverse<T>, c.recurrent())) return false;
      if (!every) collapse();
      parts[direction] = plan.here;
    }
    if (c.bidirectional && !add_merge(s, merging, parts, 2)) return false;
  }
  for (long i = 0; i < states && s.flag("return_state", false) && loading.good(); ++i) {
    const StateEntry& entry = plan.states[first_state + i];
    loading.add(plan.given, Series{entry.offset, entry.width, false, true, entry.row});
  }
  return loading.good();
}

template bool Builder<float>::add_recurrent(const Settings&, const char*, CellKind, bool, Merging, bool);
template bool Builder<double>::add_recurrent(const Settings&, const char*, CellKind, bool, Merging, bool);

}  // namespace recurra
