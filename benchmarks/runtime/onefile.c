// What `model.export_c` wrote.   onefile STEPS SECONDS
#include "model.c"
#include "timer.h"

static model_state state;

static void step(const float* x, float* y) { model_step(&state, x, y); }

int main(int count, char** words) {
  model_reset(&state);
  return time_steps(count, words);
}
