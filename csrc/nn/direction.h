// One layer in one direction over rows of a batch: its sizes, its weights, and where every array of the pass lies.
//
// A batch that is split by rows has a Direction for each part, with memory of its own: two threads that write lines
// side by side cost each other dearly where their cores are far apart, also when neither reads what the other wrote.
// Threads that share the units of one have windows of their own, too, but for h, which they exchange.
//
// Rows are sorted by length (nn/steps.h). Series of states have an entry before the first step and one after each step;
// series of steps have one a step; both hold active rows only. Without training a series is a window: two states, a few
// steps.
#pragma once
#include <cstdint>

#include "base/memory.h"
#include "base/team.h"
#include "nn/pack.h"
#include "nn/steps.h"

namespace recurra {

// A (N, T, F) array of any strides, in elements.
template <class T>
struct View {
  T* data = nullptr;
  long row = 0, step = 0, element = 1;
};

// Layer normalisation of one product: what it normalised, and 1 / deviation of each group.
template <class T>
struct NormalSeries {
  Buffer<T> normal;     // series of steps, laid out as the product's columns
  Buffer<T> deviation;  // [groups][rows of the series]
};

constexpr long kMostParts = 256;  // of a batch: the weight gradients take as many rows at a time, from a part each

// The unit vectors that one thread of a group computes.
struct Part {
  long panel0, panel1;
  bool by_units;  // own units: the group meets after every step
};

// Asks for what the others wrote into [all, all + count): all but [first, last). At once, where a product would find
// one line after the other missing; of more than so many numbers, the arithmetic hides the journey.
constexpr long kMostToSendFor = 8192;
template <class T>
void send_for_others(const T* all, long first, long last, long count) {
  prefetch(all, static_cast<std::size_t>(first) * sizeof(T));
  prefetch(all + last, static_cast<std::size_t>(count - last) * sizeof(T));
}

template <class T>
struct Direction {
  const Config* config;
  const Steps* steps;
  const DirectionWeights<T>* weights;
  const Kernels<T>* kernels;
  Geometry g;
  long layer = 0, direction = 0;
  bool training = false;  // keeps everything that backward needs
  bool sampling = false;  // draws dropout and zoneout
  std::uint64_t seed = 0;
  bool reverse_input = false, reverse_output = false;
  long input = 0, recurrent = 0, padded_recurrent = 0;
  int sharers = 1;     // threads that share the units; 1: one thread has them all
  bool heavy = false;  // a step takes long enough to look for an interruption in each
  long window = 0;     // steps whose gates are computed ahead; without training also the steps that are kept

  // The caller's arrays, of the whole batch in its own order.
  View<const T> x;
  View<T> y;  // data null: nobody asks for the sequence
  const T* h0 = nullptr;
  const T* c0 = nullptr;
  T* hn = nullptr;
  T* cn = nullptr;

  // Series. x_copy only where x cannot be read in place.
  Buffer<T> x_copy, gates, h, c;
  long gates_apart = 0, c_apart = 0;  // without training each sharer has these for itself, so far behind another's
  Buffer<T> output;                   // with a projection: what is projected, a series of steps
  Buffer<T> masked_h, reset_h;        // recurrent dropout: h * mask, a series of states; GRU with reset before: r * h
  Buffer<T> mask, zone_h, zone_c, dropout_mask;
  Buffer<T> fresh;  // [N, P * W], scratch of a step
  NormalSeries<T> normal_in, normal_rec, normal_late, normal_c;

  bool plain() const { return config->plain(); }
  bool lstm() const { return config->cell == kLstm; }
  bool gru() const { return config->cell == kGru || config->cell == kGruBefore; }
  bool zones_h() const { return config->zone_h > 0; }
  long rows(long step) const { return steps->rows[static_cast<std::size_t>(step)]; }
  long length(long row) const { return steps->length[static_cast<std::size_t>(row)]; }
  long batch_row(long row) const { return steps->order[static_cast<std::size_t>(row)]; }

  // Rows that the gates of a step are laid out for; without training every place of the window serves all steps in
  // turn.
  long laid_rows(long step) const { return training ? rows(step) : steps->batch; }

  long step_rows(long step) const {  // rows of a series of steps before this step
    return training ? steps->offset[static_cast<std::size_t>(step)] : step % window * steps->batch;
  }
  long state_rows(long step) const { return training ? steps->state(step) : (step & 1) * steps->batch; }

  T* gates_at(long step) { return gates.data() + g.step(step_rows(step)); }
  T* h_at(long step) { return h.data() + state_rows(step) * padded_recurrent; }
  T* c_at(long step) { return c.data() + state_rows(step) * g.padded(); }
  T* masked_h_at(long step) { return masked_h.data() + state_rows(step) * padded_recurrent; }
  T* output_at(long step) { return output.data() + step_rows(step) * g.padded(); }
  T* reset_h_at(long step) { return reset_h.data() + step_rows(step) * g.padded(); }
  // Without sampling one constant serves all steps.
  T* zone_h_at(long step) { return zone_h.data() + (sampling ? step_rows(step) * padded_recurrent : 0); }
  T* zone_c_at(long step) { return zone_c.data() + (sampling ? step_rows(step) * g.padded() : 0); }
  T* normal_c_at(long step) { return normal_c.normal.data() + step_rows(step) * g.padded(); }
  // The state that enters the recurrent products.
  T* product_h_at(long step) { return masked_h.data() ? masked_h_at(step) : h_at(step); }

  const T* x_at(long step) const {
    return x_copy.data() ? x_copy.data() + step_rows(step) * input
                         : x.data + batch_row(0) * x.row + (reverse_input ? steps->count - 1 - step : step) * x.step;
  }
  long x_row() const { return x_copy.data() ? input : x.row; }
  long x_step() const { return x_copy.data() ? input * steps->batch : reverse_input ? -x.step : x.step; }

  // The time at which sorted row `row` reads its input, or writes its output, in processing step `step`.
  long input_time(long row, long step) const { return reverse_input ? length(row) - 1 - step : step; }
  long output_time(long row, long step) const { return reverse_output ? length(row) - 1 - step : step; }
};

// The options of the general cells, their vector parameters from unit vector `panel` on.
template <class T>
CellOptions<T> cell_options(const Direction<T>& d, long panel) {
  const Config& c = *d.config;
  const DirectionWeights<T>& w = *d.weights;
  CellOptions<T> o{};
  o.gate = c.gate_activation, o.candidate = c.activation, o.output = c.output_activation;
  o.clip = static_cast<T>(c.clip), o.cell_clip = static_cast<T>(c.cell_clip), o.coupled = c.coupled;
  const long unit = panel * d.g.lanes;
  if (c.peepholes) {
    o.peephole_i = w.peepholes.data() + unit;
    o.peephole_f = o.peephole_i + d.g.padded(), o.peephole_o = o.peephole_f + d.g.padded();
  }
  if (w.cell_scale.data()) o.norm_scale = w.cell_scale.data() + unit, o.norm_shift = w.cell_shift.data() + unit;
  return o;
}

// How work is shared out, a matter of speed alone: no bit depends on it. `distance`: how far the cores lie apart, 1
// where they share a cache.

// Whether a thread of its own pays for this direction, and how many can work on it at once with profit.
template <class T>
bool worth_a_thread(const Direction<T>& d, double distance);
template <class T>
int useful_threads(const Direction<T>& d, int threads, double distance);
// Whether so many threads better share a direction by its units than by rows, for which it must be split before.
template <class T>
bool split_by_units(const Direction<T>& d, int threads, double distance);
// What one of the group computes.
template <class T>
Part part_of(const Direction<T>& d, const Team& group);

// Takes memory for the series. Call once, on one thread.
template <class T>
void prepare(Direction<T>& d);

// The three passes; each is called by all threads that share the units, or by one for a part of the batch.
template <class T>
void forward(Team& group, Direction<T>& d);

// Where the gradients of one direction come from and go to.
template <class T>
struct DirectionGradients {
  View<const T> dy;        // data null: zero
  const T* dhn = nullptr;  // [N, R]; null: zero
  const T* dcn = nullptr;
  View<T> dx;        // data null: not wanted. Every active element is written
  View<T> total_dh;  // (N, T, R): the whole gradient of each step's h; data null: not wanted
  T* dh0 = nullptr;
  T* dc0 = nullptr;
  T* weights = nullptr;  // the flat gradient vector: added to
  const ParameterOffsets* offsets = nullptr;

  Buffer<T> dh, dc, carry, zone_carry, dm, product, reset_h;  // scratch of a step, [N, units]
  Buffer<T> projected;                                        // series of steps: gradient of the projected output
  Buffer<T> row_sums, row_sums_in, row_sums_rec, row_sums_late;
  Buffer<T> packed;  // weight gradients in packed order; the first part's serves all
};

template <class T>
void prepare(Direction<T>& d, DirectionGradients<T>& gradients);
// Turns the saved gates and normalised products into their gradients, in place.
template <class T>
void backward(Team& group, Direction<T>& d, DirectionGradients<T>& gradients);
// Of all parts of a batch together.
template <class T>
void prepare_weight_gradients(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& gradients);
template <class T>
void weight_gradients(Team& group, std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& gradients);

}  // namespace recurra
