// Statuses with a sentence: the detail message of the calling thread.
#pragma once
#include "runtime/include/recurra.h"

namespace recurra {

// Words the calling thread's last error, as printf does, and returns `status`.
__attribute__((format(printf, 2, 3))) recurra_status fail(recurra_status status, const char* format, ...);

}  // namespace recurra
