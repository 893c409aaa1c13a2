// The parts of the module.
#pragma once
#include <pybind11/pybind11.h>

namespace recurra {

void bind_convolution(pybind11::module_& m);
void bind_embedding(pybind11::module_& m);
void bind_feeds(pybind11::module_& m);
void bind_linear(pybind11::module_& m);
void bind_recurrent(pybind11::module_& m);
void bind_runtime(pybind11::module_& m);
void bind_sequence_losses(pybind11::module_& m);
void bind_stream(pybind11::module_& m);
void bind_train(pybind11::module_& m);
void bind_updates(pybind11::module_& m);

}  // namespace recurra
