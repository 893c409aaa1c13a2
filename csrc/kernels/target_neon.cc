// The kernels for 64-bit Arm (NEON).
#define RECURRA_TARGET neon
#include "kernels/target_body.h"
