// recurra._core: the engine for Python. Computes nothing itself; releases the GIL around everything that does.
#include "bindings/module.h"

#include <pybind11/stl.h>

#include <stdexcept>

#include "base/team.h"
#include "base/threads.h"
#include "kernels/dispatch.h"
#include "nn/probe.h"

namespace recurra {
namespace py = pybind11;
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

py::dict config() {
  py::dict d;
  d["version"] = RECURRA_VERSION;
  d["isa"] = isa();
  d["cpu_isas"] = cpu_isas();
  d["compiled_isas"] = compiled_isas();
  d["threads"] = num_threads();
  d["threading"] = threading_runtime();
#if defined(_OPENMP)
  d["openmp_version"] = _OPENMP;
#else
  d["openmp_version"] = py::none();
#endif
  d["compiler"] = compiler();
  d["cxx_standard"] = __cplusplus;
  return d;
}

}  // namespace
}  // namespace recurra

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  namespace py = pybind11;
  using namespace recurra;
  const std::string error = isa_error();
  if (!error.empty()) throw py::value_error(error);
  m.def("isa", &isa);
  m.def("config", &config);
  m.def("fused_on", &fused_on, py::arg("name"), py::arg("a"), py::arg("b"), py::arg("c"));
  m.def("get_num_threads", &num_threads);
  m.def(
      "set_num_threads",
      [](int n) {
        if (n < 1) throw py::value_error("n: expected an integer from 1, got " + std::to_string(n));
        set_num_threads(n);
      },
      py::arg("n"));
  const auto released = py::call_guard<py::gil_scoped_release>();
  m.def("probe_multiply_adds", &probe_multiply_adds, py::arg("threads"), released);
  m.def("probe_product", &probe_product, py::arg("threads"), released);
  m.def("probe_reads", &probe_reads, py::arg("threads"), py::arg("bytes"), released);
  m.def("round_trip", &round_trip, py::arg("threads"), released);
  m.def("assume_round_trip", &assume_round_trip, py::arg("nanoseconds"));
  bind_convolution(m);
  bind_embedding(m);
  bind_feeds(m);
  bind_linear(m);
  bind_recurrent(m);
  bind_runtime(m);
  bind_stream(m);
  bind_train(m);
  bind_updates(m);
  bind_sequence_losses(m);
}
