// The rows of inference tables. Apart from dispatch.cc: reads no environment, needs no C++ library.
#include "kernels/cpu.h"
#include "kernels/inference_table.h"
#include "kernels/narrow.h"

namespace recurra {

// What the target_*.cc define.
#define RECURRA_ROW(target, available)         \
  namespace target {                           \
  InferenceKernels<float> inference_float();   \
  InferenceKernels<double> inference_double(); \
  }
#define RECURRA_ROW_NARROW(target, available, narrow) \
  RECURRA_ROW(target, available)                      \
  RECURRA_ROW(narrow, available)
#include "kernels/targets.inc"

namespace {

struct Row {
  const char* name;
  bool (*available)();
  InferenceKernels<float> (*wide_float)();
  InferenceKernels<double> (*wide_double)();
  InferenceKernels<float> (*narrow_float)();
  InferenceKernels<double> (*narrow_double)();
};

#define RECURRA_ROW(target, available) \
  {#target, available, target::inference_float, target::inference_double, nullptr, nullptr},
#define RECURRA_ROW_NARROW(target, available, narrow) \
  {#target,                                           \
   available,                                         \
   target::inference_float,                           \
   target::inference_double,                          \
   narrow::inference_float,                           \
   narrow::inference_double},
const Row kRows[] = {
#include "kernels/targets.inc"
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

template <class T>
InferenceTables<T> both(InferenceKernels<T> (*wide)(), InferenceKernels<T> (*narrow)()) {
  InferenceTables<T> tables{wide(), {}, 0};
  if (narrow) tables.narrow = narrow(), tables.gain = speed_of(tables.narrow) / speed_of(tables.wide);
  return tables;
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
  if (row) *tables = both(row->wide_float, row->narrow_float);
  return row;
}
template <>
bool find_inference<double>(const char* isa, InferenceTables<double>* tables) {
  const Row* const row = find(isa);
  if (row) *tables = both(row->wide_double, row->narrow_double);
  return row;
}

}  // namespace recurra
