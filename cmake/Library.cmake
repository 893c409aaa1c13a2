# The library for C programs: csrc/runtime/ on the same floors, without Python, installed as one archive with its headers,
# a CMake package and a file for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The C ABI (csrc/runtime/include/recurra.h). run.cc alone knows of threads.
function(recurra_runtime_part name)
  recurra_objects(${name} ${ARGN})
  target_compile_options(${name} PRIVATE -fno-exceptions -fno-rtti)
endfunction()
recurra_runtime_part(recurra_runtime_objects
  csrc/kernels/inference_rows.cc
  csrc/runtime/attention_op.cc
  csrc/runtime/build_graph.cc
  csrc/runtime/build_joins.cc
  csrc/runtime/build_layers.cc
  csrc/runtime/build_recurrent.cc
  csrc/runtime/error.cc
  csrc/runtime/join_ops.cc
  csrc/runtime/json.cc
  csrc/runtime/layer_ops.cc
  csrc/runtime/loading.cc
  csrc/runtime/memory.cc
  csrc/runtime/model.cc
  csrc/runtime/recurrent_op.cc
  csrc/runtime/row_norm.cc
  csrc/runtime/safetensors.cc
  csrc/runtime/state.cc
)
recurra_runtime_part(recurra_run csrc/runtime/run.cc)
recurra_runtime_part(recurra_run_with_threads csrc/runtime/run.cc)
if(OpenMP_CXX_FOUND)
  target_link_libraries(recurra_run_with_threads PRIVATE OpenMP::OpenMP_CXX)
endif()

# Beside the engine, for the Python module.
add_library(recurra_runtime STATIC EXCLUDE_FROM_ALL
  $<TARGET_OBJECTS:recurra_runtime_objects> $<TARGET_OBJECTS:recurra_run_with_threads>)
set_target_properties(recurra_runtime PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(recurra_runtime INTERFACE csrc/runtime/include)
target_link_libraries(recurra_runtime PUBLIC recurra_engine)

# ---- librecurra.a: docs/decisions/0019-one-serial-archive.md ---------------------------------------------------------
# One thread a call.
add_library(recurra STATIC
  $<TARGET_OBJECTS:recurra_runtime_objects>
  $<TARGET_OBJECTS:recurra_run>
  $<TARGET_OBJECTS:recurra_kernels>)
set_target_properties(recurra PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(recurra INTERFACE csrc/runtime/include)
if(RECURRA_SANITIZE)
  target_link_options(recurra INTERFACE -fsanitize=${RECURRA_SANITIZE})
endif()
add_library(recurra::recurra ALIAS recurra)

# ---- installing ----------------------------------------------------------------------------------------------------
if(SKBUILD)
  set(library_dir lib)  # within the Python package
else()
  set(library_dir ${CMAKE_INSTALL_LIBDIR})
endif()
set(openmp_libraries)
if(OpenMP_CXX_FOUND)
  # A program links it before the archive and so has it in place of the archive's.
  set_target_properties(recurra_run_with_threads PROPERTIES EXCLUDE_FROM_ALL OFF)
  install(FILES $<TARGET_OBJECTS:recurra_run_with_threads> DESTINATION ${library_dir} RENAME recurra_openmp.o)
  list(FILTER OpenMP_CXX_LIB_NAMES EXCLUDE REGEX "pthread")
  set(openmp_libraries ${OpenMP_CXX_LIB_NAMES})
endif()
install(TARGETS recurra ARCHIVE DESTINATION ${library_dir})
install(FILES csrc/runtime/include/recurra.h csrc/runtime/include/recurra.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(cmake_dir ${library_dir}/cmake/recurra)
configure_package_config_file(cmake/recurraConfig.cmake.in ${PROJECT_BINARY_DIR}/recurraConfig.cmake
  INSTALL_DESTINATION ${cmake_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR library_dir NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/recurraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/recurraConfig.cmake ${PROJECT_BINARY_DIR}/recurraConfigVersion.cmake
  DESTINATION ${cmake_dir})

file(RELATIVE_PATH prefix_of_pc /prefix/${library_dir}/pkgconfig /prefix)
configure_file(cmake/recurra.pc.in ${PROJECT_BINARY_DIR}/recurra.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/recurra.pc DESTINATION ${library_dir}/pkgconfig)
if(NOT SKBUILD)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/recurra)
endif()
