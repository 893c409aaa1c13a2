// What an audio thread may do, under Clang's RealtimeSanitizer: it stops the program where a function that must not
// block allocates, locks or calls the system.
//
//   clang++ -fsanitize=realtime tests/cpp/realtime.cc ... -o realtime && ./realtime MODEL
//   ./realtime MODEL allocate        shows that the sanitizer watches: must be stopped
#include <cstdio>
#include <cstdlib>
#include <recurra.hpp>
#include <vector>

namespace {

struct Stream {
  const recurra_model* model;
  recurra_state *state, *other;
  recurra_model_info info;
  std::size_t steps;
  std::vector<double> x, y, numbers;  // room for every type
};

// Every function of the runtime that recurra.h calls real-time safe, and those on states.
recurra_status audio_callback(Stream& s, bool allocate) noexcept [[clang::nonblocking]] {
  const std::size_t outputs = s.info.gives_sequence ? s.steps * s.info.outputs : s.info.outputs;
  const std::size_t row = 0;
  if (allocate) {
    void* volatile taken = std::malloc(64);  // volatile: else the compiler leaves both calls out
    std::free(taken);
  }
  recurra_status worst = RECURRA_OK;
  const auto check = [&](recurra_status status) {
    if (status != RECURRA_OK) worst = status;
  };
  check(recurra_step(s.model, s.state, s.x.data(), s.info.inputs, s.y.data(), s.info.outputs));
  check(recurra_run(s.model, s.state, s.steps, s.x.data(), s.steps * s.info.inputs, nullptr, s.y.data(), outputs));
  check(recurra_state_copy(s.model, s.other, s.state));
  check(recurra_state_get(s.model, s.state, s.numbers.data(), s.info.state_numbers));
  check(recurra_state_set(s.model, s.state, s.numbers.data(), s.info.state_numbers));
  check(recurra_state_reset_rows(s.model, s.state, &row, 1));
  check(recurra_state_reset(s.model, s.state));
  // A mistake costs a message, which must not allocate either.
  if (recurra_step(s.model, s.state, s.x.data(), s.info.inputs + 1, s.y.data(), s.info.outputs) == RECURRA_OK)
    worst = RECURRA_BAD_ARGUMENT;
  return worst;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    recurra::Model model(argv[1]);
    recurra::State state(model), other(model);
    Stream stream{model.get(), state.get(), other.get(), model.info(), 64, {}, {}, {}};
    stream.x.resize(stream.steps * model.inputs());
    stream.y.resize(stream.steps * model.outputs());
    stream.numbers.resize(state.numbers());
    for (int block = 0; block < 100; ++block)
      if (audio_callback(stream, argc > 2)) throw recurra::Error(RECURRA_BAD_ARGUMENT, recurra_last_error());
  } catch (const recurra::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::puts("nothing blocks");
  return 0;
}
