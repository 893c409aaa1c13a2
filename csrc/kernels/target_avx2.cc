// The kernels for AVX2 with FMA.
#define RECURRA_TARGET avx2
#include "kernels/target_body.h"
