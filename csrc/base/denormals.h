// Denormal numbers count as zero while a kernel runs: a decaying state would otherwise run many times slower.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace recurra {

// Flushes denormals to zero while it lives, and restores the caller's floating-point mode. Writing the mode waits for
// the pipeline (some 10 ns), so a thread that flushes them anyway is left alone.
class FlushDenormals {
 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
#if defined(__SSE2__)
  FlushDenormals() : mode_(_mm_getcsr()) {
    if ((mode_ & kFlush) != kFlush) _mm_setcsr(mode_ | kFlush);
  }
  ~FlushDenormals() {
    if ((mode_ & kFlush) != kFlush) _mm_setcsr(mode_);
  }

 private:
  static constexpr unsigned kFlush = 0x8040u;  // FTZ, DAZ
  unsigned mode_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode_));
    if (!(mode_ & kFlush)) __asm__ volatile("msr fpcr, %0" ::"r"(mode_ | kFlush));
  }
  ~FlushDenormals() {
    if (!(mode_ & kFlush)) __asm__ volatile("msr fpcr, %0" ::"r"(mode_));
  }

 private:
  static constexpr unsigned long kFlush = 1ul << 24;  // FZ
  unsigned long mode_;
#else
  FlushDenormals() = default;
#endif
};

}  // namespace recurra
