/* Streams a sine through the model that train.py saved: sees one number at a time, says the next.
 *
 *   cc main.c $(recurra-config --cflags --libs) -o sine && ./sine sine.safetensors
 */
#include <math.h>
#include <recurra.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 200, SETTLING = 20 };

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, recurra_last_error());
  return 1;
}

int main(int argc, char** argv) {
  recurra_model* model;
  if (recurra_model_load(argc > 1 ? argv[1] : "sine.safetensors", NULL, &model)) return fail("load");

  size_t size, alignment;
  if (recurra_state_size(model, 1, &size, &alignment)) return fail("state size");
  void* memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  recurra_state* state;
  if (!memory || recurra_state_init(model, 1, memory, size, &state)) return fail("state");

  double error = 0;
  for (int t = 0; t < STEPS; ++t) {
    const float x = (float)sin(0.5 + 0.3 * t);
    float y;
    if (recurra_step(model, state, &x, 1, &y, 1)) return fail("step");
    printf("%.9g\n", (double)y);
    if (t >= SETTLING) error += fabs(y - sin(0.5 + 0.3 * (t + 1))) / (STEPS - SETTLING);
  }
  fprintf(stderr, "%s%d steps, mean error %.4f\n", recurra_model_text(model), STEPS, error);

  free(memory);
  recurra_model_free(model);
  return error < 0.05 ? 0 : 1;
}
