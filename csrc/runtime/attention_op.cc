// Attention, a block of queries at a time.
#include "runtime/attention_op.h"

#include <cstring>

#include "nn/packed_matrix.h"
#include "runtime/layer_ops.h"

namespace recurra {
namespace {

// One row of the batch. Steps beyond its length are no keys, and give zeros as queries.
template <class T>
class Attending {
 public:
  Attending(const AttentionOp<T>& op, const Frame<T>& f, long row)
      : op_(op), f_(f), k_(*op.k), row_(row), steps_(f.steps), padded_(padded_width<T>(f.steps)) {
    length_ = f.lengths ? static_cast<long>(f.lengths[row]) : steps_;
    keys_ = f.area + row * f.area_row;
    values_ = keys_ + padded_ * padded_width<T>(op.in_width);
    scores_ = values_ + steps_ * padded_width<T>(op.out_width);
    column_ = scores_ + kBlock * padded_;
  }

  void run() {
    if (!op_.concat) pack_keys();
    pack_values();
    for (long first = 0; first < length_; first += kBlock) {
      const long queries = first + kBlock < length_ ? kBlock : length_ - first;
      if (op_.concat) {
        for (long i = 0; i < queries; ++i) concat_scores(first + i, scores_ + i * padded_);
      } else {
        dot_scores(first, queries);
      }
      for (long i = 0; i < queries; ++i) weigh(scores_ + i * padded_);
      multiply_packed(values_, op_.out_width, queries, steps_, scores_, padded_, op_.output(f_, first, row_),
                      f_.batch * padded_width<T>(op_.out_width));
    }
    for (long step = length_; step < steps_; ++step)
      std::memset(op_.output(f_, step, row_), 0, static_cast<std::size_t>(op_.out_width) * sizeof(T));
  }

 private:
  static constexpr long kBlock = kLine<T>;  // queries

  const T* query(long step) const { return op_.input(f_, step, row_); }

  void pack_keys() const {
    const long lanes = k_.lanes, depth = op_.in_width;
    each_panel(keys_, depth, padded_to(steps_, lanes) / lanes, 4, lanes,
               [&](T* panel, long stride, long first, long columns) {
                 for (long c = 0; c < columns; ++c) {
                   const T* const key = first + c < length_ ? op_.key.read(f_, first + c, row_) : nullptr;
                   for (long d = 0; d < depth; ++d) panel[d * stride + c] = key ? key[d] : T(0);
                 }
               });
  }

  void pack_values() const {
    const long lanes = k_.lanes, width = op_.out_width;
    each_panel(values_, steps_, padded_to(width, lanes) / lanes, 4, lanes,
               [&](T* panel, long stride, long first, long columns) {
                 const long real = width - first < columns ? width - first : columns;
                 for (long step = 0; step < steps_; ++step, panel += stride) {
                   const T* const value = step < length_ ? op_.value.read(f_, step, row_) + first : nullptr;
                   for (long c = 0; c < columns; ++c) panel[c] = value && c < real ? value[c] : T(0);
                 }
               });
  }

  void multiply_packed(const T* packed, long columns, long rows, long depth, const T* a, long a_row, T* c,
                       long c_row) const {
    Product<T> p{};
    p.rows = rows, p.vectors = padded_to(columns, k_.lanes) / k_.lanes, p.panel_vectors = 4, p.blocks = 1;
    p.depth = depth, p.a = a, p.a_row = a_row, p.b = packed, p.b_panel = depth * 4 * k_.lanes;
    p.c = c, p.c_row = c_row, p.c_panel = 4 * k_.lanes;
    k_.multiply(p);
  }

  void dot_scores(long first, long queries) const {
    const long stride = queries > 1 ? query(first + 1) - query(first) : 0;
    multiply_packed(keys_, steps_, queries, op_.in_width, query(first), stride, scores_, padded_);
    if (!op_.scaled) return;
    for (long i = 0; i < queries; ++i)
      for (long j = 0; j < steps_; ++j) scores_[i * padded_ + j] *= op_.scale;
  }

  void concat_scores(long step, T* scores) const {
    const long width = op_.in_width;
    const T* const q = query(step);
    for (long j = 0; j < length_; ++j) {
      const T* const key = op_.key.read(f_, j, row_);
      T* const sum = keys_ + j * width;
      for (long d = 0; d < width; ++d) sum[d] = op_.scaled ? q[d] * op_.scale + key[d] * op_.scale : q[d] + key[d];
    }
    Activation tanh;
    tanh.kind = ActivationKind::kTanh;
    k_.activate(tanh, length_ * width, keys_, keys_);
    multiply(k_, op_.sums, op_.zero, 1, length_, keys_, width, column_, kLine<T>);
    for (long j = 0; j < length_; ++j) scores[j] = column_[j * kLine<T>] * op_.weight;
  }

  // Scores into weights: none for what is no key.
  void weigh(T* scores) const {
    for (long j = length_; j < steps_; ++j) scores[j] = static_cast<T>(-__builtin_inf());
    k_.softmax(1, steps_, scores, scores);
    for (long j = length_; j < steps_; ++j) scores[j] = T(0);
  }

  const AttentionOp<T>& op_;
  const Frame<T>& f_;
  const InferenceKernels<T>& k_;
  const long row_, steps_, padded_;
  long length_;
  T *keys_, *values_, *scores_,
      *column_;  // packed keys, or sums of a query and all keys; packed values; [kBlock, steps]
};

}  // namespace

template <class T>
void run_attention(const Op<T>& op, const Frame<T>& frame) {
  for (long row = frame.row0; row < frame.row0 + frame.rows; ++row)
    Attending<T>(static_cast<const AttentionOp<T>&>(op), frame, row).run();
}

template void run_attention(const Op<float>&, const Frame<float>&);
template void run_attention(const Op<double>&, const Frame<double>&);

}  // namespace recurra
