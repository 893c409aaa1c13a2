// The body of every instruction set: included by the target_*.cc files, which define RECURRA_TARGET and are compiled
// with its flags.
#pragma once
#include "kernels/cells_general.h"
#include "kernels/cells_plain.h"
#include "kernels/cells_tail.h"
#include "kernels/dots.h"
#include "kernels/inference.h"
#include "kernels/normalise.h"
#include "kernels/probe.h"
#include "kernels/product.h"
#include "kernels/train.h"

#define RECURRA_STRING_OF(x) #x
#define RECURRA_STRING(x) RECURRA_STRING_OF(x)

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
Kernels<T> make_kernels() {
  Kernels<T> k{};
  k.name = RECURRA_STRING(RECURRA_TARGET);
  k.lanes = kLanes<T>;
  k.tile_rows = tile_rows(kVectorRegisters == 16 ? 2 : 4);
  k.multiply = multiply<T>;
  k.dots = dots<T>;
  k.reduce = reduce<T>;
  k.sum_rows = sum_rows<T>;
  CellKernels<T>&rnn = k.cells[kRnn], &lstm = k.cells[kLstm], &gru = k.cells[kGru], &before = k.cells[kGruBefore];
  rnn.forward = rnn_forward<T>, rnn.backward = rnn_backward<T>;
  rnn.forward_stage1 = rnn_general_forward<T>, rnn.backward_stage1 = rnn_general_backward<T>;
  lstm.forward = lstm_forward<T>, lstm.backward = lstm_backward<T>, lstm.one_row = step_one_row<T, LstmRow>;
  lstm.tail_forward = tail<T, LstmTail, true>, lstm.tail_backward = tail<T, LstmTail, false>;
  lstm.forward_stage1 = lstm_forward_stage1<T>, lstm.forward_stage2 = lstm_forward_stage2<T>;
  lstm.backward_stage1 = lstm_backward_stage1<T>, lstm.backward_stage2 = lstm_backward_stage2<T>;
  gru.forward = gru_forward<T>, gru.backward = gru_backward<T>, gru.one_row = step_one_row<T, GruRow>;
  gru.tail_forward = tail<T, GruTail, true>, gru.tail_backward = tail<T, GruTail, false>;
  gru.forward_stage1 = gru_general_forward<T>, gru.backward_stage1 = gru_general_backward<T>;
  before.forward_stage1 = gru_before_forward_stage1<T>, before.forward_stage2 = gru_before_forward_stage2<T>;
  before.backward_stage1 = gru_before_backward_stage1<T>, before.backward_stage2 = gru_before_backward_stage2<T>;
  k.normalise = normalise<T>;
  k.normalise_backward = normalise_backward<T>;
  k.multiply_adds = multiply_adds<T>;
  k.adds_per_round = kProbeChains * kLanes<T>;
  k.read_all = read_all<T>;
  k.train = make_train_kernels<T>();
  return k;
}

// What inference_rows.cc looks for.
InferenceKernels<float> inference_float() { return make_inference<float>(RECURRA_STRING(RECURRA_TARGET)); }
InferenceKernels<double> inference_double() { return make_inference<double>(RECURRA_STRING(RECURRA_TARGET)); }

// What dispatch.cc looks for: one function a target and number type. fused(a, b, c) tells how this target rounds a * b
// - c.
Kernels<float> kernels_float() { return make_kernels<float>(); }
Kernels<double> kernels_double() { return make_kernels<double>(); }
double fused(double a, double b, double c) {
  return fma(broadcast<double>(a), broadcast<double>(b), broadcast<double>(-c))[0];
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
