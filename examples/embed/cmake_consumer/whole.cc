// Runs whole sequences, 256 at a time, on one thread and on two: the same numbers.
#include <cmath>
#include <cstdio>
#include <recurra.hpp>
#include <vector>

int main(int argc, char** argv) {
  constexpr std::size_t kRows = 256, kSteps = 100;
  const char* path = argc > 1 ? argv[1] : "sine.safetensors";
  try {
    std::vector<std::vector<float>> results;
    for (const unsigned threads : {1u, 2u}) {
      recurra::Options options;
      options.threads = threads;
      recurra::Model model(path, options);
      recurra::State state(model, kRows);
      const std::size_t outputs = model.outputs() * (model.info().gives_sequence ? kSteps : 1);
      std::vector<float> x(kRows * kSteps * model.inputs()), y(kRows * outputs);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.3f * static_cast<float>(i));
      state.run(kSteps, x, y);
      results.push_back(y);
    }
    const bool same = results[0] == results[1];
    std::printf("%zu rows of %zu steps: %s\n", kRows, kSteps, same ? "one thread and two agree" : "they differ");
    return same ? 0 : 1;
  } catch (const recurra::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
