/* Says what a saved model is. */
#include <recurra.h>
#include <stdio.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s model.safetensors\n", argv[0]);
    return 2;
  }
  recurra_model* model;
  if (recurra_model_load(argv[1], NULL, &model)) {
    fprintf(stderr, "%s\n", recurra_last_error());
    return 1;
  }
  recurra_model_info info = {.struct_size = sizeof info};
  recurra_model_get_info(model, &info);
  printf("recurra %s, %s\n%s", recurra_version(), info.isa, recurra_model_text(model));
  printf("%zu inputs, %zu outputs, %zu parameters, %zu bytes in memory\n", info.inputs, info.outputs, info.parameters,
         info.memory);
  for (size_t i = 0; i < info.states; ++i) {
    recurra_state_info state = {.struct_size = sizeof state};
    recurra_model_get_state(model, i, &state);
    printf("state %s of layer %zu: %zu numbers\n", state.name, state.layer, state.numbers);
  }
  recurra_model_free(model);
  return 0;
}
