// The cells with every variant: activations chosen at run time, clips, peepholes, coupled gates, zoneout,
// layer-normalised cell state.
//
// Two stages with room between them for a normalisation over the row or for a product. O is the options struct of the
// call (kernels/table.h, CellOptions); p: its vector parameters at these units.
#pragma once
#include "cells/activation.h"
#include "cells/gates.h"

namespace recurra {
namespace RECURRA_TARGET {

// An activation behind an optional clip, and its derivative taken from its output: zero where the clip was active,
// which shows as an output equal to that of the limit itself.
template <class T>
struct ClippedActivation {
  Activation kind;
  T clip;
  Vec<T> low, high;

  ClippedActivation(const Activation& activation, T limit) : kind(activation), clip(limit) {
    low = clip > 0 ? activate<T>(kind, broadcast<T>(-clip)) : Vec<T>{};
    high = clip > 0 ? activate<T>(kind, broadcast<T>(clip)) : Vec<T>{};
  }
  Vec<T> operator()(Vec<T> x) const { return activate<T>(kind, clip > 0 ? clamp(x, broadcast<T>(clip)) : x); }
  Vec<T> gradient(Vec<T> y) const {
    const Vec<T> d = activation_gradient<T>(kind, y);
    return clip > 0 ? select((y == low) | (y == high), Vec<T>{}, d) : d;
  }
};

// Vector parameters of an LSTM at the units of one vector.
template <class T>
struct LstmParameters {
  bool peepholes, coupled;
  Vec<T> pi, pf, po;
  T cell_clip;
};

template <class T>
struct LstmGeneral {
  ClippedActivation<T> gate, candidate, output;

  // Stage 1: i, f, g from pre-activations, the fresh cell state. o stays a pre-activation.
  Vec<T> state(const LstmParameters<T>& p, Vec<T>& i, Vec<T>& f, Vec<T>& g, Vec<T> c_prev) const {
    i = gate(p.peepholes ? fma(p.pi, c_prev, i) : i);
    f = p.coupled ? one<T>() - i : gate(p.peepholes ? fma(p.pf, c_prev, f) : f);
    g = candidate(g);
    return fresh(p, i, f, g, c_prev);
  }
  static Vec<T> fresh(const LstmParameters<T>& p, Vec<T> i, Vec<T> f, Vec<T> g, Vec<T> c_prev) {
    const Vec<T> c = fma(f, c_prev, i * g);
    return p.cell_clip > 0 ? clamp(c, broadcast<T>(p.cell_clip)) : c;
  }
  // Stage 2: o from its pre-activation; q: the fresh cell state, normalised or not. Returns the output.
  Vec<T> out(const LstmParameters<T>& p, Vec<T>& o, Vec<T> fresh_c, Vec<T> q) const {
    o = gate(p.peepholes ? fma(p.po, fresh_c, o) : o);
    return o * output(q);
  }

  // Backward of stage 2: o becomes the gradient of its pre-activation; returns the gradient of q.
  Vec<T> out_backward(Vec<T>& o, Vec<T> q, Vec<T> dh) const {
    const Vec<T> k = output(q);
    const Vec<T> dq = dh * o * output.gradient(k);
    o = dh * k * gate.gradient(o);
    return dq;
  }
  // Backward of stage 1: d is the whole gradient of the fresh cell state; i, f, g become gradients; returns the
  // gradient of c_prev.
  Vec<T> state_backward(const LstmParameters<T>& p, Vec<T>& i, Vec<T>& f, Vec<T>& g, Vec<T> c_prev, Vec<T> c,
                        Vec<T> d) const {
    if (p.cell_clip > 0) {
      const Vec<T> limit = broadcast<T>(p.cell_clip);
      d = select((c >= limit) | (c <= -limit), Vec<T>{}, d);
    }
    Vec<T> dc_prev = d * f;
    const Vec<T> di = d * (p.coupled ? g - c_prev : g) * gate.gradient(i);
    const Vec<T> df = p.coupled ? Vec<T>{} : d * c_prev * gate.gradient(f);
    g = d * i * candidate.gradient(g);
    i = di;
    f = df;
    if (p.peepholes) dc_prev = fma(p.pf, df, fma(p.pi, di, dc_prev));
    return dc_prev;
  }
};

// GRU and RNN: gates r, z, n as in cells/gru.h with chosen activations.
template <class T>
struct GruGeneral {
  ClippedActivation<T> gate, candidate;

  static Vec<T> mix(Vec<T> n, Vec<T> z, Vec<T> h) { return fma(z, h - n, n); }
  // n, z become gradients; returns the gradient of h past the products.
  Vec<T> mix_backward(Vec<T>& n, Vec<T>& z, Vec<T> h, Vec<T> dh) const {
    const Vec<T> dn = dh * (one<T>() - z) * candidate.gradient(n);
    const Vec<T> carry = dh * z;
    z = dh * (h - n) * gate.gradient(z);
    n = dn;
    return carry;
  }
};

}  // namespace RECURRA_TARGET
}  // namespace recurra
