// The kernels for baseline x86-64 (SSE2): two roundings in a multiply-add.
#define RECURRA_TARGET baseline
#include "kernels/target_body.h"
