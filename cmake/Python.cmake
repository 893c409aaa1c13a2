# recurra._core: the engine and its pybind11 bindings.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 CONFIG REQUIRED)

pybind11_add_module(_core MODULE
  csrc/bindings/embedding.cc
  csrc/bindings/feeds.cc
  csrc/bindings/convolution.cc
  csrc/bindings/linear.cc
  csrc/bindings/module.cc
  csrc/bindings/recurrent.cc
  csrc/bindings/runtime.cc
  csrc/bindings/sequence_losses.cc
  csrc/bindings/stream.cc
  csrc/bindings/train.cc
  csrc/bindings/updates.cc
)
target_link_libraries(_core PRIVATE recurra_runtime)
target_compile_options(_core PRIVATE -Wall -Wextra)
# Else pybind11 asks at each reference whether the GIL is held: a quarter of the time of a small call.
target_compile_definitions(_core PRIVATE $<$<CONFIG:Release>:NDEBUG>)
install(TARGETS _core LIBRARY DESTINATION .)
