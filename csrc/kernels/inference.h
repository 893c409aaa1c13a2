// The kernels of trained models, for one instruction set.
#pragma once
#include "kernels/cells_general.h"
#include "kernels/cells_plain.h"
#include "kernels/elementwise.h"
#include "kernels/inference_table.h"
#include "kernels/losses.h"
#include "kernels/normalise.h"
#include "kernels/product.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
InferenceKernels<T> make_inference(const char* name) {
  InferenceKernels<T> k{};
  k.name = name;
  k.lanes = kLanes<T>;
  k.multiply = multiply<T>;
  k.cells[kRnn] = {rnn_forward<T>, rnn_general_forward<T>, nullptr};
  k.cells[kLstm] = {lstm_forward<T>, lstm_forward_stage1<T>, lstm_forward_stage2<T>};
  k.cells[kGru] = {gru_forward<T>, gru_general_forward<T>, nullptr};
  k.cells[kGruBefore] = {nullptr, gru_before_forward_stage1<T>, gru_before_forward_stage2<T>};
  k.normalise = normalise<T>;
  k.activate = activate_rows<T>;
  k.softmax = softmax<T>;
  return k;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
