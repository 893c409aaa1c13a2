// The operations of graphs: those that read several series, and those that carry states from layer to layer.
#pragma once
#include "runtime/program.h"

namespace recurra {

// One of several series that an operation reads.
struct Part {
  long place, width;  // kInput among the places
  bool steps;         // else it has one row, which goes with every step

  template <class T>
  const T* read(const Frame<T>& frame, long step, long row) const {
    Op<T> reader;
    reader.in = place, reader.in_width = width;
    return reader.input(frame, steps ? step : 0, row);
  }
};

// One series made of several: a bidirectional layer's two, the inputs of Add or Concatenate.
enum class Merging { kConcat, kSum, kMultiply, kAverage, kSubtract, kMaximum, kMinimum };
template <class T>
struct MergeOp : Op<T> {
  Merging kind = Merging::kConcat;
  long count = 0;
  const Part* parts = nullptr;  // as wide as the output, or 1; all but those of kConcat
};
template <class T>
void run_merge(const Op<T>& op, const Frame<T>& frame);

// y = x.
template <class T>
void run_copy(const Op<T>& op, const Frame<T>& frame);

// y = a state as the last step left it.
template <class T>
struct StateOp : Op<T> {
  long state = 0, row = 0;  // its offset; its rows lie so far apart
};
template <class T>
void run_state(const Op<T>& op, const Frame<T>& frame);

// Puts other layers' outputs in place of the states that a layer starts from.
struct Start {
  Part part;
  long state, row;
};
template <class T>
struct StartOp : Op<T> {
  long count = 0;
  Start* starts = nullptr;
};
template <class T>
void run_start(const Op<T>& op, const Frame<T>& frame);

}  // namespace recurra
