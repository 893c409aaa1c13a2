// The C library.   recurra MODEL ISA STEPS SECONDS
#include <recurra.h>

#include "timer.h"

static recurra_model* model;
static recurra_state* state;

static void step(const float* x, float* y) {
  if (recurra_step(model, state, x, 1, y, 1)) exit(2);
}

int main(int count, char** words) {
  recurra_options options = RECURRA_OPTIONS_INIT;
  options.isa = words[2];
  size_t size, alignment;
  void* memory = NULL;
  if (recurra_model_load(words[1], &options, &model) || recurra_state_size(model, 1, &size, &alignment) ||
      !(memory = aligned_alloc(alignment, size)) || recurra_state_init(model, 1, memory, size, &state)) {
    fprintf(stderr, "%s\n", recurra_last_error());
    return 2;
  }
  return time_steps(count, words);
}
