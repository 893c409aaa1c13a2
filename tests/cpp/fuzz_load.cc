// libFuzzer's target for the loader of C programs: any bytes give a model that runs, or a status and a sentence.
//
//   clang++ -fsanitize=fuzzer,address,undefined tests/cpp/fuzz_load.cc <library built with fuzzer-no-link,...> -o
//   fuzz_load
//   ./fuzz_load -dict=tests/cpp/model.dict -max_total_time=60 CORPUS
//
// Holds the loader to its word on memory: at most twice the file, once more for calls of shared layers, and a little.
// The last byte of an input says which allocation fails (255: none), so that every way out of the loader is walked.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "recurra.h"

namespace {

constexpr std::size_t kLittle = 1 << 16;     // bookkeeping that does not grow with the file
constexpr std::size_t kMostState = 1 << 24;  // bytes: a state beyond it is not worth running
constexpr std::size_t kSteps = 3, kBatch = 2;

// What the loader holds at once, and when it gets nothing.
struct Memory {
  std::size_t limit, held = 0;
  long fails_at, calls = 0;
};

[[noreturn]] void complain(const char* what) {
  std::fprintf(stderr, "fuzz_load: %s\n", what);
  std::abort();
}

void* allocate(void* user, std::size_t size, std::size_t alignment) {
  Memory& memory = *static_cast<Memory*>(user);
  if (memory.calls++ == memory.fails_at || size > memory.limit) return nullptr;
  void* taken = nullptr;
  if (alignment < sizeof(void*)) alignment = sizeof(void*);
  if (posix_memalign(&taken, alignment, size) != 0) return nullptr;
  memory.held += size;
  return taken;
}

void release(void* user, void* taken, std::size_t size) {
  static_cast<Memory*>(user)->held -= size;
  std::free(taken);
}

// Runs a model that was loaded. Its outputs may be anything; its reads and writes are what the sanitizers watch.
void run(const recurra_model* model) {
  recurra_model_info info{};
  info.struct_size = sizeof info;
  if (recurra_model_get_info(model, &info) != RECURRA_OK) complain("no information on a model that was loaded");
  std::size_t size = 0, alignment = 0;
  if (recurra_state_size(model, kBatch, &size, &alignment) != RECURRA_OK || size > kMostState) return;
  if (info.inputs > 4096 || info.outputs > 4096) return;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) return;
  recurra_state* state = nullptr;
  if (recurra_state_init(model, kBatch, memory, size, &state) == RECURRA_OK) {
    const std::size_t inputs = kBatch * info.inputs, outputs = kBatch * info.outputs;
    const std::vector<double> x(kSteps * inputs), y(kSteps * outputs);  // room enough for every type; zeros are indices
    std::vector<double> out = y;
    recurra_step(model, state, x.data(), inputs, out.data(), outputs);
    recurra_run(model, state, kSteps, x.data(), kSteps * inputs, nullptr, out.data(),
                info.gives_sequence ? kSteps * outputs : outputs);
  }
  std::free(memory);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Changes the header more often than not, and then says its new length, so that the JSON behind it is read at all.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  std::uint64_t header = 0;
  if (size > sizeof header) std::memcpy(&header, data, sizeof header);
  const std::size_t start = sizeof header;
  if (seed % 4 == 0 || size <= start || header > size - start) return LLVMFuzzerMutate(data, size, most);
  const std::vector<std::uint8_t> weights(data + start + header, data + size);
  const std::size_t room = most - start > weights.size() ? most - start - weights.size() : header;
  header = LLVMFuzzerMutate(data + start, header, room < header ? header : room);
  if (start + header + weights.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, &header, sizeof header);
  std::copy(weights.begin(), weights.end(), data + start + header);
  return start + header + weights.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  --size;
  Memory memory{3 * size + kLittle, 0, data[size] == 255 ? -1 : data[size]};
  recurra_options options = RECURRA_OPTIONS_INIT;
  options.allocator = {allocate, release, &memory};
  recurra_model* model = nullptr;
  const recurra_status status = recurra_model_load_memory(data, size, &options, &model);
  if (memory.held > memory.limit) complain("the loader holds more than three times the file");
  if ((status == RECURRA_OK) != (model != nullptr)) complain("a status and a model that do not agree");
  if (status != RECURRA_OK && std::strlen(recurra_last_error()) < 10) complain("a status without a sentence");
  if (model) run(model);
  recurra_model_free(model);
  if (memory.held != 0) complain("memory was not given back");
  return 0;
}
