// Versions, statuses in words, and the last error of each thread.
#include "runtime/error.h"

#include <cstdarg>
#include <cstdio>

namespace recurra {
namespace {

thread_local char last_error[512] = "";  // a message ends there if it must

}  // namespace

recurra_status fail(recurra_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace recurra

uint32_t recurra_abi_version(void) { return RECURRA_ABI_VERSION; }

const char* recurra_version(void) { return RECURRA_VERSION; }

const char* recurra_last_error(void) { return recurra::last_error; }

const char* recurra_status_text(recurra_status status) {
  switch (status) {
    case RECURRA_OK:
      return "ok";
    case RECURRA_BAD_ARGUMENT:
      return "bad argument";
    case RECURRA_NO_MEMORY:
      return "no memory";
    case RECURRA_NO_FILE:
      return "no file";
    case RECURRA_BAD_FILE:
      return "bad file";
    case RECURRA_NEWER_FILE:
      return "newer file";
    case RECURRA_UNSUPPORTED:
      return "unsupported";
    case RECURRA_WRONG_STATE:
      return "wrong state";
    case RECURRA_CANNOT_STEP:
      return "cannot step";
    case RECURRA_STATUS_MAX_:
      break;
  }
  return "unknown status";
}
