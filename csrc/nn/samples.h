// Shares the samples of a batch out over threads: each takes the next one, so that long sequences do not gather on one.
#pragma once
#include <algorithm>
#include <atomic>

#include "base/team.h"
#include "base/threads.h"

namespace recurra {

// body(team, workspace, sample) for each of `batch` samples, `work` elements of arithmetic each; make() makes a
// thread's workspace. What a sample gives must not depend on its thread. False when stopped by `poll`.
template <class Make, class Body>
bool for_samples(long batch, long work, const Poll& poll, const Make& make, const Body& body) {
  constexpr long kGrain = 1 << 13;  // exponentials a thread should have at least: some ten microseconds
  const long useful = std::min(batch, batch * std::max(1l, work) / kGrain);
  const int threads = static_cast<int>(std::max(1l, std::min<long>(num_threads(), useful)));
  std::atomic<long> next{0};
  return run_team(threads, poll, [&](Team& team) {
    auto workspace = make();
    for (long n = next++; n < batch && team.go_on(); n = next++) body(team, workspace, n);
  });
}

}  // namespace recurra
