// exp, expm1, log, log1p, tanh and sigmoid of a Vec<float> or Vec<double>, with stated errors.
//
// An ULP is the distance between neighbouring numbers of the type at the exact result. Errors are the largest seen over
// dense samples of the whole range, rounded up; tests/test_math.py uses the same numbers. NaN stays NaN everywhere.
// Coefficients: tools/fit_math.py.
#pragma once
#include "simd/vec.h"

namespace recurra {
namespace RECURRA_TARGET {

// Constants of one number type; polynomials have their lowest power first.
template <class T>
struct MathOf;

template <>
struct MathOf<float> {
  typedef uint32_t Unsigned __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kBias = 127;
  static constexpr int32_t kSignBit = INT32_MIN;
  static constexpr int32_t kMantissaMask = 0x7fffff;
  static constexpr int32_t kSqrtHalfBits = 0x3f3504f3, kOneBits = 0x3f800000;
  static constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer that sits in the low bits
  static constexpr float kLog2E = 1.44269504f;
  static constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.4286068203094172e-06f;
  static constexpr float kExpMin = -104.0f, kExpMax = 89.0f;              // below, exp rounds to 0; above, to inf
  static constexpr float kTiny = 1.17549435e-38f, kUnitUlp = 8388608.0f;  // least normal number; 2^23, where 1 ULP is 1
  static constexpr float kInfinity = __builtin_inff(), kNan = __builtin_nanf("");
  static constexpr float kExp[] = {5.000000000e-01f, 1.666657703e-01f, 4.166655466e-02f, 8.363173075e-03f,
                                   1.392617612e-03f};
  static constexpr float kLog[] = {6.666668504e-01f, 3.998878057e-01f, 2.957994939e-01f};
  static constexpr float kTanhP[] = {1.0f, 1.337971408e-01f, 3.494029961e-03f, 2.058340609e-05f, 1.331897075e-08f};
  static constexpr float kTanhQ[] = {1.0f, 4.671302933e-01f, 2.587105573e-02f, 3.283085326e-04f, 7.761977300e-07f};
  static constexpr float kHalfTanhP[] = {1.0f / 2, 1.337971408e-01f / 8, 3.494029961e-03f / 32, 2.058340609e-05f / 128,
                                         1.331897075e-08f / 512};
  static constexpr float kHalfTanhQ[] = {1.0f, 4.671302933e-01f / 4, 2.587105573e-02f / 16, 3.283085326e-04f / 64,
                                         7.761977300e-07f / 256};
};

template <>
struct MathOf<double> {
  typedef uint64_t Unsigned __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kBias = 1023;
  static constexpr int64_t kSignBit = INT64_MIN;
  static constexpr int64_t kMantissaMask = 0xfffffffffffff;
  static constexpr int64_t kSqrtHalfBits = 0x3fe6a09e667f3bcd, kOneBits = 0x3ff0000000000000;
  static constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLog2E = 1.4426950408889634;
  static constexpr double kLn2High = 0.6931471803691238, kLn2Low = 1.9082149292705877e-10;
  static constexpr double kExpMin = -746.0, kExpMax = 710.0;
  static constexpr double kTiny = 2.2250738585072014e-308, kUnitUlp = 4503599627370496.0;  // least normal number; 2^52
  static constexpr double kInfinity = __builtin_inf(), kNan = __builtin_nan("");
  static constexpr double kExp[] = {5.00000000000000111e-01, 1.66666666666666685e-01, 4.16666666666241636e-02,
                                    8.33333333333006500e-03, 1.38888889171967186e-03, 1.98412698630405450e-04,
                                    2.48015213223686919e-05, 2.75572684803100238e-06, 2.76200758799833672e-07,
                                    2.51003758325612340e-08};
  static constexpr double kLog[] = {6.66666666666666963e-01, 3.99999999998995048e-01, 2.85714286259754868e-01,
                                    2.22222111347950807e-01, 1.81828891252617225e-01, 1.53317216005560419e-01,
                                    1.46164496850434061e-01};
};

template <class T>
RECURRA_INLINE Vec<T> abs(Vec<T> x) {
  using Ints = IntVec<T>;
  return (Vec<T>)((Ints)x & ~(Ints{} + MathOf<T>::kSignBit));
}

// |x| with the sign of s.
template <class T>
RECURRA_INLINE Vec<T> copysign(Vec<T> x, Vec<T> s) {
  using Ints = IntVec<T>;
  const Ints sign = Ints{} + MathOf<T>::kSignBit;
  return (Vec<T>)(((Ints)x & ~sign) | ((Ints)s & sign));
}

template <class T, int count>
RECURRA_INLINE Vec<T> polynomial(const T (&coefficients)[count], Vec<T> x) {
  Vec<T> sum = broadcast<T>(coefficients[count - 1]);
#pragma GCC unroll 16
  for (int k = count - 2; k >= 0; --k) sum = fma(sum, x, broadcast<T>(coefficients[k]));
  return sum;
}

// 2^n, where shifted = n + kMagic and 2^n is a normal number.
template <class T>
RECURRA_INLINE Vec<T> power_of_two(Vec<T> shifted) {
  using M = MathOf<T>;
  return (Vec<T>)(((IntVec<T>)shifted + M::kBias) << M::kMantissaBits);
}

// Square root, correctly rounded.
#if RECURRA_VECTOR_BYTES == 64
RECURRA_INLINE Vec<float> sqrt(Vec<float> x) { return (Vec<float>)_mm512_maskz_sqrt_ps(-1, (__m512)x); }
RECURRA_INLINE Vec<double> sqrt(Vec<double> x) { return (Vec<double>)_mm512_maskz_sqrt_pd(-1, (__m512d)x); }
#elif RECURRA_VECTOR_BYTES == 32
RECURRA_INLINE Vec<float> sqrt(Vec<float> x) { return (Vec<float>)_mm256_sqrt_ps((__m256)x); }
RECURRA_INLINE Vec<double> sqrt(Vec<double> x) { return (Vec<double>)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__SSE2__)
RECURRA_INLINE Vec<float> sqrt(Vec<float> x) { return (Vec<float>)_mm_sqrt_ps((__m128)x); }
RECURRA_INLINE Vec<double> sqrt(Vec<double> x) { return (Vec<double>)_mm_sqrt_pd((__m128d)x); }
#elif defined(__aarch64__)
RECURRA_INLINE Vec<float> sqrt(Vec<float> x) { return (Vec<float>)vsqrtq_f32((float32x4_t)x); }
RECURRA_INLINE Vec<double> sqrt(Vec<double> x) { return (Vec<double>)vsqrtq_f64((float64x2_t)x); }
#else
RECURRA_INLINE Vec<float> sqrt(Vec<float> x) {
  for (int k = 0; k < kLanes<float>; ++k) x[k] = __builtin_sqrtf(x[k]);
  return x;
}
RECURRA_INLINE Vec<double> sqrt(Vec<double> x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = __builtin_sqrt(x[k]);
  return x;
}
#endif

// x = n ln 2 + r with |r| <= ln(2) / 2; `expm1` is exp(r) - 1.
template <class T>
struct Reduced {
  Vec<T> n, expm1;
};

template <class T>
RECURRA_INLINE Reduced<T> reduce_exp(Vec<T> x) {
  using M = MathOf<T>;
  const Vec<T> n = fma(x, broadcast<T>(M::kLog2E), broadcast<T>(M::kMagic)) - broadcast<T>(M::kMagic);
  const Vec<T> r = fma(n, broadcast<T>(-M::kLn2Low), fma(n, broadcast<T>(-M::kLn2High), x));
  return {n, fma(r * r, polynomial<T>(M::kExp, r), r)};
}

// exp x. Max error 1.5 ULP, denormal results included; 0 and inf outside the type's range.
template <class T>
RECURRA_INLINE Vec<T> exp(Vec<T> x) {
  using M = MathOf<T>;
  const Reduced<T> reduced = reduce_exp<T>(min(broadcast<T>(M::kExpMax), max(broadcast<T>(M::kExpMin), x)));
  const Vec<T> magic = broadcast<T>(M::kMagic);
  const Vec<T> half = fma(reduced.n, broadcast<T>(0.5), magic);  // 2^n itself may not be a normal number: two factors
  const Vec<T> rest = (reduced.n - (half - magic)) + magic;
  return (reduced.expm1 + broadcast<T>(1)) * power_of_two<T>(half) * power_of_two<T>(rest);
}

// exp(x) - 1. Max error 2.5 ULP, relative also near 0; -1 and inf at the ends.
template <class T>
RECURRA_INLINE Vec<T> expm1(Vec<T> x) {
  using M = MathOf<T>;
  const Reduced<T> reduced = reduce_exp<T>(min(broadcast<T>(M::kExpMax), max(broadcast<T>(-40), x)));
  const Vec<T> scale =
      power_of_two<T>(reduced.n - broadcast<T>(1) + broadcast<T>(M::kMagic));  // 2^(n - 1): 2^1024 is not a number
  const Vec<T> half = fma(scale, reduced.expm1, scale - broadcast<T>(0.5));
  return select(reduced.n == Vec<T>{}, reduced.expm1, half + half);
}

// log x. Max error 1.5 ULP, denormal arguments included; -inf at 0, NaN below, inf at inf.
template <class T>
RECURRA_INLINE Vec<T> log(Vec<T> x) {
  using M = MathOf<T>;
  using Ints = IntVec<T>;
  using Unsigned = typename M::Unsigned;
  const auto tiny = x < broadcast<T>(M::kTiny);
  const Vec<T> unit_ulp = broadcast<T>(M::kUnitUlp);
  const Vec<T> normal = select(tiny, x * unit_ulp, x);
  // x = 2^n m with m in [sqrt(1/2), sqrt(2)); the exponent becomes a number by sitting in the mantissa of unit_ulp
  const Unsigned bits = (Unsigned)normal + (M::kOneBits - M::kSqrtHalfBits);
  const Vec<T> biased = (Vec<T>)((bits >> M::kMantissaBits) | (Unsigned)unit_ulp) - unit_ulp;
  const Vec<T> n = biased - select(tiny, broadcast<T>(M::kBias + M::kMantissaBits), broadcast<T>(M::kBias));
  const Vec<T> m = (Vec<T>)((Ints)(bits & (Unsigned{} + M::kMantissaMask)) + M::kSqrtHalfBits);
  const Vec<T> f = m - broadcast<T>(1);
  const Vec<T> s = f / (f + broadcast<T>(2));
  const Vec<T> z = s * s;
  const Vec<T> square = broadcast<T>(0.5) * f * f;
  const Vec<T> tail = fma(s, fma(z, polynomial<T>(M::kLog, z), square), n * broadcast<T>(M::kLn2Low));
  const Vec<T> result = fma(n, broadcast<T>(M::kLn2High), f - (square - tail));
  const Vec<T> zero_or_nan = select(x == Vec<T>{}, broadcast<T>(-M::kInfinity), broadcast<T>(M::kNan));
  return select((x > Vec<T>{}) & (x < broadcast<T>(M::kInfinity)), result, select(x > Vec<T>{}, x, zero_or_nan));
}

// log(1 + x). Max error 2.5 ULP, relative also near 0; -inf at -1, NaN below, inf at inf.
template <class T>
RECURRA_INLINE Vec<T> log1p(Vec<T> x) {
  using M = MathOf<T>;
  const Vec<T> u = x + broadcast<T>(1);
  const Vec<T> lost = (x - (u - broadcast<T>(1))) / u;  // what rounding 1 + x dropped
  return log<T>(u) + select((u > Vec<T>{}) & (u < broadcast<T>(M::kInfinity)), lost, Vec<T>{});
}

// tanh x = p / q before the result is clamped to [-1, 1]: for cells that share one division between several gates.
// float: 1 <= q < 430, and |p| > q from |x| = 9.02 on, where tanh rounds to 1; p alone is NaN where x is.
// double: |p| < q < 3e17.
template <class T>
struct Ratio {
  Vec<T> p, q;
};

// tanh of float: x times a rational function of u = x^2, 9/8 in all, held constant from 9.02 on: the product only
// grows.
RECURRA_INLINE Ratio<float> tanh_ratio(Vec<float> x) {
  using M = MathOf<float>;
  const Vec<float> u = min(x * x, broadcast(9.02f * 9.02f));
  return {x * polynomial<float>(M::kTanhP, u), polynomial<float>(M::kTanhQ, u)};
}

// tanh(x / 2) of float, the bits of tanh_ratio(x / 2): powers of two sit in the coefficients.
RECURRA_INLINE Ratio<float> half_tanh_ratio(Vec<float> x) {
  using M = MathOf<float>;
  const Vec<float> u = min(x * x, broadcast(4 * 9.02f * 9.02f));
  return {x * polynomial<float>(M::kHalfTanhP, u), polynomial<float>(M::kHalfTanhQ, u)};
}

// tanh of double: e / (e + 2) with e = exp(2 |x|) - 1.
RECURRA_INLINE Ratio<double> tanh_ratio(Vec<double> x) {
  const Vec<double> size = min(broadcast(20.0), abs<double>(x));
  const Vec<double> e = expm1<double>(size + size);
  return {copysign<double>(e, x), e + broadcast(2.0)};
}

// tanh x. Max error: float 6 ULP (4e-7 absolute; 7 ULP where fma is two roundings), double 3 ULP; |result| <= 1, odd.
template <class T>
RECURRA_INLINE Vec<T> tanh(Vec<T> x) {
  const Ratio<T> ratio = tanh_ratio(x);
  return clamp(ratio.p / ratio.q, broadcast<T>(1));
}

// 1 / (1 + exp(-x)). Max error 3 ULP everywhere, denormal results included. (Inside a cell, 1/2 + tanh(x/2)/2 is
// cheaper.)
template <class T>
RECURRA_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = broadcast<T>(1);
  const Vec<T> e = exp<T>(-abs<T>(x));
  return select(x < Vec<T>{}, e, one) / (one + e);
}

}  // namespace RECURRA_TARGET
}  // namespace recurra
