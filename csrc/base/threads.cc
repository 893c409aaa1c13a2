// The number of threads, and the cure for forked children. Without OpenMP: one, and nothing of the environment is read.
#include "base/threads.h"

#if defined(_OPENMP)
#include <omp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace recurra {
namespace {

std::atomic<int> chosen{0};  // 0: not yet decided

// CPUs that the cgroup's quota allows (cgroup v2, cpu.max: "quota period"), rounded up; 0 when there is no limit.
int cgroup_limit() {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!file) return 0;
  long quota = 0, period = 0;
  const int fields = std::fscanf(file, "%ld %ld", &quota, &period);  // "max 100000" reads no field
  std::fclose(file);
  return fields == 2 && quota > 0 && period > 0 ? static_cast<int>((quota + period - 1) / period) : 0;
}

int default_threads() {
  if (const char* text = std::getenv("RECURRA_NUM_THREADS")) {
    const long n = std::strtol(text, nullptr, 10);
    if (n >= 1 && n <= 1024) return static_cast<int>(n);
  }
  int n = omp_get_max_threads();
  if (!std::getenv("OMP_NUM_THREADS")) {
    const int limit = cgroup_limit();
    if (limit > 0 && limit < n) n = limit;
  }
  return n < 1 ? 1 : n;
}

// libgomp hangs in a child that was forked after a parallel region; pausing it before the fork cures that.
[[maybe_unused]] void before_fork() {
#if !defined(__GNUC__) || defined(__clang__) ? _OPENMP >= 201811 : __GNUC__ >= 9
  omp_pause_resource_all(omp_pause_soft);
#endif
}

}  // namespace

int num_threads() {
  int n = chosen.load(std::memory_order_relaxed);
  if (n == 0) {
    static std::once_flag once;
    std::call_once(once, [] {
#if defined(__unix__) || defined(__APPLE__)
      pthread_atfork(before_fork, nullptr, nullptr);
#endif
      int none = 0;
      chosen.compare_exchange_strong(none, default_threads());
    });
    n = chosen.load();
  }
  return n;
}

void set_num_threads(int n) {
  num_threads();
  chosen = n < 1 ? 1 : n;
}

std::string threading_runtime() { return "openmp"; }

}  // namespace recurra

#else

namespace recurra {

int num_threads() { return 1; }
void set_num_threads(int) {}
std::string threading_runtime() { return "serial"; }

}  // namespace recurra

#endif
