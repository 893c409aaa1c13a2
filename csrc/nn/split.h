// Shares elementwise work out over threads, where the work is worth it.
#pragma once
#include <algorithm>

#include "base/team.h"
#include "base/threads.h"

namespace recurra {

constexpr long kGrain = 1 << 15;  // elements a thread should have at least: some microseconds of work

// body(first, last) on parts of [0, count), of `weight` elements each.
template <class Body>
void split(long count, long weight, const Body& body) {
  const long useful = count * std::max(1l, weight) / kGrain;
  const int threads = static_cast<int>(std::max(1l, std::min<long>(num_threads(), std::min(useful, count))));
  run_team(threads, Poll(), [&](Team& team) {
    const Range range = share(count, team.rank(), team.size());
    if (range.first < range.last) body(range.first, range.last);
  });
}

}  // namespace recurra
