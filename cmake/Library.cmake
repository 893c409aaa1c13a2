# The runtime: the C ABI (csrc/runtime/include/recurra.h) on the same floors, without Python.
recurra_objects(recurra_runtime_objects
  csrc/runtime/error.cc
)
target_include_directories(recurra_runtime_objects PUBLIC csrc/runtime/include)
target_compile_options(recurra_runtime_objects PRIVATE -fno-exceptions -fno-rtti)

# Beside the whole engine, for the project's own programs.
add_library(recurra_runtime STATIC $<TARGET_OBJECTS:recurra_runtime_objects>)
set_target_properties(recurra_runtime PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(recurra_runtime INTERFACE csrc/runtime/include)
target_link_libraries(recurra_runtime PUBLIC recurra_engine)
