// The rows of the function table and the choice among them.
#include "kernels/dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "kernels/cpu.h"
#include "kernels/narrow.h"

namespace recurra {

// What the target_*.cc define.
#define RECURRA_ROW(target, available)  \
  namespace target {                    \
  Kernels<float> kernels_float();       \
  Kernels<double> kernels_double();     \
  double fused(double, double, double); \
  }
#define RECURRA_ROW_NARROW(target, available, narrow) \
  RECURRA_ROW(target, available)                      \
  RECURRA_ROW(narrow, available)
#include "kernels/targets.inc"

namespace {

struct Row {
  const char* name;
  bool (*available)();
  Kernels<float> (*kernels_float)();
  Kernels<double> (*kernels_double)();
  double (*fused)(double, double, double);
  Kernels<float> (*narrow_float)() = nullptr;  // with half as wide vectors
  Kernels<double> (*narrow_double)() = nullptr;
};

#define RECURRA_ROW(target, available) \
  {#target, available, target::kernels_float, target::kernels_double, target::fused},
#define RECURRA_ROW_NARROW(target, available, narrow) \
  {#target,                                           \
   available,                                         \
   target::kernels_float,                             \
   target::kernels_double,                            \
   target::fused,                                     \
   narrow::kernels_float,                             \
   narrow::kernels_double},
const Row kRows[] = {
#include "kernels/targets.inc"
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

// The two tables of a number type.
template <class T>
struct Tables {
  Kernels<T> wide{}, narrow{};  // narrow.lanes 0: there is none

  bool narrow_pays(long units) const {
    if (!narrow.lanes) return false;
    static const double gain = speed_of(narrow) / speed_of(wide);
    return recurra::narrow_pays(units, wide.lanes, narrow.lanes, gain);
  }
};

struct Choice {
  const Row* row = nullptr;
  std::string error;
  Tables<float> floats;
  Tables<double> doubles;

  Choice() {
    const char* wanted = std::getenv("RECURRA_ISA");
    for (const Row& candidate : kRows) {
      if (!candidate.available()) continue;
      if (!row) row = &candidate;
      if (wanted && candidate.name == std::string(wanted)) row = &candidate;
    }
    if (wanted && *wanted && row->name != std::string(wanted))
      error = "RECURRA_ISA: expected an instruction set that this CPU and this build have, got " + std::string(wanted) +
              "; choose " + joined(cpu_isas());
    floats.wide = row->kernels_float();
    doubles.wide = row->kernels_double();
    if (row->narrow_float) {
      floats.narrow = row->narrow_float();
      doubles.narrow = row->narrow_double();
    }
  }
};

const Choice& choice() {
  static const Choice instance;
  return instance;
}

template <class T>
const Tables<T>& tables();
template <>
const Tables<float>& tables<float>() {
  return choice().floats;
}
template <>
const Tables<double>& tables<double>() {
  return choice().doubles;
}

}  // namespace

template <class T>
const Kernels<T>& kernels() {
  return tables<T>().wide;
}

template <class T>
const Kernels<T>& kernels_for(long units) {
  return tables<T>().narrow_pays(units) ? tables<T>().narrow : tables<T>().wide;
}

template const Kernels<float>& kernels();
template const Kernels<double>& kernels();
template const Kernels<float>& kernels_for(long);
template const Kernels<double>& kernels_for(long);

std::string isa() { return choice().row->name; }
std::string isa_error() { return choice().error; }

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.push_back(row.name);
  return names;
}

std::vector<std::string> cpu_isas() {
  std::vector<std::string> names;
  for (const Row& row : kRows)
    if (row.available()) names.push_back(row.name);
  return names;
}

double fused_on(const std::string& name, double a, double b, double c) {
  for (const Row& row : kRows)
    if (row.name == name && row.available()) return row.fused(a, b, c);
  throw std::invalid_argument("name: expected " + joined(cpu_isas()) + ", got " + name);
}

}  // namespace recurra
