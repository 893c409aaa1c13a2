// A team of threads that runs one function together: ranks, a spinning barrier, a way to stop early.
//
//   run_team(threads, poll, [&](Team& team) { ... });
//
// The whole call is one parallel region. The barrier belongs to a Group, so that parts of a team can meet among
// themselves. Every thread runs with denormals flushed to zero; the caller's floating-point mode is restored
// afterwards.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>

namespace recurra {

// Asked about every 50 ms by the calling thread while it works; true means: stop now.
using Poll = std::function<bool()>;

// When `poll` was asked last; lives as long as the call.
struct Interrupt {
  const Poll& poll;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

// Threads that meet at a barrier. Plain data shared by its members. A few of them each count their arrivals on a line
// of their own, which the others watch: what one has written reaches another in one journey between cores. More of them
// count together.
struct Barrier {
  static constexpr int kFew = 8;
  struct alignas(128) Arrivals {
    std::atomic<unsigned> count{0};
  };
  Arrivals of[kFew];
  alignas(128) std::atomic<int> arrived{0};
  alignas(128) std::atomic<int> generation{0};
};

class Team {
 public:
  Team(int rank, int size, Barrier* barrier, std::atomic<bool>* stop, Interrupt* interrupt)
      : rank_(rank), size_(size), barrier_(barrier), stop_(stop), interrupt_(interrupt) {}

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool stopped() const { return stop_->load(std::memory_order_relaxed); }

  // Waits for the others of this team. False when the call was stopped: leave at once.
  bool meet();

  // Called now and then between blocks of work; false when the call was stopped. Cheap; asks `poll` on the calling
  // thread only.
  bool go_on();

  // The part of this team with ranks [first, first + size), meeting at `barrier`; the caller's rank must lie inside.
  Team part(int first, int size, Barrier* barrier) const {
    return Team(rank_ - first, size, barrier, stop_, interrupt_);
  }

 private:
  template <class Done>
  bool wait(const Done& done);

  int rank_, size_;
  Barrier* barrier_;
  std::atomic<bool>* stop_;
  Interrupt* interrupt_;  // null on all threads but the calling one
};

// Runs body(Team&) on `threads` threads (the caller is rank 0), or on the caller's alone where there is no OpenMP.
// False when it was stopped by `poll`. Allocates nothing.
bool run_team_of(int threads, const Poll& poll, void (*call)(const void* body, Team&), const void* body);
template <class Body>
bool run_team(int threads, const Poll& poll, const Body& body) {
  return run_team_of(
      threads, poll, [](const void* erased, Team& team) { (*static_cast<const Body*>(erased))(team); }, &body);
}

// How far apart the cores of such a team lie: nanoseconds that a word takes from the first thread to the second and
// back. Some 50 to 100 where they share a cache, several hundred where they do not; a virtual machine's cores move.
// Measured in a few microseconds, and anew when that was a while ago. Thread-safe.
double round_trip(int threads);
// From now on round_trip() is so many nanoseconds; 0: measured again. For tests.
void assume_round_trip(double nanoseconds);

// [first, last) of `count` items for `rank` of `size`, contiguous, sizes differing by one at most.
struct Range {
  long first, last;
};
inline Range share(long count, int rank, int size) { return {count * rank / size, count * (rank + 1) / size}; }

}  // namespace recurra
