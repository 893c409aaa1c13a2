// The operations outside the recurrence. NumPy computes some of these layers in Python; the formulas here take the same
// steps in the same order, so that the bits agree.
#pragma once
#include "runtime/recurrent_op.h"

namespace recurra {

// y = f(W x + b).
template <class T>
struct DenseOp : Op<T> {
  Packed<T> weights;
  const T* bias = nullptr;  // padded
};
// c [rows, c_row] = bias + a W, of `outputs` real numbers.
template <class T>
void multiply(const InferenceKernels<T>& k, const Packed<T>& w, const T* bias, long outputs, long rows, const T* a,
              long a_row, T* c, long c_row);
template <class T>
void run_dense(const Op<T>& op, const Frame<T>& frame);

// y = f(x), f of kernels/table.h.
template <class T>
struct ActivationOp : Op<T> {
  Activation activation;
};
template <class T>
void run_activation(const Op<T>& op, const Frame<T>& frame);
template <class T>
void run_softmax(const Op<T>& op, const Frame<T>& frame);

// y = x above the threshold, slope (x - threshold) below it, at most `most`.
template <class T>
struct ReluOp : Op<T> {
  T threshold, slope, most;
  bool bounded;
};
template <class T>
void run_relu(const Op<T>& op, const Frame<T>& frame);

// A row of the table for each integer; they were checked.
template <class T>
struct EmbeddingOp : Op<T> {
  const T* table = nullptr;  // [vocabulary, padded width]
};
template <class T>
void run_embedding(const Op<T>& op, const Frame<T>& frame);

// y = gamma (x - mean) / sqrt(variance + epsilon) + beta of each row.
template <class T>
struct RowNormOp : Op<T> {
  T epsilon;
  const T* gamma = nullptr;  // null: 1
  const T* beta = nullptr;   // null: 0
};
template <class T>
void run_row_norm(const Op<T>& op, const Frame<T>& frame);

// y = ((x - shift) * factor) * gamma + beta, or (x - shift) / factor, or x * factor + shift. `shift` and `factor` are
// one number each for a layer without an axis.
enum class Affine { kBatch, kDivide, kInvert };
template <class T>
struct AffineOp : Op<T> {
  Affine kind;
  bool one = false;
  const T* shift = nullptr;
  const T* factor = nullptr;
  const T* gamma = nullptr;  // null: 1
  const T* beta = nullptr;   // null: 0
};
template <class T>
void run_affine(const Op<T>& op, const Frame<T>& frame);

// A causal convolution: the last inputs in reach are a state, latest last.
template <class T>
struct ConvOp : Op<T> {
  long taps = 1, dilation = 1, groups = 1;
  const Packed<T>* weights = nullptr;  // [groups]: depth taps * channels of the group
  const T* bias = nullptr;             // [groups][padded filters of the group]
  long window = 0;                     // offset of the state, [B, span - 1, channels]
  long gathered = 0, product = 0;      // offsets in the scratch
  long span() const { return (taps - 1) * dilation + 1; }
};
template <class T>
void run_conv(const Op<T>& op, const Frame<T>& frame);

// Rows whose numbers all equal `value` become zeros.
template <class T>
struct MaskOp : Op<T> {
  T value;
};
template <class T>
void run_mask(const Op<T>& op, const Frame<T>& frame);

// Zeros behind the ends of the rows.
template <class T>
void run_silence(const Op<T>& op, const Frame<T>& frame);

// Each row's steps from its last to its first.
template <class T>
void run_reverse(const Op<T>& op, const Frame<T>& frame);

}  // namespace recurra
