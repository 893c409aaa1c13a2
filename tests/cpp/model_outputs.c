/* Runs saved models and compares with the outputs that Python gave: whole sequences, and step by step.
 *
 *   model_outputs TOLERANCE ISA MODEL...     ISA: an instruction set, or "best"
 *
 * Beside each model lies MODEL.numbers: int64 [B, T, x bytes, y bytes], x [B, T, I], y [B, T, O] or [B, O]. Prints the
 * largest difference, relative to max(1, |expected|), of each model; ends with status 1 if one exceeds TOLERANCE.
 */
#include <math.h>
#include <recurra.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int64_t batch, steps, x_bytes, y_bytes;
  char *x, *y;
} numbers;

static numbers read_numbers(const char* model) {
  numbers n = {0, 0, 0, 0, NULL, NULL};
  char path[4096];
  snprintf(path, sizeof path, "%s.numbers", model);
  FILE* file = fopen(path, "rb");
  int64_t head[4];
  if (!file || fread(head, sizeof head, 1, file) != 1) exit(2);
  n.batch = head[0], n.steps = head[1], n.x_bytes = head[2], n.y_bytes = head[3];
  n.x = malloc((size_t)n.x_bytes), n.y = malloc((size_t)n.y_bytes);
  if (fread(n.x, (size_t)n.x_bytes, 1, file) != 1 || fread(n.y, (size_t)n.y_bytes, 1, file) != 1) exit(2);
  fclose(file);
  return n;
}

static double number(recurra_dtype dtype, const char* of, size_t i) {
  return dtype == RECURRA_FLOAT32 ? (double)((const float*)(const void*)of)[i] : ((const double*)(const void*)of)[i];
}

/* The largest difference of `count` numbers; infinite where only one is not a number. */
static double difference(recurra_dtype dtype, const char* got, const char* expected, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const double a = number(dtype, got, i), b = number(dtype, expected, i);
    if (a == b || (isnan(a) && isnan(b))) continue;
    const double apart = fabs(a - b) / fmax(1, fabs(b));
    largest = isnan(apart) ? INFINITY : fmax(largest, apart);
  }
  return largest;
}

static double fail(const char* model) {
  fprintf(stderr, "%s: %s\n", model, recurra_last_error());
  return INFINITY;
}

/* Steps of all rows; only the last output counts where the model gives no sequence. */
static double by_steps(const recurra_model* model, const recurra_model_info* info, recurra_state* state,
                       const numbers* n, const char* name) {
  const size_t batch = (size_t)n->batch, steps = (size_t)n->steps;
  const size_t x_row = (size_t)n->x_bytes / (batch * steps), y_size = info->dtype == RECURRA_FLOAT32 ? 4 : 8;
  const size_t y_row = info->outputs * y_size;
  char *x = malloc(batch * x_row), *y = malloc(batch * y_row);
  double largest = 0;
  if (recurra_state_reset(model, state)) return fail(name);
  for (size_t t = 0; t < steps; ++t) {
    for (size_t b = 0; b < batch; ++b) memcpy(x + b * x_row, n->x + (b * steps + t) * x_row, x_row);
    if (recurra_step(model, state, x, batch * info->inputs, y, batch * info->outputs)) return fail(name);
    for (size_t b = 0; b < batch; ++b) {
      if (!info->gives_sequence && t + 1 < steps) break;
      const char* expected = n->y + (info->gives_sequence ? b * steps + t : b) * y_row;
      largest = fmax(largest, difference(info->dtype, y + b * y_row, expected, info->outputs));
    }
  }
  free(x), free(y);
  return largest;
}

static double check(const char* path, const char* isa) {
  const numbers n = read_numbers(path);
  recurra_options options = RECURRA_OPTIONS_INIT;
  options.isa = strcmp(isa, "best") == 0 ? NULL : isa;
  recurra_model* model;
  if (recurra_model_load(path, &options, &model)) return fail(path);
  recurra_model_info info = {.struct_size = sizeof info};
  if (recurra_model_get_info(model, &info)) return fail(path);
  size_t size, alignment;
  if (recurra_state_size(model, (size_t)n.batch, &size, &alignment)) return fail(path);
  void* memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  recurra_state* state;
  if (recurra_state_init(model, (size_t)n.batch, memory, size, &state)) return fail(path);

  const size_t x_size = info.input_dtype == RECURRA_FLOAT32 ? 4 : 8, y_size = info.dtype == RECURRA_FLOAT32 ? 4 : 8;
  char* y = malloc((size_t)n.y_bytes);
  if (recurra_run(model, state, (size_t)n.steps, n.x, (size_t)n.x_bytes / x_size, NULL, y, (size_t)n.y_bytes / y_size))
    return fail(path);
  double largest = difference(info.dtype, y, n.y, (size_t)n.y_bytes / y_size);
  if (info.can_step) largest = fmax(largest, by_steps(model, &info, state, &n, path));
  printf("%.3g %s %s\n", largest, info.isa, path);
  free(y), free(memory), free(n.x), free(n.y);
  recurra_model_free(model);
  return largest;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  double largest = 0;
  for (int i = 3; i < argc; ++i) largest = fmax(largest, check(argv[i], argv[2]));
  return largest <= strtod(argv[1], NULL) ? 0 : 1;
}
