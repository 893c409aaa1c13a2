// How many threads a call may use, and what the threading runtime is.
#pragma once
#include <string>

namespace recurra {

// The default, read once: RECURRA_NUM_THREADS, else what OpenMP gives (OMP_NUM_THREADS, CPU affinity), at most the
// cgroup's CPU quota.
int num_threads();

// n >= 1.
void set_num_threads(int n);

std::string threading_runtime();  // "openmp" or "serial"

}  // namespace recurra
