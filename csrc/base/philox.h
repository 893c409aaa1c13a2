// Philox4x32-10: a keyed bijection from counters to independent random words (Salmon, Moraes, Dror & Shaw, "Parallel
// random numbers: as easy as 1, 2, 3", SC 2011; constants and known answers of their library Random123).
#pragma once
#include <cstdint>

namespace recurra {

constexpr int kPhiloxRounds = 10;
constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;  // what the key grows by from round to round

// The counter of a block of four words without its first part, the number of the block; and the key.
struct PhiloxStream {
  uint32_t key0, key1;
  uint32_t counter1, counter2, counter3;
};

}  // namespace recurra
