// What every side does: prints the outputs of the first steps, or times steps. The side defines
// `static void step(const float* x, float* y)`.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void step(const float* x, float* y);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void* a, const void* b) {
  return *(const double*)a < *(const double*)b ? -1 : *(const double*)a > *(const double*)b;
}

// The last two words of the command line: steps to check, seconds to time.
static int time_steps(int count, char** words) {
  enum { kSignal = 256, kRepeats = 25 };
  const long checked = atol(words[count - 2]);
  const double budget = atof(words[count - 1]) * 1e9 / (kRepeats + 1);
  float signal[kSignal], y = 0;
  for (int i = 0; i < kSignal; ++i) signal[i] = 0.5f - (float)(i * 37 % kSignal) / kSignal;
  for (long t = 0; t < checked; ++t) {
    step(&signal[t % kSignal], &y);
    printf("%.9g\n", (double)y);
  }
  if (checked) return 0;
  long steps = kSignal;  // of one repeat: doubled until they fill the time
  for (;; steps *= 2) {
    const double start = now();
    for (long t = 0; t < steps; ++t) step(&signal[t % kSignal], &y);
    if (now() - start >= budget) break;
  }
  double times[kRepeats];
  for (int r = 0; r < kRepeats; ++r) {
    const double start = now();
    for (long t = 0; t < steps; ++t) step(&signal[t % kSignal], &y);
    times[r] = (now() - start) / (double)steps;
  }
  qsort(times, kRepeats, sizeof(double), compare);
  printf("%.2f\n", times[kRepeats / 2]);
  return y != y;
}
