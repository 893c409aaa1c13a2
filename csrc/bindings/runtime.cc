// The addresses of the C ABI's functions: the library is in this module already, so Python calls it as any program
// does.
#include "bindings/module.h"
#include "runtime/include/recurra.h"

namespace recurra {
namespace {

namespace py = pybind11;

#define RECURRA_FUNCTION(name) {#name, reinterpret_cast<void*>(&name)}
const struct {
  const char* name;
  void* address;
} kFunctions[] = {
    RECURRA_FUNCTION(recurra_abi_version),
    RECURRA_FUNCTION(recurra_version),
    RECURRA_FUNCTION(recurra_status_text),
    RECURRA_FUNCTION(recurra_last_error),
    RECURRA_FUNCTION(recurra_isa),
    RECURRA_FUNCTION(recurra_model_load),
    RECURRA_FUNCTION(recurra_model_load_memory),
    RECURRA_FUNCTION(recurra_model_free),
    RECURRA_FUNCTION(recurra_model_get_info),
    RECURRA_FUNCTION(recurra_model_get_layer),
    RECURRA_FUNCTION(recurra_model_get_state),
    RECURRA_FUNCTION(recurra_model_text),
    RECURRA_FUNCTION(recurra_state_size),
    RECURRA_FUNCTION(recurra_state_init),
    RECURRA_FUNCTION(recurra_state_reset),
    RECURRA_FUNCTION(recurra_state_reset_rows),
    RECURRA_FUNCTION(recurra_state_get),
    RECURRA_FUNCTION(recurra_state_set),
    RECURRA_FUNCTION(recurra_state_copy),
    RECURRA_FUNCTION(recurra_step),
    RECURRA_FUNCTION(recurra_run),
};
#undef RECURRA_FUNCTION

py::dict functions() {
  py::dict addresses;
  for (const auto& function : kFunctions) addresses[function.name] = reinterpret_cast<std::uintptr_t>(function.address);
  return addresses;
}

}  // namespace

void bind_runtime(py::module_& m) { m.def("runtime_functions", &functions); }

}  // namespace recurra
