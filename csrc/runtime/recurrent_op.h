// A recurrent layer of a loaded model, one direction: its weights as packed, and where its series and states lie.
#pragma once
#include "nn/geometry.h"
#include "runtime/program.h"

namespace recurra {

// A matrix [columns, depth] packed as nn/packed_matrix.h lays it out, for products or, without `vectors`, for dots.
template <class T>
struct Packed {
  const T* data = nullptr;
  long depth = 0, vectors = 0, panel_vectors = 4, lanes = 0;
  long panel_size() const { return depth * panel_vectors * lanes; }
};

// Layer normalisation of one product.
template <class T>
struct ProductNorm {
  const T* scale = nullptr;  // laid out like the columns
  const T* shift = nullptr;
  long scratch = 0;
};

template <class T>
struct RecurrentOp : Op<T> {
  Config c;
  Geometry g;
  long padded_recurrent = 0;
  bool sequences = true;  // else the output is the state behind the last step
  Packed<T> in_weights, rec_weights, late_weights, projection;
  const T* bias = nullptr;    // [P][in slots][W]
  const T* bias_u = nullptr;  // GRU: [P][W]
  ProductNorm<T> norm_in, norm_rec, norm_late;
  CellOptions<T> options{};
  RowStep<T> row{};           // a step of a single row, but for what each call has: panels 0 where there is no such way
  bool direct = false;        // nothing comes between the cell and the state
  const T* zone_c = nullptr;  // [P * W], the rate
  long h = 0, c_state = 0;    // offsets of the states
  // offsets in the scratch: h and c of the step before they count, the output before a projection, r * h, the fresh
  // cell state, its normalised form, and a deviation nobody reads
  long new_h = 0, new_c = 0, unprojected = 0, reset_h = 0, fresh = 0, normal = 0, deviation = 0;
};

template <class T>
void run_recurrent(const Op<T>& op, const Frame<T>& frame);

}  // namespace recurra
