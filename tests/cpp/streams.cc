// A thousand streams of one model, served by two threads, while a third loads models and makes mistakes.
//
//   streams MODEL SECONDS [STREAMS]
//
// Every stream gets the same inputs, so all must give the outputs of the first one, to the bit. Run under
// ThreadSanitizer it shows that sharing a model is safe; without, it prints how long a step takes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <recurra.hpp>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kServers = 2;
constexpr std::size_t kPeriod = 200;  // steps until all streams start anew

struct Server {
  std::vector<recurra::State> streams;
  std::vector<double> nanoseconds;
  std::size_t steps = 0, wrong = 0;

  // Steps all its streams in turn until `stop`.
  void run(const std::vector<float>& x, const std::vector<float>& expected, const std::atomic<bool>& stop) {
    const std::size_t inputs = x.size() / kPeriod, outputs = expected.size() / kPeriod;
    std::vector<float> y(outputs);
    for (std::size_t t = 0; !stop; t = (t + 1) % kPeriod)
      for (recurra::State& stream : streams) {
        if (t == 0) stream.reset();
        const auto start = Clock::now();
        stream.step(recurra::span<const float>(x.data() + t * inputs, inputs), y);
        const std::chrono::duration<double, std::nano> took = Clock::now() - start;
        if (nanoseconds.size() < nanoseconds.capacity()) nanoseconds.push_back(took.count());
        wrong += std::memcmp(y.data(), expected.data() + t * outputs, outputs * sizeof(float)) != 0;
        ++steps;
      }
  }
};

// Loads, misuses and frees until `stop`; how often a message was not about its own mistake.
std::size_t disturb(const char* path, const recurra::Model& shared, const std::atomic<bool>& stop) {
  std::size_t wrong = 0;
  while (!stop) {
    recurra::Model own(path);
    recurra::State state(own);
    float number = 0;
    if (recurra_step(shared.get(), state.get(), &number, 0, &number, 0) == RECURRA_OK) ++wrong;
    if (recurra_model_load("/nowhere/at/all", nullptr, nullptr) == RECURRA_OK) ++wrong;
    wrong += std::strlen(recurra_last_error()) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return wrong;
}

int serve(const char* path, double seconds, std::size_t streams) {
  recurra::Model model(path);
  std::vector<float> x(kPeriod * model.inputs()), expected(kPeriod * model.outputs());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.3f * static_cast<float>(i));
  recurra::State first(model);
  for (std::size_t t = 0; t < kPeriod; ++t)
    first.step(recurra::span<const float>(x.data() + t * model.inputs(), model.inputs()),
               recurra::span<float>(expected.data() + t * model.outputs(), model.outputs()));

  std::vector<Server> servers(kServers);
  for (std::size_t i = 0; i < streams; ++i) servers[i % kServers].streams.emplace_back(model);
  std::atomic<bool> stop{false};
  std::size_t wrong = 0, steps = 0;
  std::vector<std::thread> threads;
  for (Server& server : servers) {
    server.nanoseconds.reserve(1000000);
    threads.emplace_back([&] { server.run(x, expected, stop); });
  }
  threads.emplace_back([&] { wrong += disturb(path, model, stop); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (std::thread& thread : threads) thread.join();

  std::vector<double> times;
  for (const Server& server : servers) {
    times.insert(times.end(), server.nanoseconds.begin(), server.nanoseconds.end());
    wrong += server.wrong, steps += server.steps;
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("%zu streams, %zu threads, %zu steps in %.0f s, %zu wrong; a step: median %.0f ns, p99 %.0f ns\n",
              streams, kServers, steps, seconds, wrong, at(0.5), at(0.99));
  return wrong == 0 && steps >= streams ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    return serve(argv[1], std::strtod(argv[2], nullptr), argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1000);
  } catch (const recurra::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
