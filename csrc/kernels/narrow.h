// When half as wide vectors pay.
#pragma once
#include <time.h>

namespace recurra {

// Multiply-adds a nanosecond, from registers: Table has `multiply_adds` and `adds_per_round`.
template <class Table>
double speed_of(const Table& table) {
  constexpr long kRounds = 500;  // a few microseconds
  double best = 0;
  for (int turn = 0; turn < 5; ++turn) {
    timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    volatile auto used = table.multiply_adds(kRounds);
    clock_gettime(CLOCK_MONOTONIC, &end);
    (void)used;
    const double elapsed =
        1e9 * static_cast<double>(end.tv_sec - start.tv_sec) + static_cast<double>(end.tv_nsec - start.tv_nsec);
    const double speed = static_cast<double>(kRounds * table.adds_per_round) / (elapsed > 1 ? elapsed : 1);
    if (speed > best) best = speed;
  }
  return best;
}

// Whether layers of `units` units run faster on vectors of `narrow` lanes, `gain` times as fast as those of `wide`.
inline bool narrow_pays(long units, long wide, long narrow, double gain) {
  const auto padded = [units](long lanes) { return static_cast<double>((units + lanes - 1) / lanes * lanes); };
  return padded(narrow) < 0.96 * gain * padded(wide);
}

}  // namespace recurra
