// What the machine can do at best: loops whose time says how fast multiply-adds and reads are.
#pragma once
#include "simd/vec.h"

namespace recurra {
namespace RECURRA_TARGET {

constexpr int kProbeChains = 12;  // enough to hide the latency of a multiply-add on two units

// rounds * kProbeChains multiply-adds of whole vectors, from registers alone. Returns their sum, to be used somewhere.
template <class T>
__attribute__((noinline)) T multiply_adds(long rounds) {
  Vec<T> s[kProbeChains], a = broadcast<T>(T(0.5));
#pragma GCC unroll 16
  for (int i = 0; i < kProbeChains; ++i) s[i] = broadcast<T>(T(i));
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kProbeChains; ++i) {
      s[i] = fma(s[i], a, a);
      RECURRA_IN_REGISTER(s[i]);
    }
  }
  T sum = 0;
#pragma GCC unroll 16
  for (int i = 0; i < kProbeChains; ++i) sum += s[i][0];
  return sum;
}

// The sum of `count` elements, a multiple of 8 vectors.
template <class T>
__attribute__((noinline)) T read_all(const T* x, long count) {
  Vec<T> s[8]{};
  for (const T* end = x + count; x < end; x += 8 * kLanes<T>) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) s[i] += load(x + i * kLanes<T>);
  }
  T sum = 0;
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sum += s[i][0];
  return sum;
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
