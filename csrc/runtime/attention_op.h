// Attention over whole sequences, as recurra/layers/attention.py computes it, products and sums in the same order.
#pragma once
#include "runtime/join_ops.h"
#include "runtime/recurrent_op.h"

namespace recurra {

// y[i] = sum over j of softmax(s(q[i], k[j])) v[j]. The operation's input is the queries.
template <class T>
struct AttentionOp : Op<T> {
  Part value, key;
  bool concat = false;  // s = weight * sums . tanh(scale * (q + k)); else scale * q . k
  bool scaled = false;  // by `scale`
  T scale = 1, weight = 1;
  Packed<T> sums;           // [1, features]
  const T* zero = nullptr;  // its bias, a vector
};
template <class T>
void run_attention(const Op<T>& op, const Frame<T>& frame);

// What it needs of a row's area (kernels' vectors are no wider than a line), for each step: a key, a value, a score of
// each query of a block, a sum; and beside that what filling up the steps to whole lines takes.
template <class T>
constexpr long attention_step_numbers(long features, long outputs) {
  return padded_width<T>(features) + padded_width<T>(outputs) + 2 * kLine<T>;
}
template <class T>
constexpr long attention_numbers(long features) {
  return kLine<T> * (padded_width<T>(features) + kLine<T>);
}

}  // namespace recurra
