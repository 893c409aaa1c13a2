// The plain cells over rows and panels: default activations, no variant. One pass, everything in registers.
#pragma once
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "kernels/table.h"

namespace recurra {
namespace RECURRA_TARGET {

// Calls f(gates, row, unit) for every row of every panel; unit is the offset of the panel's first unit.
template <class T, class F>
RECURRA_INLINE void each_vector(const CellArrays<T>& a, const F& f) {
  for (long panel = 0; panel < a.panels; ++panel) {
    T* gates = a.gates + panel * a.gates_panel;
    for (long row = 0; row < a.rows; ++row, gates += a.gates_row) f(gates, row, panel * kLanes<T>);
  }
}

template <class T>
void lstm_forward(const CellArrays<T>& a) {
  constexpr long W = kLanes<T>;
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    Vec<T> i = load(gates), f = load(gates + W), g = load(gates + 2 * W), o = load(gates + 3 * W);
    Vec<T> c = load(a.c_prev + row * a.c_row + unit);
    store(a.h + row * a.h_row + unit, Lstm::forward<T>(i, f, g, o, c));
    store(a.c + row * a.c_row + unit, c);
    store(gates, i), store(gates + W, f), store(gates + 2 * W, g), store(gates + 3 * W, o);
  });
}

template <class T>
void lstm_backward(const CellArrays<T>& a) {
  constexpr long W = kLanes<T>;
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    Vec<T> i = load(gates), f = load(gates + W), g = load(gates + 2 * W), o = load(gates + 3 * W);
    Vec<T> dc = load(a.dc + row * a.c_row + unit);
    Lstm::backward<T>(i, f, g, o, load(a.c_prev + row * a.c_row + unit), load(a.c + row * a.c_row + unit),
                      load(a.dh + row * a.dh_row + unit), dc);
    store(a.dc + row * a.c_row + unit, dc);
    store(gates, i), store(gates + W, f), store(gates + 2 * W, g), store(gates + 3 * W, o);
  });
}

// Slots n, r, z, u.
template <class T>
void gru_forward(const CellArrays<T>& a) {
  constexpr long W = kLanes<T>;
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    Vec<T> n = load(gates), r = load(gates + W), z = load(gates + 2 * W);
    const Vec<T> h = Gru::forward<T>(n, r, z, load(gates + 3 * W), load(a.h_prev + row * a.h_prev_row + unit));
    store(a.h + row * a.h_row + unit, h);
    store(gates, n), store(gates + W, r), store(gates + 2 * W, z);
  });
}

template <class T>
void gru_backward(const CellArrays<T>& a) {
  constexpr long W = kLanes<T>;
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    Vec<T> n = load(gates), r = load(gates + W), z = load(gates + 2 * W), u = load(gates + 3 * W);
    const Vec<T> carry =
        Gru::backward<T>(n, r, z, u, load(a.h_prev + row * a.h_prev_row + unit), load(a.dh + row * a.dh_row + unit));
    store(a.carry + row * a.carry_row + unit, carry);
    store(gates, n), store(gates + W, r), store(gates + 2 * W, z), store(gates + 3 * W, u);
  });
}

template <class T>
void rnn_forward(const CellArrays<T>& a) {
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    const Vec<T> h = Rnn::forward<T>(load(gates));
    store(a.h + row * a.h_row + unit, h);
    store(gates, h);
  });
}

template <class T>
void rnn_backward(const CellArrays<T>& a) {
  each_vector(a, [&](T* gates, long row, long unit) __attribute__((always_inline)) {
    store(gates, Rnn::backward<T>(load(gates), load(a.dh + row * a.dh_row + unit)));
  });
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
