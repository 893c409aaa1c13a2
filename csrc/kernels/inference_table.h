// The part of the function table that a trained model needs: without what trains, so that a program that links the
// runtime holds little more than this.
#pragma once
#include "kernels/table.h"

namespace recurra {

template <class T>
struct InferenceKernels {
  const char* name;
  long lanes;
  void (*multiply)(const Product<T>&);
  void (*dots)(const Dots<T>&);
  struct Cell {
    void (*plain)(const CellArrays<T>&);  // null: has none
    void (*one_row)(const RowStep<T>&);   // null: has none
    void (*stage1)(const CellArrays<T>&, const CellOptions<T>&);
    void (*stage2)(const CellArrays<T>&, const CellOptions<T>&);  // null: has none
  } cells[kCellKinds];
  void (*normalise)(const Normalise<T>&);
  void (*activate)(const Activation&, long count, const T* x, T* y);
  void (*softmax)(long rows, long columns, const T* x, T* y);
  T (*multiply_adds)(long rounds);  // kernels/narrow.h
  long adds_per_round;
};

// The tables of one instruction set.
template <class T>
struct InferenceTables {
  InferenceKernels<T> wide, narrow;  // narrow: with half as wide vectors, same bits; lanes 0: there is none
  double gain;                       // speed of narrow multiply-adds by that of wide ones
};

// The name of the index-th instruction set that this build and this CPU have, best first; null behind the last.
const char* inference_isa(long index);

// False when there is no such instruction set here.
template <class T>
bool find_inference(const char* isa, InferenceTables<T>* tables);

}  // namespace recurra
