// The kernels for AVX-512 (F, DQ, BW, VL).
#define RECURRA_TARGET avx512
#include "kernels/target_body.h"
