// Vec: the vector of one instruction set, with the few operations that the language's operators lack.
//
// GCC and Clang vector extensions give + - * / and comparisons; a cell then reads like the paper. This header is
// compiled once per instruction set, inside namespace recurra::RECURRA_TARGET, and includes no header that defines
// inline functions of its own but the compiler's intrinsics.
#pragma once
#include <cstddef>
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define RECURRA_INLINE static inline __attribute__((always_inline))

// IN_REGISTER makes the compiler hold x in a register here instead of reading it from memory at every use. AFTER makes
// it read from `pointer` only once x is there: what is read early takes a register from what is needed.
#if defined(__x86_64__)
#define RECURRA_IN_REGISTER(x) __asm__("" : "+v"(x))
#define RECURRA_AFTER(pointer, x) __asm__("" : "+r"(pointer) : "v"(x))
#else
#define RECURRA_IN_REGISTER(x) __asm__("" : "+w"(x))
#define RECURRA_AFTER(pointer, x) __asm__("" : "+r"(pointer) : "w"(x))
#endif

namespace recurra {
namespace RECURRA_TARGET {

// RECURRA_VECTOR_BYTES: the width, from the instruction set unless the target asks for half of it.
#if !defined(RECURRA_VECTOR_BYTES)
#if defined(__AVX512F__)
#define RECURRA_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define RECURRA_VECTOR_BYTES 32
#else
#define RECURRA_VECTOR_BYTES 16
#endif
#endif
constexpr int kVectorBytes = RECURRA_VECTOR_BYTES;
#if defined(__AVX512VL__) || defined(__aarch64__)
constexpr int kVectorRegisters = 32;
#else
constexpr int kVectorRegisters = 16;
#endif

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef float unaligned __attribute__((vector_size(kVectorBytes), aligned(4)));
  typedef int32_t ints __attribute__((vector_size(kVectorBytes)));  // comparison masks and exponent arithmetic
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef double unaligned __attribute__((vector_size(kVectorBytes), aligned(8)));
  typedef int64_t ints __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
using IntVec = typename VecOf<T>::ints;
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
RECURRA_INLINE Vec<T> broadcast(T x) {
  return x - Vec<T>{};  // not 0 + x, which changes -0 and so costs an addition
}
template <class T>
RECURRA_INLINE Vec<T> load(const T* p) {  // any alignment
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(p);
}
template <class T>
RECURRA_INLINE void store(T* p, Vec<T> x) {  // any alignment
  *reinterpret_cast<typename VecOf<T>::unaligned*>(p) = x;
}
// The first `count` lanes from memory, nothing behind them read; zero in the others.
template <class T>
RECURRA_INLINE Vec<T> load_first(const T* p, long count) {
#if RECURRA_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), p);
#else
  Vec<T> lanes{};
  for (long k = 0; k < kLanes<T> && k < count; ++k) lanes[k] = p[k];
  return lanes;
#endif
}

// fma(a, b, c) = a * b + c: one rounding where the instruction set has it, two on baseline x86-64.
// min and max return the SECOND argument when either is NaN, so a clamp written min(limit, max(-limit, x)) keeps NaN.
#if RECURRA_VECTOR_BYTES == 64
RECURRA_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
RECURRA_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
RECURRA_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm512_min_ps((__m512)a, (__m512)b); }
RECURRA_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm512_max_ps((__m512)a, (__m512)b); }
RECURRA_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_min_pd((__m512d)a, (__m512d)b);
}
RECURRA_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_max_pd((__m512d)a, (__m512d)b);
}
#elif RECURRA_VECTOR_BYTES == 32
RECURRA_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
RECURRA_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
RECURRA_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_min_ps((__m256)a, (__m256)b); }
RECURRA_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_max_ps((__m256)a, (__m256)b); }
RECURRA_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_min_pd((__m256d)a, (__m256d)b);
}
RECURRA_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_max_pd((__m256d)a, (__m256d)b);
}
#else
#if defined(__aarch64__)
RECURRA_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
RECURRA_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
template <class V>
RECURRA_INLINE V fma(V a, V b, V c) {
  return a * b + c;
}
#endif
template <class V>
RECURRA_INLINE V min(V a, V b) {
  return a < b ? a : b;
}
template <class V>
RECURRA_INLINE V max(V a, V b) {
  return a > b ? a : b;
}
#endif

// mask ? a : b, lane by lane; mask is the result of a comparison.
template <class M, class V>
RECURRA_INLINE V select(M mask, V a, V b) {
  return mask ? a : b;
}

template <class V>
RECURRA_INLINE V clamp(V x, V limit) {
  return min(limit, max(-limit, x));
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
