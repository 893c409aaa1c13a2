// The rows of inference tables. Apart from dispatch.cc: reads no environment, needs no C++ library.
#include "kernels/cpu.h"
#include "kernels/inference_table.h"

#define RECURRA_DECLARE(target)                \
  namespace target {                           \
  InferenceKernels<float> inference_float();   \
  InferenceKernels<double> inference_double(); \
  }

namespace recurra {

RECURRA_DECLARE(baseline)
RECURRA_DECLARE(avx2)
RECURRA_DECLARE(avx512)
RECURRA_DECLARE(avx512_narrow)
RECURRA_DECLARE(neon)

namespace {

struct Row {
  const char* name;
  bool (*available)();
  InferenceKernels<float> (*wide_float)();
  InferenceKernels<double> (*wide_double)();
  InferenceKernels<float> (*narrow_float)();
  InferenceKernels<double> (*narrow_double)();
};

// Best first.
const Row kRows[] = {
#if defined(RECURRA_HAS_avx512)
    {"avx512", has_avx512, avx512::inference_float, avx512::inference_double, avx512_narrow::inference_float,
     avx512_narrow::inference_double},
#endif
#if defined(RECURRA_HAS_avx2)
    {"avx2", has_avx2, avx2::inference_float, avx2::inference_double, nullptr, nullptr},
#endif
#if defined(RECURRA_HAS_neon)
    {"neon", always, neon::inference_float, neon::inference_double, nullptr, nullptr},
#endif
#if defined(RECURRA_HAS_baseline)
    {"baseline", always, baseline::inference_float, baseline::inference_double, nullptr, nullptr},
#endif
};

bool same(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

const Row* find(const char* isa) {
  for (const Row& row : kRows)
    if (row.available() && same(row.name, isa)) return &row;
  return nullptr;
}

}  // namespace

const char* inference_isa(long index) {
  for (const Row& row : kRows)
    if (row.available() && index-- == 0) return row.name;
  return nullptr;
}

template <>
bool find_inference<float>(const char* isa, InferenceTables<float>* tables) {
  const Row* const row = find(isa);
  if (!row) return false;
  *tables = {row->wide_float(), row->narrow_float ? row->narrow_float() : InferenceKernels<float>{}};
  return true;
}
template <>
bool find_inference<double>(const char* isa, InferenceTables<double>* tables) {
  const Row* const row = find(isa);
  if (!row) return false;
  *tables = {row->wide_double(), row->narrow_double ? row->narrow_double() : InferenceKernels<double>{}};
  return true;
}

}  // namespace recurra
