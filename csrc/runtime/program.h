// What a loaded model does: a list of operations, each from one series of rows to another.
//
// B rows of a batch, K steps of a call. A series is [K, B, width], the width padded to whole vectors. Where something
// lies is said by the numbers that one row needs before it, so that the same program serves every B:
//     series + B * K' * offset        K' = steps that the memory was laid out for
//     states + B * offset
//     scratch + R * offset            R = rows of the thread: threads are at different operations at the same time
#pragma once
#include <cstdint>

#include "kernels/inference_table.h"

namespace recurra {

// Numbers, so that rows of whole ones keep their alignment.
template <class T>
constexpr long kLine = 64 / static_cast<long>(sizeof(T));
template <class T>
constexpr long padded_width(long width) {
  return (width + kLine<T> - 1) / kLine<T> * kLine<T>;
}

constexpr long kInput = -1;  // the offset that means: the caller's x

// What one call works on. A thread has its own rows of the batch.
template <class T>
struct Frame {
  T* states;
  T* series;
  T* scratch;  // the thread's own: [rows, scratch numbers of the program]
  T* gates;    // likewise: [window, rows, gates numbers of the program]
  T* area;     // of each row of the batch, area_row numbers: null but in a model that has attention
  long area_row;
  long batch;  // B
  long laid;   // K'
  long window;
  long row0, rows;
  long steps;  // K, at most laid
  const T* x;  // [K, B, inputs] of any strides
  long x_row, x_step;
  const int64_t* indices;  // instead of x: integers, strides as those of x
  const int64_t* lengths;  // [B], null: all; counted from the first step of the sequence
  long before;             // steps of the sequence before this call
  long backwards;          // 1: the first step goes through its weights from their end: the step before did not

  bool counts(long step, long row) const { return !lengths || before + step < lengths[row]; }
};

// One operation. Derived ones add what they need; `run` knows which it is.
template <class T>
struct Op {
  void (*run)(const Op&, const Frame<T>&) = nullptr;
  long in = kInput, out = kInput;    // offsets of the series
  long in_width = 0, out_width = 0;  // real numbers of a row
  const InferenceKernels<T>* k = nullptr;

  long in_row(const Frame<T>& f) const { return in == kInput ? f.x_row : padded_width<T>(in_width); }
  const T* input(const Frame<T>& f, long step, long row) const {
    if (in == kInput) return f.x + step * f.x_step + row * f.x_row;
    return f.series + f.batch * f.laid * in + (step * f.batch + row) * padded_width<T>(in_width);
  }
  T* output(const Frame<T>& f, long step, long row) const {
    return f.series + f.batch * f.laid * out + (step * f.batch + row) * padded_width<T>(out_width);
  }
};

// Calls f(step, row, rows) for stretches of rows that lie evenly in input and output.
template <class T, class F>
void each_stretch(const Op<T>& op, const Frame<T>& frame, const F& f) {
  if (frame.rows == frame.batch && (op.in != kInput || frame.steps == 1 || frame.x_step == frame.batch * frame.x_row)) {
    f(0, 0, frame.steps * frame.batch);
    return;
  }
  for (long step = 0; step < frame.steps; ++step) f(step, frame.row0, frame.rows);
}

// Calls f(x, y) for every row, its input and its output.
template <class T, class F>
void each_row(const Op<T>& op, const Frame<T>& frame, const F& f) {
  for (long step = 0; step < frame.steps; ++step)
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row)
      f(op.input(frame, step, row), op.output(frame, step, row));
}

// An operation in its place among the others. One that stands for another call of a shared layer has series and states
// of its own, so far behind those of the first.
template <class T>
struct Call {
  const Op<T>* op;
  long series, states;
  bool once;  // it reads and gives a row for the whole sequence instead of one for every step

  void run(const Frame<T>& frame) const {
    if (series == 0 && states == 0) {
      op->run(*op, frame);
      return;
    }
    Frame<T> own = frame;
    own.series += frame.batch * frame.laid * series, own.states += frame.batch * states;
    op->run(*op, own);
  }
};

// A state that a stream carries.
struct StateEntry {
  long offset;  // numbers of a row before it
  long width;   // real numbers of a row; rows lie `row` numbers apart
  long row;
  const void* initial;  // [width] of T; null: zero
  long layer;
  char name[24];
};

// A layer of the model, as recurra_model_get_layer() tells it.
struct LayerEntry {
  const char* class_name;
  const char* name;
  long inputs, outputs;
};

template <class T>
struct Program {
  Call<T>* calls;
  long count;
  long sequence_count;  // of a model that can step: so many come first, the rest are those that run once
  long inputs, outputs;
  long result;  // offset of the series that holds y; kInput: x itself
  long state_numbers, series_numbers, scratch_numbers, gates_numbers;  // of one row, whole lines
  long area_numbers, area_step_numbers;                                // likewise, the latter for each step
  long vocabulary;                                                     // x is integers below it; 0: x is numbers
};

}  // namespace recurra
