# The engine: knows only buffers.

# What every object of the project is compiled with. No contraction: fused multiply-adds are written out, so every path
# rounds alike. Sections, so that a program that links the library keeps only what it calls.
add_library(recurra_flags INTERFACE)
target_include_directories(recurra_flags INTERFACE ${PROJECT_SOURCE_DIR}/csrc)
target_compile_options(recurra_flags INTERFACE
  -Wall -Wextra -Wshadow -Werror=pragmas -ffp-contract=off -fno-math-errno -fno-trapping-math
  -ffunction-sections -fdata-sections)
target_compile_definitions(recurra_flags INTERFACE RECURRA_VERSION="${PROJECT_VERSION}")
if(RECURRA_WARNINGS_AS_ERRORS)
  target_compile_options(recurra_flags INTERFACE -Werror)
endif()
if(RECURRA_SANITIZE)
  target_compile_options(recurra_flags INTERFACE -fsanitize=${RECURRA_SANITIZE} -fno-omit-frame-pointer -g -O1)
endif()

function(recurra_objects name)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${ARGN})
  target_link_libraries(${name} PRIVATE recurra_flags Threads::Threads)
endfunction()

# ---- instruction sets: one body, compiled once for each; name, then its flags ---------------------------------------
# Scheduling before the registers are given out overlaps the independent chains of a cell: 2.1 to 1.8 ns a unit of an LSTM
# with 32 registers (Zen 4, GCC 12). With 16 it makes the products spill, at half their speed.
set(wide -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND wide -fschedule-insns -fsched-pressure
    -Wno-maybe-uninitialized -Wno-uninitialized)  # GCC 12 warns within its own intrinsics
endif()
if(processor MATCHES "x86_64|amd64")
  set(flags_baseline -msse2)
endif()
set(flags_avx2 -mavx2 -mfma)
set(flags_avx512 ${wide} -mprefer-vector-width=512)
set(flags_avx512_narrow ${wide} -mprefer-vector-width=256)

set(targets ${RECURRA_ISAS})
if("avx512" IN_LIST targets)
  list(APPEND targets avx512_narrow)
endif()
set(kernel_sources)
foreach(target IN LISTS targets)
  set(source ${PROJECT_SOURCE_DIR}/csrc/kernels/target_${target}.cc)
  if(NOT EXISTS ${source} OR (target STREQUAL "avx512_narrow" AND NOT "avx512" IN_LIST RECURRA_ISAS))
    message(FATAL_ERROR "RECURRA_ISAS: expected some of baseline, avx2, avx512, neon, got ${RECURRA_ISAS}")
  endif()
  list(APPEND kernel_sources ${source})
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${flags_${target}}")
  target_compile_definitions(recurra_flags INTERFACE RECURRA_HAS_${target})
endforeach()

# ---- the objects --------------------------------------------------------------------------------------------------
recurra_objects(recurra_kernels ${kernel_sources})
recurra_objects(recurra_nn
  csrc/base/memory.cc
  csrc/base/team.cc
  csrc/base/threads.cc
  csrc/kernels/dispatch.cc
  csrc/nn/backward.cc
  csrc/nn/config.cc
  csrc/nn/convolution.cc
  csrc/nn/crf.cc
  csrc/nn/ctc.cc
  csrc/nn/ctc_search.cc
  csrc/nn/direction.cc
  csrc/nn/embedding.cc
  csrc/nn/forward.cc
  csrc/nn/linear.cc
  csrc/nn/pack.cc
  csrc/nn/plan.cc
  csrc/nn/probe.cc
  csrc/nn/products.cc
  csrc/nn/random.cc
  csrc/nn/stack.cc
  csrc/nn/stack_backward.cc
  csrc/nn/steps.cc
  csrc/nn/stream.cc
  csrc/nn/trace.cc
  csrc/nn/train.cc
  csrc/nn/updates.cc
  csrc/nn/weight_gradients.cc
)
add_library(recurra_engine STATIC EXCLUDE_FROM_ALL
  $<TARGET_OBJECTS:recurra_kernels> $<TARGET_OBJECTS:recurra_nn>)
set_target_properties(recurra_engine PROPERTIES LINKER_LANGUAGE CXX)
target_link_libraries(recurra_engine PUBLIC recurra_flags Threads::Threads)
if(OpenMP_CXX_FOUND)
  target_link_libraries(recurra_nn PRIVATE OpenMP::OpenMP_CXX)
  target_link_libraries(recurra_engine PUBLIC OpenMP::OpenMP_CXX)
endif()
if(RECURRA_SANITIZE)
  target_link_options(recurra_engine PUBLIC -fsanitize=${RECURRA_SANITIZE})
endif()
