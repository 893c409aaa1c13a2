// Loads and stores of a last, partial vector, and what is the same for every element: activations, products.
#pragma once
#include "cells/activation.h"
#include "kernels/train_table.h"

namespace recurra {
namespace RECURRA_TARGET {

// The first `count` lanes from memory, `fill` in the others.
template <class T>
static __attribute__((noinline)) Vec<T> load_part(const T* p, long count, T fill) {
  if (fill == 0) return load_first(p, count);
  T lanes[kLanes<T>];
  for (long k = 0; k < kLanes<T>; ++k) lanes[k] = k < count ? p[k] : fill;
  return load(lanes);
}
template <class T>
static __attribute__((noinline)) void store_part(T* p, Vec<T> x, long count) {
  for (long k = 0; k < kLanes<T> && k < count; ++k) p[k] = x[k];
}

// A whole vector where `count` elements are left, or what there is.
template <class T>
RECURRA_INLINE Vec<T> load_upto(const T* p, long count, T fill = 0) {
  return count >= kLanes<T> ? load(p) : load_part(p, count, fill);
}
template <class T>
RECURRA_INLINE void store_upto(T* p, Vec<T> x, long count) {
  if (count >= kLanes<T>) {
    store(p, x);
  } else {
    store_part<T>(p, x, count);
  }
}

template <class T>
void axpy(long count, T a, const T* x, T* y) {
  for (long i = 0; i < count; i += kLanes<T>)
    store_upto(y + i, fma(broadcast(a), load_upto(x + i, count - i), load_upto(y + i, count - i)), count - i);
}

template <class T>
void multiply_elements(long count, const T* a, const T* b, T* product) {
  for (long i = 0; i < count; i += kLanes<T>)
    store_upto(product + i, load_upto(a + i, count - i) * load_upto(b + i, count - i), count - i);
}

template <class T>
void activate_rows(const Activation& activation, long count, const T* x, T* y) {
  for (long i = 0; i < count; i += kLanes<T>)
    store_upto(y + i, activate<T>(activation, load_upto(x + i, count - i)), count - i);
}

template <class T>
void activate_rows_backward(const Activation& activation, long count, const T* y, const T* dy, T* dx) {
  for (long i = 0; i < count; i += kLanes<T>) {
    const Vec<T> slope = activation_gradient<T>(activation, load_upto(y + i, count - i));
    store_upto(dx + i, slope * load_upto(dy + i, count - i), count - i);
  }
}

template <class T>
void select_by_word(long count, const uint32_t* words, uint32_t bound, T below, T otherwise, T* out) {
  for (long i = 0; i < count; ++i) out[i] = words[i] < bound ? below : otherwise;
}

template <class T>
void math(MathFunction function, long count, const T* x, T* y) {
  for (long i = 0; i < count; i += kLanes<T>) {
    const Vec<T> v = load_upto(x + i, count - i);
    const Vec<T> result = function == MathFunction::kExp     ? exp<T>(v)
                          : function == MathFunction::kExpm1 ? expm1<T>(v)
                          : function == MathFunction::kLog   ? log<T>(v)
                          : function == MathFunction::kLog1p ? log1p<T>(v)
                          : function == MathFunction::kTanh  ? tanh<T>(v)
                                                             : sigmoid<T>(v);
    store_upto(y + i, result, count - i);
  }
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
