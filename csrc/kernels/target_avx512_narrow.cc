// The recurrent kernels for AVX-512 with vectors of 256 bits, for layers that would fill wide ones badly
// (kernels/dispatch.h). Same operations in the same order, so same bits.
#define RECURRA_TARGET avx512_narrow
#define RECURRA_VECTOR_BYTES 32
#include "kernels/target_body.h"
