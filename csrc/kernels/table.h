// The function table: what is compiled once per instruction set, and the plain structs its functions take.
//
// Strides are in elements. "vectors" counts vectors of `lanes` columns; a panel is a few vectors that a register tile
// computes together.
#pragma once
#include "base/activation.h"
#include "kernels/train_table.h"

namespace recurra {

// C[r, v] = start[r, v] + sum over blocks b and depth k of A[b, r, k] * B[panel(v), b, k, v], every sum one chain, b
// and k ascending.
template <class T>
struct Product {
  long rows;
  long vectors;        // columns of C, in vectors
  long panel_vectors;  // vectors of a full panel (1 to 4); the last panel may be narrower
  long blocks;
  long depth;
  const T* a;  // [blocks, rows, depth]
  long a_row, a_block;
  const T* b;  // packed: [panel][blocks * depth][vectors of that panel][lanes], a panel every b_panel elements
  long b_panel;
  T* c;  // [rows, panels]
  long c_row, c_panel;
  const T* start;  // where the sums start, laid out with its own strides (bias: start_row = 0); null: zero
  long start_row, start_panel;
};

// C[m, v] += sum over blocks b and rows r of A[b][r, m] * B[b][r, v]; the sum starts at zero and is added to C once.
template <class T>
struct Reduction {
  long columns;  // of A, rows of C
  long vectors;  // of B and C, at most 4
  long blocks;
  const long* rows;   // [blocks]
  const T* const* a;  // [blocks] -> [rows, columns]
  long a_row;
  const T* const* b;  // [blocks] -> [rows, vectors * lanes]
  long b_row;
  T* c;  // [columns, vectors * lanes]
  long c_row;
};

// What one step of a cell reads and writes, for `rows` rows and `panels` consecutive unit vectors. Arrays of units are
// [rows, units], padded to whole vectors; padded units compute harmless values. Every pointer points at the first of
// these rows and units.
template <class T>
struct CellArrays {
  long rows, panels;
  T* gates;  // [panels][rows][slots][lanes]: pre-activations in, activated gates out; gradients after backward
  long gates_row, gates_panel;
  const T* h_prev;  // h of the step before
  long h_prev_row;
  T* h;  // forward: out (the output before projection)
  long h_row;
  const T* c_prev;  // LSTM: cell state before
  T* c;             // LSTM: cell state after
  long c_row;       // of c_prev, c, and dc
  // backward
  const T* dh;  // gradient of h
  long dh_row;
  T* dc;     // LSTM, in: gradient of c; out: gradient of c_prev
  T* carry;  // out: gradient of h_prev that does not pass through the recurrent product (null: cell has none)
  long carry_row;
  // variants (null when absent)
  const T* zone_h;  // [rows, units]: share of h_prev kept
  const T* zone_c;
  long zone_row;
  const T* mask;  // recurrent dropout of h_prev
  long mask_row;
  T* reset_h;  // GRU with reset before: r * h_prev (forward out); its gradient (backward in)
  long reset_h_row;
  T* fresh;        // LSTM: the cell state before zoneout (forward stage 1 to 2); gradient of the normalised cell state
                   // (backward)
  T* normal;       // LSTM with layer normalisation: normalised fresh cell state
  long fresh_row;  // of both
  long tail;       // of the tails' kernels: units that each slot has room for (Geometry::tail)
  T* row_sums;     // backward: per-row sums for vector parameters [kinds][rows, units], kinds row_sums_kind apart
  long row_sums_row, row_sums_kind;
};

// One step of one row through a plain cell: the sums start from `start`, x and then h_prev are multiplied on top, k
// ascending, and the cell follows at once, so that no sum passes through memory. Matrices are packed as for Product, a
// panel every *_panel elements.
template <class T>
struct RowStep {
  long panels;     // unit vectors
  const T* start;  // [panels][slots][lanes], panels start_panel apart: the bias, or what the input gave
  long start_panel;
  const T* start_u;  // GRU: what slot u starts from, panels start_u_panel apart
  long start_u_panel;
  long inputs;      // 0: they are in `start` already
  const T *x, *in;  // [inputs] and its weights
  long in_panel;
  long depth;
  const T *h_prev, *rec;  // [depth], the whole state, and its weights
  long rec_panel;
  const T* h_own;   // GRU: h_prev at the first of these units
  const T* c_prev;  // LSTM
  T* c;
  T* h;      // out; not where h_prev lies
  T* kept;   // out as well, written once every sum has read h_prev, so it may lie there; null: nowhere
  T* gates;  // out, activated, panels gates_panel apart; null: nobody asks for them
  long gates_panel;
  bool backwards;  // from the last panel to the first: weights that the step before read last may still be near
};

// C[r, o] = start[o] + sum over k of A[r, k] * B[o, k]: a vector's lanes summed apart, then the upper half of them
// added to the lower until one is left. For few outputs, which would fill a vector of columns badly.
template <class T>
struct Dots {
  long rows, depth, outputs;
  const T* a;  // [rows, depth]
  long a_row;
  const T* b;      // [outputs][depth, padded with zeros to whole vectors]
  const T* start;  // [outputs]; null: zero
  T* c;            // [rows, outputs]
  long c_row;
};
// Whether dots, with the additions that fold a vector, are the shorter way. The two ways round differently: asked of a
// matrix once, whatever number of rows it meets.
inline bool dots_pay(long depth, long outputs, long lanes) {
  constexpr long kFold = 6;
  return outputs * ((depth + lanes - 1) / lanes + kFold) <= depth * ((outputs + lanes - 1) / lanes);
}

// Options of the general cells; vector parameters point at the first unit of the call.
template <class T>
struct CellOptions {
  Activation gate, candidate, output;  // "recurrent_activation", "activation", "output_activation"
  T clip, cell_clip;                   // 0: none
  bool coupled;                        // f = 1 - i
  const T* peephole_i;                 // null: no peepholes
  const T* peephole_f;
  const T* peephole_o;
  const T* norm_scale;  // layer normalisation of the cell state; null: none
  const T* norm_shift;
};

enum CellKind { kRnn, kLstm, kGru, kGruBefore, kCellKinds };

// One kind of cell: plain (default activations, no variant) in one pass, general in two stages with room between them
// for a normalisation or a product. one_row, the tails, stage2 (forward) and stage1/stage2 (backward) are null where
// the cell has none.
template <class T>
struct CellKernels {
  void (*forward)(const CellArrays<T>&);
  void (*backward)(const CellArrays<T>&);
  void (*one_row)(const RowStep<T>&);
  void (*tail_forward)(const CellArrays<T>&);
  void (*tail_backward)(const CellArrays<T>&);
  void (*forward_stage1)(const CellArrays<T>&, const CellOptions<T>&);
  void (*forward_stage2)(const CellArrays<T>&, const CellOptions<T>&);
  void (*backward_stage1)(const CellArrays<T>&, const CellOptions<T>&);
  void (*backward_stage2)(const CellArrays<T>&, const CellOptions<T>&);
};

// Layer normalisation of a group of gate slots over the real units of a row (Ba, Kiros & Hinton 2016), in place.
template <class T>
struct Normalise {
  long rows, panels, units;  // units: real ones, the rest of the last panel is padding
  long slots;                // vectors of the group in one panel
  T* z;  // [panels][rows][slots][lanes]: in: product; out: normalised. backward: normalised in, gradient out
  long z_row, z_panel;
  T* deviation;    // [rows]: 1 / sqrt(variance + 1e-5); forward out, backward in
  const T* scale;  // [panels][slots][lanes], panels scale_panel apart
  const T* shift;  // null: none
  long scale_panel;
  T* target;  // forward: target (+)= scale * normalised + shift; backward: gradient of target
  long target_row, target_panel;
  bool add;     // forward: add to target
  T* row_sums;  // backward: [rows][panels][slots][lanes] += gradient * normalised
  long row_sums_row;
};

template <class T>
struct Kernels {
  const char* name;
  long lanes;
  long tile_rows;  // rows of the widest register tile
  void (*multiply)(const Product<T>&);
  void (*dots)(const Dots<T>&);
  void (*reduce)(const Reduction<T>&);
  void (*sum_rows)(const Reduction<T>&);  // like reduce with A = 1 and one row of C
  CellKernels<T> cells[kCellKinds];
  void (*normalise)(const Normalise<T>&);
  void (*normalise_backward)(const Normalise<T>&);
  T (*multiply_adds)(long rounds);  // a probe of the machine: rounds * adds_per_round of them
  long adds_per_round;
  T (*read_all)(const T* x, long count);  // another one; count: a multiple of 8 vectors
  TrainKernels<T> train;
};

}  // namespace recurra
