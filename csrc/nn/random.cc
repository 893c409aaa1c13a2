// Random words, masks and fills.
#include "nn/random.h"

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"

namespace recurra {
namespace {

constexpr long kChunk = 1024;  // words drawn at a time

PhiloxStream stream_of(uint64_t seed, int purpose, long layer, long direction, long step, long row) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(row),
          static_cast<uint32_t>(step), static_cast<uint32_t>(purpose + 16 * direction + 256 * layer)};
}

// `below` with probability `rate`, else `otherwise`.
template <class T>
void choose_row(T* out, long count, double rate, T below, T otherwise, const PhiloxStream& stream) {
  const double bound = std::floor(rate * 4294967296.0);
  if (!(bound < 4294967296.0)) {
    std::fill_n(out, count, below);
    return;
  }
  const TrainKernels<T>& k = kernels<T>().train;
  uint32_t words[kChunk];
  for (long first = 0; first < count; first += kChunk) {
    const long some = std::min(kChunk, count - first);
    k.random_words(stream, static_cast<uint32_t>(first / 4), some, words);
    k.select_by_word(some, words, static_cast<uint32_t>(bound), below, otherwise, out + first);
  }
}

// Calls body(two words as one number, i) for i from 0 to count - 1.
template <class Body>
void each_pair(uint64_t seed, uint32_t stream, int purpose, long count, const Body& body) {
  uint32_t words[kChunk];
  for (long first = 0; first < count; first += kChunk / 2) {
    const uint64_t block = static_cast<uint64_t>(first) / 2;
    const PhiloxStream at = stream_of(seed, purpose, 0, 0, static_cast<long>(stream), static_cast<long>(block >> 32));
    const long some = std::min(kChunk / 2, count - first);
    kernels<float>().train.random_words(at, static_cast<uint32_t>(block), 2 * some, words);
    for (long i = 0; i < some; ++i) body(first + i, words[2 * i], words[2 * i + 1]);
  }
}

// In [0, 1), 53 bits.
double fraction(uint32_t high, uint32_t low) { return ((high >> 5) * 67108864.0 + (low >> 6)) / 9007199254740992.0; }

}  // namespace

void random_words(uint64_t seed, int purpose, long layer, long direction, long step, long row, long count,
                  uint32_t* out) {
  kernels<float>().train.random_words(stream_of(seed, purpose, layer, direction, step, row), 0, count, out);
}

template <class T>
void dropout_row(T* out, long count, double rate, uint64_t seed, int purpose, long layer, long direction, long step,
                 long row) {
  const T kept = rate < 1 ? static_cast<T>(1 / (1 - rate)) : T(0);
  choose_row(out, count, rate, T(0), kept, stream_of(seed, purpose, layer, direction, step, row));
}

template <class T>
void zoneout_row(T* out, long count, double rate, uint64_t seed, int purpose, long layer, long direction, long step,
                 long row) {
  choose_row(out, count, rate, T(1), T(0), stream_of(seed, purpose, layer, direction, step, row));
}

void fill_uniform(uint64_t seed, uint32_t stream, long count, double* out) {
  each_pair(seed, stream, kUniform, count, [&](long i, uint32_t high, uint32_t low) { out[i] = fraction(high, low); });
}

void fill_normal(uint64_t seed, uint32_t stream, long count, double* out) {
  constexpr double kTwoPi = 6.283185307179586;
  double radius = 0;
  each_pair(seed, stream, kNormal, count + count % 2, [&](long i, uint32_t high, uint32_t low) {
    const double u = fraction(high, low);
    if (i % 2 == 0) {
      radius = std::sqrt(-2 * std::log(1 - u));  // 1 - u lies in (0, 1]
      return;
    }
    out[i - 1] = radius * std::cos(kTwoPi * u);
    if (i < count) out[i] = radius * std::sin(kTwoPi * u);
  });
}

template void dropout_row(float*, long, double, uint64_t, int, long, long, long, long);
template void dropout_row(double*, long, double, uint64_t, int, long, long, long, long);
template void zoneout_row(float*, long, double, uint64_t, int, long, long, long, long);
template void zoneout_row(double*, long, double, uint64_t, int, long, long, long, long);

}  // namespace recurra
