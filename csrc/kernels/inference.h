// The kernels of trained models, for one instruction set.
#pragma once
#include "kernels/cells_general.h"
#include "kernels/cells_plain.h"
#include "kernels/dots.h"
#include "kernels/elementwise.h"
#include "kernels/inference_table.h"
#include "kernels/losses.h"
#include "kernels/normalise.h"
#include "kernels/one_row.h"
#include "kernels/probe.h"
#include "kernels/product.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
InferenceKernels<T> make_inference(const char* name) {
  InferenceKernels<T> k{};
  k.name = name;
  k.lanes = kLanes<T>;
  k.multiply = multiply<T>;
  k.dots = dots<T>;
  k.cells[kRnn] = {rnn_forward<T>, nullptr, rnn_general_forward<T>, nullptr};
  k.cells[kLstm] = {lstm_forward<T>, step_one_row<T, LstmRow>, lstm_forward_stage1<T>, lstm_forward_stage2<T>};
  k.cells[kGru] = {gru_forward<T>, step_one_row<T, GruRow>, gru_general_forward<T>, nullptr};
  k.cells[kGruBefore] = {nullptr, nullptr, gru_before_forward_stage1<T>, gru_before_forward_stage2<T>};
  k.normalise = normalise<T>;
  k.activate = activate_rows<T>;
  k.softmax = softmax<T>;
  k.multiply_adds = multiply_adds<T>;
  k.adds_per_round = kProbeChains * kLanes<T>;
  return k;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
