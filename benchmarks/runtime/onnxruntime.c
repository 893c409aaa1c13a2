// ONNX Runtime through its C API, one thread, every tensor made once.   onnxruntime LIBRARY MODEL.onnx UNITS STEPS SECONDS
//
// Its wheel has the library without the header; what is used of the API is a table whose order is part of its contract
// (onnxruntime_c_api.h), so the entries are called by their numbers.
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#include "timer.h"

typedef const void* (*function)();
typedef struct {
  const function* (*get_api)(uint32_t version);
  const char* (*get_version)(void);
} api_base;

enum {
  kGetErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSession = 7,
  kRun = 9,
  kCreateSessionOptions = 10,
  kSetIntraOpNumThreads = 24,
  kCreateTensorWithDataAsOrtValue = 49,
  kCreateCpuMemoryInfo = 69,
};
enum { kFloat = 1, kWarning = 2, kDeviceAllocator = 0, kMemTypeDefault = 0, kMost = 4096 };

static const function* api;
static void* session;
static float input[1], output[1], h[2][kMost], c[2][kMost];
static void *values_in[2][3], *values_out[2][3];
static int turn;

static void check(const void* status) {
  if (!status) return;
  fprintf(stderr, "%s\n", ((const char* (*)(const void*))api[kGetErrorMessage])(status));
  exit(2);
}

static void* tensor(const void* memory, float* data, int rank, int64_t width) {
  const int64_t shape[3] = {1, rank == 3 ? 1 : width, width};
  void* value = NULL;
  size_t bytes = (size_t)width * sizeof(float);
  check(((const void* (*)(const void*, void*, size_t, const int64_t*, size_t, int, void**))
             api[kCreateTensorWithDataAsOrtValue])(memory, data, bytes, shape, (size_t)rank, kFloat, &value));
  return value;
}

// The states go from one pair of arrays to the other and back.
static void step(const float* x, float* y) {
  static const char* const names_in[] = {"x", "h", "c"};
  static const char* const names_out[] = {"y", "h_new", "c_new"};
  input[0] = x[0];
  check(((const void* (*)(void*, const void*, const char* const*, void* const*, size_t, const char* const*, size_t,
                          void**))api[kRun])(session, NULL, names_in, values_in[turn], 3, names_out, 3,
                                             values_out[turn]));
  turn = !turn;
  y[0] = output[0];
}

int main(int count, char** words) {
  void* const library = dlopen(words[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  void* symbol = dlsym(library, "OrtGetApiBase");
  const api_base* (*get_base)(void);
  memcpy(&get_base, &symbol, sizeof symbol);
  api = get_base()->get_api(17);
  void *environment = NULL, *options = NULL, *memory = NULL;
  check(((const void* (*)(int, const char*, void**))api[kCreateEnv])(kWarning, "step", &environment));
  check(((const void* (*)(void**))api[kCreateSessionOptions])(&options));
  check(((const void* (*)(void*, int))api[kSetIntraOpNumThreads])(options, 1));
  check(((const void* (*)(void*, const char*, const void*, void**))api[kCreateSession])(environment, words[2], options,
                                                                                      &session));
  check(((const void* (*)(int, int, void**))api[kCreateCpuMemoryInfo])(kDeviceAllocator, kMemTypeDefault, &memory));
  const int64_t units = atol(words[3]);
  for (int i = 0; i < 2; ++i) {
    values_in[i][0] = tensor(memory, input, 3, 1), values_out[i][0] = tensor(memory, output, 2, 1);
    values_in[i][1] = tensor(memory, h[i], 3, units), values_out[i][1] = tensor(memory, h[!i], 3, units);
    values_in[i][2] = tensor(memory, c[i], 3, units), values_out[i][2] = tensor(memory, c[!i], 3, units);
  }
  return time_steps(count, words);
}
