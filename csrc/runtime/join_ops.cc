// Joining series, and states that go from layer to layer.
#include "runtime/join_ops.h"

#include <cstring>

namespace recurra {
namespace {

template <class T>
void copy(const T* from, long count, T* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
}

// y = f(y, x); an x of one number goes with all of y.
template <class T, class F>
void combine(const T* x, bool one, long width, T* y, const F& f) {
  if (one) {
    for (long j = 0; j < width; ++j) y[j] = f(y[j], x[0]);
  } else {
    for (long j = 0; j < width; ++j) y[j] = f(y[j], x[j]);
  }
}

// As NumPy compares: what is no number does not come in.
template <class T>
void merge_into(Merging kind, const T* x, bool one, long width, T* y) {
  switch (kind) {
    case Merging::kSum:
    case Merging::kAverage:
      return combine(x, one, width, y, [](T a, T b) { return a + b; });
    case Merging::kMultiply:
      return combine(x, one, width, y, [](T a, T b) { return a * b; });
    case Merging::kSubtract:
      return combine(x, one, width, y, [](T a, T b) { return a - b; });
    case Merging::kMaximum:
      return combine(x, one, width, y, [](T a, T b) { return b > a ? b : a; });
    case Merging::kMinimum:
      return combine(x, one, width, y, [](T a, T b) { return b < a ? b : a; });
    case Merging::kConcat:
      return;
  }
}

}  // namespace

template <class T>
void run_merge(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = static_cast<const MergeOp<T>&>(op);
  const T share = static_cast<T>(1.0 / static_cast<double>(own.count));
  for (long step = 0; step < frame.steps; ++step)
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row) {
      T* y = op.output(frame, step, row);
      long done = 0;
      for (long i = 0; i < own.count; ++i) {
        const Part& part = own.parts[i];
        const T* x = part.read(frame, step, row);
        if (own.kind == Merging::kConcat) {
          copy(x, part.width, y + done);
          done += part.width;
        } else if (i == 0) {
          for (long j = 0; j < op.out_width; ++j) y[j] = x[part.width == 1 ? 0 : j];
        } else {
          merge_into(own.kind, x, part.width == 1, op.out_width, y);
        }
      }
      if (own.kind == Merging::kAverage)
        for (long j = 0; j < op.out_width; ++j) y[j] *= share;
    }
}

template <class T>
void run_copy(const Op<T>& op, const Frame<T>& frame) {
  each_row(op, frame, [&](const T* x, T* y) { copy(x, op.out_width, y); });
}

template <class T>
void run_state(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = static_cast<const StateOp<T>&>(op);
  for (long row = frame.row0; row < frame.row0 + frame.rows; ++row)
    copy(frame.states + frame.batch * own.state + row * own.row, op.out_width, op.output(frame, 0, row));
}

template <class T>
void run_start(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = static_cast<const StartOp<T>&>(op);
  for (long i = 0; i < own.count; ++i) {
    const Start& start = own.starts[i];
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row)
      copy(start.part.read(frame, 0, row), start.part.width,
           frame.states + frame.batch * start.state + row * start.row);
  }
}

#define RECURRA_INSTANTIATE(T)                            \
  template void run_merge(const Op<T>&, const Frame<T>&); \
  template void run_copy(const Op<T>&, const Frame<T>&);  \
  template void run_state(const Op<T>&, const Frame<T>&); \
  template void run_start(const Op<T>&, const Frame<T>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
