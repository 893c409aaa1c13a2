// Weights in the order in which the kernels read them: gates of the same units side by side, one panel after another.
#pragma once
#include <memory>

#include "kernels/dispatch.h"
#include "nn/packed_matrix.h"

namespace recurra {

// The kernels of a layer. Layer normalisation sums lane by lane, so its bits depend on the width: always the widest.
template <class T>
const Kernels<T>& kernels_of(const Config& c) {
  return c.layer_norm ? kernels<T>() : kernels_for<T>(c.hidden);
}

// One layer and direction.
template <class T>
struct DirectionWeights {
  PackedMatrix<T> in, rec, late, projection;          // forward
  PackedMatrix<T> in_t, rec_t, late_t, projection_t;  // backward
  Buffer<T> bias;                                     // [P][in slots][W]: what the input product starts from
  Buffer<T> bias_u;                                   // GRU: [P][W], c_n
  Buffer<T> bias_tail;                                // [slots][tail]: what all slots of the tail start from
  Buffer<T> scale_in, scale_rec, scale_late;          // layer normalisation, laid out like the columns they scale
  Buffer<T> shift_rec, shift_late;                    // with layer normalisation: the recurrent bias
  Buffer<T> peepholes;                                // [3][P * W]: i, f, o
  Buffer<T> cell_scale, cell_shift;                   // [P * W]
};

template <class T>
struct PackedWeights {
  std::vector<DirectionWeights<T>> directions;  // [L * D]
  bool backward = false;                        // the transposed packings are there
  std::vector<T> source;                        // the weights this was packed from
};

template <class T>
std::shared_ptr<const PackedWeights<T>> pack(const Config& config, const Layout& layout, const T* weights,
                                             bool backward);

}  // namespace recurra
