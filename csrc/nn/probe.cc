// Probes: every thread does the same work between two meetings; the median over turns counts.
#include "nn/probe.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/memory.h"
#include "base/team.h"
#include "kernels/dispatch.h"

namespace recurra {
namespace {

constexpr int kTurns = 21;
constexpr double kSecondsOfATurn = 0.004;

// Seconds of one call of work(), all threads at it at once. make() prepares a thread's work.
template <class Make>
double seconds(int threads, const Make& make) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> turns;
  run_team(threads, Poll(), [&](Team& team) {
    auto work = make();
    long calls = 1;
    for (int turn = 0; turn < kTurns; ++turn) {
      team.meet();
      const auto start = Clock::now();
      for (long i = 0; i < calls; ++i) work();
      team.meet();
      const double elapsed = std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(calls);
      if (turn == 0) calls = std::max(1l, static_cast<long>(kSecondsOfATurn / elapsed));
      if (turn > 0 && team.rank() == 0) turns.push_back(elapsed);
    }
  });
  std::nth_element(turns.begin(), turns.begin() + kTurns / 2, turns.end());
  return turns[kTurns / 2];
}

}  // namespace

double probe_multiply_adds(int threads) {
  const Kernels<float>& k = kernels<float>();
  constexpr long kRounds = 1000;
  const double elapsed = seconds(threads, [&] {
    return [&k] {
      volatile float used = k.multiply_adds(kRounds);
      (void)used;
    };
  });
  return 2e-9 * static_cast<double>(kRounds * k.adds_per_round) * threads / elapsed;
}

double probe_product(int threads) {
  const Kernels<float>& k = kernels<float>();
  const long rows = 8 * k.tile_rows, depth = 64, columns = 4 * k.lanes;
  const double elapsed = seconds(threads, [&] {
    Buffer<float> a(static_cast<std::size_t>(rows * depth)), b(static_cast<std::size_t>(depth * columns)),
        c(static_cast<std::size_t>(rows * columns));
    std::fill_n(a.data(), rows * depth, 0.5f);
    std::fill_n(b.data(), depth * columns, 0.25f);
    return [&k, rows, depth, columns, a = std::move(a), b = std::move(b), c = std::move(c)]() mutable {
      Product<float> p{};
      p.rows = rows, p.vectors = 4, p.panel_vectors = 4, p.blocks = 1, p.depth = depth;
      p.a = a.data(), p.a_row = depth, p.b = b.data(), p.b_panel = depth * columns, p.c = c.data(), p.c_row = columns;
      k.multiply(p);
    };
  });
  return 2e-9 * static_cast<double>(rows * depth * columns) * threads / elapsed;
}

double probe_reads(int threads, long bytes) {
  const Kernels<float>& k = kernels<float>();
  const long unit = 8 * k.lanes;
  const long count = std::max(1l, bytes / static_cast<long>(sizeof(float)) / threads / unit) * unit;
  const double elapsed = seconds(threads, [&] {
    Buffer<float> x(static_cast<std::size_t>(count));
    std::fill_n(x.data(), count, 1.0f);
    return [&k, count, x = std::move(x)]() mutable {
      volatile float used = k.read_all(x.data(), count);
      (void)used;
    };
  });
  return 1e-9 * static_cast<double>(count) * sizeof(float) * threads / elapsed;
}

}  // namespace recurra
