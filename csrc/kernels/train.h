// The function table outside the recurrence, for one instruction set.
#pragma once
#include "kernels/elementwise.h"
#include "kernels/losses.h"
#include "kernels/random.h"
#include "kernels/train_table.h"
#include "kernels/updates.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
TrainKernels<T> make_train_kernels() {
  TrainKernels<T> k{};
  fill_updates<T>(k.update);
  k.sum_of_squares = sum_of_squares<T>;
  k.axpy = axpy<T>;
  k.multiply = multiply_elements<T>;
  k.activate = activate_rows<T>;
  k.activate_backward = activate_rows_backward<T>;
  k.softmax = softmax<T>;
  k.softmax_backward = softmax_backward<T>;
  k.squared_error = squared_error<T>;
  k.cross_entropy = cross_entropy<T>;
  k.random_words = random_words;
  k.select_by_word = select_by_word<T>;
  k.math = math<T>;
  return k;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
