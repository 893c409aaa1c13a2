// The general cells over rows and panels (cells/general.h), in stages.
//
// LSTM  forward: stage 1 writes i, f, g and `fresh`; stage 2 reads `fresh` and, with layer normalisation, `normal`,
// writes o, c, h.
//       backward: stage 1 writes do and the gradient of the (normalised) cell state into `fresh`; stage 2 takes from
//       there the gradient of the fresh cell state.
// GRU   reset before: forward stage 1 writes r, z and reset_h = r * h; stage 2 writes n, h. Backward stage 1 writes dn,
// dz, carry;
//       stage 2 takes the gradient of reset_h.
#pragma once
#include "cells/general.h"
#include "kernels/cells_plain.h"

namespace recurra {
namespace RECURRA_TARGET {

// h' = h~ + kept * (h - h~) where a zoneout mask is given.
template <class T>
RECURRA_INLINE Vec<T> zone(const T* kept, long row, long stride, long unit, Vec<T> fresh, Vec<T> previous) {
  return kept ? fma(load(kept + row * stride + unit), previous - fresh, fresh) : fresh;
}

template <class T>
LstmParameters<T> lstm_parameters(const CellOptions<T>& o, long unit) {
  LstmParameters<T> p{o.peephole_i != nullptr, o.coupled, {}, {}, {}, o.cell_clip};
  if (!p.peepholes) return p;
  p.pi = load(o.peephole_i + unit);
  p.po = load(o.peephole_o + unit);
  if (!p.coupled) p.pf = load(o.peephole_f + unit);
  return p;
}

template <class T>
LstmGeneral<T> lstm_general(const CellOptions<T>& o) {
  return {{o.gate, o.clip}, {o.candidate, o.clip}, {o.output, T(0)}};
}

// Where the slots of i, f, g, o lie; coupled cells have no f.
template <class T>
struct LstmSlots {
  long i, f, g, o;
  explicit LstmSlots(bool coupled)
      : i(0), f(kLanes<T>), g(coupled ? kLanes<T> : 2 * kLanes<T>), o(coupled ? 2 * kLanes<T> : 3 * kLanes<T>) {}
};

template <class T>
void lstm_forward_stage1(const CellArrays<T>& a, const CellOptions<T>& options) {
  const LstmGeneral<T> cell = lstm_general(options);
  const LstmSlots<T> slot(options.coupled);
  each_vector(a, [&](T* gates, long row, long unit) {
    const LstmParameters<T> p = lstm_parameters(options, unit);
    Vec<T> i = load(gates + slot.i), f = p.coupled ? Vec<T>{} : load(gates + slot.f), g = load(gates + slot.g);
    store(a.fresh + row * a.fresh_row + unit, cell.state(p, i, f, g, load(a.c_prev + row * a.c_row + unit)));
    store(gates + slot.i, i);
    if (!p.coupled) store(gates + slot.f, f);
    store(gates + slot.g, g);
  });
}

// q: what the output activation sees.
template <class T>
RECURRA_INLINE Vec<T> lstm_output_input(const CellArrays<T>& a, const CellOptions<T>& o, long row, long unit,
                                        Vec<T> fresh) {
  if (!o.norm_scale) return fresh;
  return fma(load(o.norm_scale + unit), load(a.normal + row * a.fresh_row + unit), load(o.norm_shift + unit));
}

template <class T>
void lstm_forward_stage2(const CellArrays<T>& a, const CellOptions<T>& options) {
  const LstmGeneral<T> cell = lstm_general(options);
  const LstmSlots<T> slot(options.coupled);
  each_vector(a, [&](T* gates, long row, long unit) {
    const LstmParameters<T> p = lstm_parameters(options, unit);
    const Vec<T> fresh = load(a.fresh + row * a.fresh_row + unit);
    Vec<T> o = load(gates + slot.o);
    const Vec<T> h = cell.out(p, o, fresh, lstm_output_input(a, options, row, unit, fresh));
    store(gates + slot.o, o);
    store(a.h + row * a.h_row + unit, h);
    const Vec<T> c_prev = load(a.c_prev + row * a.c_row + unit);
    store(a.c + row * a.c_row + unit, zone(a.zone_c, row, a.zone_row, unit, fresh, c_prev));
  });
}

// The fresh cell state of a step, computed again from its saved gates: the same bits as in the forward pass.
template <class T>
RECURRA_INLINE Vec<T> lstm_fresh(const CellArrays<T>& a, const LstmParameters<T>& p, const LstmSlots<T>& slot,
                                 const T* gates, long row, long unit) {
  const Vec<T> i = load(gates + slot.i), f = p.coupled ? one<T>() - i : load(gates + slot.f);
  return LstmGeneral<T>::fresh(p, i, f, load(gates + slot.g), load(a.c_prev + row * a.c_row + unit));
}

template <class T>
RECURRA_INLINE void add_to(T* at, Vec<T> x) {
  store(at, load(at) + x);
}

// Kinds of row sums, in this order: peepholes i, f, o, then scale and shift of the cell state's normalisation.
enum { kSumPeepholeI, kSumPeepholeF, kSumPeepholeO, kSumNormScale, kSumNormShift };

template <class T>
void lstm_backward_stage1(const CellArrays<T>& a, const CellOptions<T>& options) {
  const LstmGeneral<T> cell = lstm_general(options);
  const LstmSlots<T> slot(options.coupled);
  each_vector(a, [&](T* gates, long row, long unit) {
    const LstmParameters<T> p = lstm_parameters(options, unit);
    const Vec<T> fresh = lstm_fresh(a, p, slot, gates, row, unit);
    Vec<T> o = load(gates + slot.o);
    const Vec<T> dq =
        cell.out_backward(o, lstm_output_input(a, options, row, unit, fresh), load(a.dh + row * a.dh_row + unit));
    store(gates + slot.o, o);
    store(a.fresh + row * a.fresh_row + unit, dq);
    if (!options.norm_scale) return;
    T* sums = a.row_sums + row * a.row_sums_row + unit;
    add_to<T>(sums + kSumNormScale * a.row_sums_kind, dq * load(a.normal + row * a.fresh_row + unit));
    add_to<T>(sums + kSumNormShift * a.row_sums_kind, dq);
  });
}

template <class T>
void lstm_backward_stage2(const CellArrays<T>& a, const CellOptions<T>& options) {
  const LstmGeneral<T> cell = lstm_general(options);
  const LstmSlots<T> slot(options.coupled);
  each_vector(a, [&](T* gates, long row, long unit) {
    const LstmParameters<T> p = lstm_parameters(options, unit);
    const Vec<T> c_prev = load(a.c_prev + row * a.c_row + unit), fresh = lstm_fresh(a, p, slot, gates, row, unit);
    Vec<T> i = load(gates + slot.i), f = p.coupled ? one<T>() - i : load(gates + slot.f), g = load(gates + slot.g);
    const Vec<T> o = load(gates + slot.o);
    Vec<T> dc = load(a.dc + row * a.c_row + unit), kept{};
    if (a.zone_c) {
      kept = load(a.zone_c + row * a.zone_row + unit) * dc;
      dc = dc - kept;
    }
    dc = dc + load(a.fresh + row * a.fresh_row + unit);
    if (p.peepholes) dc = fma(p.po, o, dc);
    const Vec<T> dc_prev = cell.state_backward(p, i, f, g, c_prev, fresh, dc);
    store(a.dc + row * a.c_row + unit, dc_prev + kept);
    store(gates + slot.i, i);
    if (!p.coupled) store(gates + slot.f, f);
    store(gates + slot.g, g);
    if (!p.peepholes) return;
    T* sums = a.row_sums + row * a.row_sums_row + unit;
    add_to<T>(sums + kSumPeepholeI * a.row_sums_kind, i * c_prev);
    if (!p.coupled) add_to<T>(sums + kSumPeepholeF * a.row_sums_kind, f * c_prev);
    add_to<T>(sums + kSumPeepholeO * a.row_sums_kind, o * fresh);
  });
}

// ---- GRU ------------------------------------------------------------------------------------------

template <class T>
GruGeneral<T> gru_general(const CellOptions<T>& o) {
  return {{o.gate, o.clip}, {o.candidate, o.clip}};
}

template <class T>
RECURRA_INLINE Vec<T> masked(const T* mask, long row, long stride, long unit, Vec<T> x) {
  return mask ? load(mask + row * stride + unit) * x : x;
}

template <class T>
void gru_general_forward(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    const Vec<T> h = load(a.h_prev + row * a.h_prev_row + unit);
    const Vec<T> r = cell.gate(load(gates + W)), z = cell.gate(load(gates + 2 * W));
    const Vec<T> n = cell.candidate(fma(r, load(gates + 3 * W), load(gates)));
    store(a.h + row * a.h_row + unit, cell.mix(n, z, h));
    store(gates, n), store(gates + W, r), store(gates + 2 * W, z);
  });
}

template <class T>
void gru_general_backward(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    Vec<T> n = load(gates), z = load(gates + 2 * W);
    const Vec<T> r = load(gates + W), u = load(gates + 3 * W);
    const Vec<T> h = load(a.h_prev + row * a.h_prev_row + unit);
    store(a.carry + row * a.carry_row + unit, cell.mix_backward(n, z, h, load(a.dh + row * a.dh_row + unit)));
    store(gates, n), store(gates + 2 * W, z);
    store(gates + W, n * u * cell.gate.gradient(r)), store(gates + 3 * W, n * r);
  });
}

template <class T>
void gru_before_forward_stage1(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    const Vec<T> h = masked(a.mask, row, a.mask_row, unit, load(a.h_prev + row * a.h_prev_row + unit));
    const Vec<T> r = cell.gate(load(gates + W));
    store(gates + W, r), store(gates + 2 * W, cell.gate(load(gates + 2 * W)));
    store(a.reset_h + row * a.reset_h_row + unit, r * h);
  });
}

template <class T>
void gru_before_forward_stage2(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    const Vec<T> n = cell.candidate(load(gates)), z = load(gates + 2 * W);
    store(gates, n);
    store(a.h + row * a.h_row + unit, cell.mix(n, z, load(a.h_prev + row * a.h_prev_row + unit)));
  });
}

template <class T>
void gru_before_backward_stage1(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    Vec<T> n = load(gates), z = load(gates + 2 * W);
    const Vec<T> h = load(a.h_prev + row * a.h_prev_row + unit);
    store(a.carry + row * a.carry_row + unit, cell.mix_backward(n, z, h, load(a.dh + row * a.dh_row + unit)));
    store(gates, n), store(gates + 2 * W, z);
  });
}

template <class T>
void gru_before_backward_stage2(const CellArrays<T>& a, const CellOptions<T>& options) {
  constexpr long W = kLanes<T>;
  const GruGeneral<T> cell = gru_general(options);
  each_vector(a, [&](T* gates, long row, long unit) {
    const Vec<T> r = load(gates + W), d = load(a.reset_h + row * a.reset_h_row + unit);
    const Vec<T> h = masked(a.mask, row, a.mask_row, unit, load(a.h_prev + row * a.h_prev_row + unit));
    store(gates + W, d * h * cell.gate.gradient(r));
    add_to<T>(a.carry + row * a.carry_row + unit, masked(a.mask, row, a.mask_row, unit, d * r));
  });
}

// ---- RNN ------------------------------------------------------------------------------------------

template <class T>
void rnn_general_forward(const CellArrays<T>& a, const CellOptions<T>& options) {
  const ClippedActivation<T> candidate(options.candidate, options.clip);
  each_vector(a, [&](T* gates, long row, long unit) {
    const Vec<T> h = candidate(load(gates));
    store(a.h + row * a.h_row + unit, h);
    store(gates, h);
  });
}

template <class T>
void rnn_general_backward(const CellArrays<T>& a, const CellOptions<T>& options) {
  const ClippedActivation<T> candidate(options.candidate, options.clip);
  each_vector(a, [&](T* gates, long row, long unit) {
    store(gates, load(a.dh + row * a.dh_row + unit) * candidate.gradient(load(gates)));
  });
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
