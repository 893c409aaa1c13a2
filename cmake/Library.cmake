# The library for C programs: csrc/runtime/ on the same floors, without Python, installed as one archive with its headers,
# a CMake package and a file for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The C ABI (csrc/runtime/include/recurra.h).
recurra_objects(recurra_runtime_objects
  csrc/runtime/build_layers.cc
  csrc/runtime/build_recurrent.cc
  csrc/runtime/error.cc
  csrc/runtime/json.cc
  csrc/runtime/layer_ops.cc
  csrc/runtime/loading.cc
  csrc/runtime/memory.cc
  csrc/runtime/model.cc
  csrc/runtime/recurrent_op.cc
  csrc/runtime/row_norm.cc
  csrc/runtime/run.cc
  csrc/runtime/safetensors.cc
  csrc/runtime/state.cc
)
target_include_directories(recurra_runtime_objects PUBLIC csrc/runtime/include)
target_compile_options(recurra_runtime_objects PRIVATE -fno-exceptions -fno-rtti)

# Beside the whole engine, for the project's own programs.
add_library(recurra_runtime STATIC $<TARGET_OBJECTS:recurra_runtime_objects>)
set_target_properties(recurra_runtime PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(recurra_runtime INTERFACE csrc/runtime/include)
target_link_libraries(recurra_runtime PUBLIC recurra_engine)

# ---- librecurra.a --------------------------------------------------------------------------------------------------
# One thread a call, so that it needs no OpenMP.
recurra_objects(recurra_team_of_one ${team_sources})

add_library(recurra STATIC
  $<TARGET_OBJECTS:recurra_runtime_objects>
  $<TARGET_OBJECTS:recurra_kernels>
  $<TARGET_OBJECTS:recurra_team_of_one>)
set_target_properties(recurra PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(recurra INTERFACE csrc/runtime/include)
target_link_libraries(recurra INTERFACE Threads::Threads)
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
  # The team of many threads, which a program links before the archive to have it in place of the team of one.
  recurra_objects(recurra_openmp csrc/base/team.cc)
  target_link_libraries(recurra_openmp PRIVATE OpenMP::OpenMP_CXX)
  install(FILES $<TARGET_OBJECTS:recurra_openmp> DESTINATION ${library_dir} RENAME recurra_openmp.o)
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
