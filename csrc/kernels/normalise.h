// Layer normalisation inside a cell (Ba, Kiros & Hinton 2016): y = scale * (z - mean) / sqrt(variance + 1e-5) + shift
// over a group of gate slots of one row. Sums run over the panels in order, lane by lane, then over the lanes in order:
// the same bits for any split.
#pragma once
#include "kernels/table.h"
#include "simd/vec.h"

namespace recurra {
namespace RECURRA_TARGET {

template <class T>
RECURRA_INLINE T sum_lanes(Vec<T> x) {
  T sum = 0;
  for (int lane = 0; lane < kLanes<T>; ++lane) sum += x[lane];
  return sum;
}

// 1 in the lanes of real units of a panel, 0 in its padding.
template <class T>
RECURRA_INLINE Vec<T> real_lanes(const Normalise<T>& a, long panel) {
  const long real = a.units - panel * kLanes<T>;
  Vec<T> mask{};
  for (int lane = 0; lane < kLanes<T>; ++lane) mask[lane] = lane < real ? T(1) : T(0);
  return mask;
}

// Calls f(z, panel, slot) for the vectors of one row, z being the address.
template <class T, class F>
RECURRA_INLINE void each_slot(const Normalise<T>& a, long row, const F& f) {
  for (long panel = 0; panel < a.panels; ++panel)
    for (long slot = 0; slot < a.slots; ++slot)
      f(a.z + panel * a.z_panel + row * a.z_row + slot * kLanes<T>, panel, slot);
}

template <class T>
void normalise(const Normalise<T>& a) {
  const T count = T(a.units * a.slots);
  for (long row = 0; row < a.rows; ++row) {
    Vec<T> sum{}, squares{};
    each_slot(a, row, [&](T* z, long panel, long) { sum = fma(load(z), real_lanes(a, panel), sum); });
    const Vec<T> mean = broadcast<T>(sum_lanes<T>(sum) / count);
    each_slot(a, row, [&](T* z, long panel, long) {
      const Vec<T> d = (load(z) - mean) * real_lanes(a, panel);
      squares = fma(d, d, squares);
      store(z, d);
    });
    const T deviation = T(1) / __builtin_sqrt(sum_lanes<T>(squares) / count + T(1e-5));
    a.deviation[row] = deviation;
    each_slot(a, row, [&](T* z, long panel, long slot) {
      const Vec<T> normal = load(z) * deviation;
      store(z, normal);
      if (!a.target) return;
      T* target = a.target + panel * a.target_panel + row * a.target_row + slot * kLanes<T>;
      const T* shift = a.shift ? a.shift + panel * a.scale_panel + slot * kLanes<T> : nullptr;
      const Vec<T> base = shift ? load(shift) : Vec<T>{};
      const Vec<T> y = fma(load(a.scale + panel * a.scale_panel + slot * kLanes<T>), normal, base);
      store(target, a.add ? load(target) + y : y);
    });
  }
}

// With g = scale * gradient of target: dz = deviation * (g - mean(g) - normal * mean(g * normal)).
template <class T>
void normalise_backward(const Normalise<T>& a) {
  const T count = T(a.units * a.slots);
  for (long row = 0; row < a.rows; ++row) {
    Vec<T> sum{}, products{};
    const auto gradient = [&](long panel, long slot) {
      return load(a.target + panel * a.target_panel + row * a.target_row + slot * kLanes<T>) * real_lanes(a, panel);
    };
    const auto scaled = [&](long panel, long slot) {
      return gradient(panel, slot) * load(a.scale + panel * a.scale_panel + slot * kLanes<T>);
    };
    each_slot(a, row, [&](T* z, long panel, long slot) {
      const Vec<T> g = scaled(panel, slot);
      sum += g;
      products = fma(g, load(z), products);
    });
    const Vec<T> mean = broadcast<T>(sum_lanes<T>(sum) / count), slope = broadcast<T>(sum_lanes<T>(products) / count);
    each_slot(a, row, [&](T* z, long panel, long slot) {
      const Vec<T> normal = load(z);
      if (a.row_sums) {
        T* sums = a.row_sums + row * a.row_sums_row + (panel * a.slots + slot) * kLanes<T>;
        store(sums, fma(gradient(panel, slot), normal, load(sums)));
      }
      store(z, (scaled(panel, slot) - mean - normal * slope) * a.deviation[row] * real_lanes(a, panel));
    });
  }
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
