// Lanes picked from two vectors, and the transposition of blocks of lanes that stand side by side.
#pragma once
#include "simd/vec.h"

namespace recurra {
namespace RECURRA_TARGET {

// 0 ... N - 1 as template arguments (std::integer_sequence would bring a standard header along).
template <int... I>
struct Lanes {};
template <int N, int... I>
struct LanesUpTo : LanesUpTo<N - 1, N - 1, I...> {};
template <int... I>
struct LanesUpTo<0, I...> {
  using type = Lanes<I...>;
};

// Lane k of the result is lane Pick::from(k) of the lanes of a and then those of b.
template <class T, class Pick, int... I>
RECURRA_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b, Lanes<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, Pick::from(I)...);
#else
  return __builtin_shuffle(a, b, IntVec<T>{Pick::from(I)...});
#endif
}
template <class T, class Pick>
RECURRA_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b) {
  return shuffle<T, Pick>(a, b, typename LanesUpTo<kLanes<T>>::type());
}

// The lower, or upper, halves of a and b.
template <int W, bool kUpper>
struct Halves {
  static constexpr int from(int k) { return k + (kUpper ? W / 2 : 0) + (k < W / 2 ? 0 : W / 2); }
};
// The even, or odd, quarters of a and b.
template <int W, bool kOdd>
struct Quarters {
  static constexpr int from(int k) { return (2 * (k / (W / 4)) + (kOdd ? 1 : 0)) * (W / 4) + k % (W / 4); }
};

// v as a matrix of R rows of R blocks of kLanes / R lanes each: transposed.
template <class T>
RECURRA_INLINE void transpose(Vec<T> (&v)[2]) {
  constexpr int W = kLanes<T>;
  const Vec<T> a = v[0], b = v[1];
  v[0] = shuffle<T, Halves<W, false>>(a, b), v[1] = shuffle<T, Halves<W, true>>(a, b);
}
template <class T>
RECURRA_INLINE void transpose(Vec<T> (&v)[4]) {
  constexpr int W = kLanes<T>;
  using Low = Halves<W, false>;
  using High = Halves<W, true>;
  const Vec<T> low0 = shuffle<T, Low>(v[0], v[1]), high0 = shuffle<T, High>(v[0], v[1]);
  const Vec<T> low1 = shuffle<T, Low>(v[2], v[3]), high1 = shuffle<T, High>(v[2], v[3]);
  v[0] = shuffle<T, Quarters<W, false>>(low0, low1), v[1] = shuffle<T, Quarters<W, true>>(low0, low1);
  v[2] = shuffle<T, Quarters<W, false>>(high0, high1), v[3] = shuffle<T, Quarters<W, true>>(high0, high1);
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
