// Random words, masks and fills: pure functions of a seed and counters, the same for any batch, number of threads and
// instruction set.
//
// key = (low, high half of seed). Words of masks: word j % 4 of Philox4x32-10 (base/philox.h) at the counter
//   (j / 4, row, step, purpose + 16 direction + 256 layer).
// Words of fills: word i % 4 at the counter (low, high half of i / 4, stream, purpose).
#pragma once
#include <cstdint>

namespace recurra {

enum RandomPurpose : int {
  kDropout,            // step 0, direction 0
  kInterlayerDropout,  // step: time; direction 0
  kRecurrentDropout,   // step 0
  kZoneoutH,           // step: in processing order
  kZoneoutC,
  kDropoutLayer,  // step: the layer's own stream
  kUniform,       // fills
  kNormal,
};

void random_words(uint64_t seed, int purpose, long layer, long direction, long step, long row, long count,
                  uint32_t* out);

// Factors of dropout for one row: 0 with probability `rate`, else 1 / (1 - rate). All 0 at rate 1.
template <class T>
void dropout_row(T* out, long count, double rate, uint64_t seed, int purpose, long layer, long direction, long step,
                 long row);

// Shares of the old state for one row: 1 with probability `rate`, else 0.
template <class T>
void zoneout_row(T* out, long count, double rate, uint64_t seed, int purpose, long layer, long direction, long step,
                 long row);

// Uniform in [0, 1), multiples of 2^-53; standard normal (Box & Muller 1958).
void fill_uniform(uint64_t seed, uint32_t stream, long count, double* out);
void fill_normal(uint64_t seed, uint32_t stream, long count, double* out);

}  // namespace recurra
