// The part of the function table outside the recurrence: optimizer steps, activations, losses, random words.
//
// Arrays are contiguous, of any alignment; "rows" are [rows, columns]. No function reads or writes beyond its counts.
// Outputs may be the same array as an input (but for cross_entropy), never overlap it otherwise. Every result depends
// on the arguments alone, not on how a caller splits the work.
#pragma once
#include "base/activation.h"
#include "base/philox.h"
#include "kernels/updates_table.h"

namespace recurra {

// Cross-entropy of rows. Exactly one of target and labels is given.
template <class T>
struct CrossEntropy {
  long rows, columns;
  const T* y;             // probabilities or logits
  const T* target;        // [rows, columns]: probabilities
  const int64_t* labels;  // [rows]: numbers of classes, within the columns
  bool from_logits;       // else y is divided by its sum and clipped to [1e-7, 1 - 1e-7], as in Keras
  T scale;                // of the gradient
  T* dy;                  // out: scale * gradient of the row's loss
  double* loss;           // out: [rows]
};

enum class MathFunction { kExp, kExpm1, kLog, kLog1p, kTanh, kSigmoid };
constexpr const char* kMathNames[] = {"exp", "expm1", "log", "log1p", "tanh", "sigmoid"};

template <class T>
struct TrainKernels {
  void (*update[kRuleCount])(const Update<T>&);  // by Rule
  double (*sum_of_squares)(long count, const T* x);
  void (*axpy)(long count, T a, const T* x, T* y);  // y += a x
  void (*multiply)(long count, const T* a, const T* b, T* product);
  void (*activate)(const Activation&, long count, const T* x, T* y);
  void (*activate_backward)(const Activation&, long count, const T* y, const T* dy, T* dx);
  void (*softmax)(long rows, long columns, const T* x, T* y);
  void (*softmax_backward)(long rows, long columns, const T* y, const T* dy, T* dx);
  double (*squared_error)(long count, T scale, const T* y, const T* target,
                          T* dy);  // sum (y - target)^2; dy = scale (y - target)
  void (*cross_entropy)(const CrossEntropy<T>&);
  void (*random_words)(const PhiloxStream&, uint32_t first_block, long count, uint32_t* words);
  void (*select_by_word)(long count, const uint32_t* words, uint32_t bound, T below, T otherwise, T* out);
  void (*math)(MathFunction, long count, const T* x, T* y);  // the functions of simd/math.h
};

}  // namespace recurra
