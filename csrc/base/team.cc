// run_team on OpenMP, or serially where the compiler has none.
#include "base/team.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <thread>

#include "base/denormals.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace recurra {
namespace {

inline void pause() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// The processors that a team's threads run on.
#if defined(__linux__) && defined(_OPENMP)
class Seats {
 public:
  // Called by each thread at its start. Two that wait for each other on one core are, to the scheduler, a core in good
  // use: it has been seen to leave them there for seconds. Who comes second moves to a core that nobody has, once; the
  // processors that it may run on stay those that they were.
  void take() {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || take(here)) return;
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed) || !take(cpu)) continue;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      if (sched_setaffinity(0, sizeof one, &one) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
      return;
    }
  }

 private:
  bool take(int cpu) {
    const std::uint64_t bit = std::uint64_t{1} << cpu % 64;
    return !(taken_[cpu / 64].fetch_or(bit, std::memory_order_relaxed) & bit);
  }
  std::atomic<std::uint64_t> taken_[CPU_SETSIZE / 64] = {};
};
#else
struct Seats {
  void take() {}
};
#endif

constexpr int kSpins = 2000;  // plain loads before pausing: a step's barrier is far shorter
constexpr int kPauses = 40;   // between two offers of the core, a microsecond or two: the one waited for may sit on it
constexpr auto kPollEvery = std::chrono::milliseconds(40);

}  // namespace

// Until done(), or until the call is stopped.
template <class Done>
bool Team::wait(const Done& done) {
  for (int spins = 0; !done(); ++spins) {
    if (stopped()) return false;
    if (spins < kSpins) continue;
    if (spins % kSpins == 0) go_on();
    pause();
    if (spins % kPauses == 0) std::this_thread::yield();
  }
  return !stopped();
}

bool Team::meet() {
  if (size_ == 1) return !stopped();
  if (size_ <= Barrier::kFew) {
    std::atomic<unsigned>& own = barrier_->of[rank_].count;
    const unsigned meeting = own.load(std::memory_order_relaxed) + 1;
    own.store(meeting, std::memory_order_release);
    for (int other = 0; other < size_; ++other) {
      const std::atomic<unsigned>& count = barrier_->of[other].count;  // may be one ahead
      if (!wait([&] { return static_cast<int>(count.load(std::memory_order_acquire) - meeting) >= 0; })) return false;
    }
    return !stopped();
  }
  const int generation = barrier_->generation.load(std::memory_order_relaxed);
  if (barrier_->arrived.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    barrier_->arrived.store(0, std::memory_order_relaxed);
    barrier_->generation.store(generation + 1, std::memory_order_release);
    return !stopped();
  }
  return wait([&] { return barrier_->generation.load(std::memory_order_acquire) != generation; });
}

bool Team::go_on() {
  if (interrupt_ && interrupt_->poll) {
    const auto now = std::chrono::steady_clock::now();
    if (now - interrupt_->last >= kPollEvery) {
      interrupt_->last = now;
      if (interrupt_->poll()) stop_->store(true, std::memory_order_relaxed);
    }
  }
  return !stopped();
}

bool run_team_of(int threads, const Poll& poll, void (*call)(const void* body, Team&), const void* body) {
  std::atomic<bool> stop{false};
  Barrier barrier;
  Interrupt interrupt{poll};
#if defined(_OPENMP)
  if (threads > 1) {
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
    Seats seats;
    seats.take();
#pragma omp parallel num_threads(threads)
    {
      FlushDenormals flush;
      const int rank = omp_get_thread_num();
      if (rank > 0) seats.take();
      Team team(rank, omp_get_num_threads(), &barrier, &stop, rank == 0 ? &interrupt : nullptr);
      try {
        call(body, team);
        team.meet();  // here rather than at the region's own end, which may spin for a millisecond
      } catch (...) {
        if (!failed.exchange(true)) failure = std::current_exception();
        stop = true;
      }
    }
    if (failure) std::rethrow_exception(failure);
    return !stop;
  }
#else
  (void)threads;
#endif
  FlushDenormals flush;
  Team team(0, 1, &barrier, &stop, &interrupt);
  call(body, team);
  return !stop;
}

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTrips = 16, kTries = 4;
constexpr std::int64_t kRestBetween = 50'000'000, kRestForWork = 20;  // nanoseconds; times what measuring took
constexpr double kNear = 80, kFarthest = 500;                         // what takes longer waits for a scheduler

std::atomic<double> assumed{0}, measured{kNear};
std::atomic<std::int64_t> measure_at{0};  // on the clock; the greatest number while someone measures

std::int64_t now() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

// The least of a few tries, 0 without a second thread: whoever else wants a core must not count.
double measure_round_trip(int threads) {
  alignas(128) std::atomic<int> ball{0};  // each of the two waits for its turn and makes it the other's
  double least = 0;
  run_team(threads, Poll(), [&](Team& team) {
    if (team.size() < 2 || !team.meet() || team.rank() > 1) return;
    Clock::time_point start = Clock::now();
    for (int trip = 0; trip < kTries * kTrips; ++trip) {
      for (int spins = 0; ball.load(std::memory_order_acquire) != 2 * trip + team.rank(); ++spins)
        if (spins > kSpins) std::this_thread::yield();
      ball.store(2 * trip + team.rank() + 1, std::memory_order_release);
      if (team.rank() == 1 || trip % kTrips != kTrips - 1) continue;
      const Clock::time_point end = Clock::now();
      const double each = std::chrono::duration<double, std::nano>(end - start).count() / kTrips;
      least = least == 0 ? each : std::min(least, each);
      start = end;
    }
  });
  return least;
}

}  // namespace

double round_trip(int threads) {
  constexpr std::int64_t kBusy = std::numeric_limits<std::int64_t>::max();
  if (const double given = assumed.load(std::memory_order_relaxed); given > 0) return given;
  const std::int64_t start = now();
  std::int64_t due = measure_at.load(std::memory_order_relaxed);
  if (threads > 1 && start >= due && measure_at.compare_exchange_strong(due, kBusy)) {
    if (const double found = measure_round_trip(threads); found > 0) measured = std::min(found, kFarthest);
    const std::int64_t end = now();
    measure_at = end + std::max(kRestBetween, kRestForWork * (end - start));
  }
  return measured.load(std::memory_order_relaxed);
}

void assume_round_trip(double nanoseconds) { assumed = nanoseconds; }

}  // namespace recurra
