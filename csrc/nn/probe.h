// What this machine reaches at best, measured now: the ceilings beside which a benchmark sets its figures.
#pragma once

namespace recurra {

// 10^9 operations a second of float multiply-adds from registers, on `threads` threads at once.
double probe_multiply_adds(int threads);

// The same of a product whose operands stay in the first-level cache: what a register tile can sustain.
double probe_product(int threads);

// 10^9 bytes a second of reading `bytes` bytes again and again, each thread its own share.
double probe_reads(int threads, long bytes);

}  // namespace recurra
