// An amplifier model in an audio callback: blocks of 64 frames at 48 kHz, as a plug-in's host calls it.
//
//   c++ -std=c++17 -O2 main.cc $(recurra-config --cflags --libs) -o amplifier && ./amplifier amplifier.safetensors
//
// Nothing in the callback allocates, locks or calls the system. Prints what share of the time of a block it takes.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <recurra.hpp>
#include <vector>

namespace {

constexpr double kRate = 48000;
constexpr std::size_t kFrames = 64;
constexpr double kBudget = kFrames / kRate;  // seconds: 1.33 ms
constexpr int kBlocks = 3000;                // four seconds of sound

// What a host calls from its real-time thread.
class Amplifier {
 public:
  explicit Amplifier(const recurra::Model& model) : state_(model) {}

  void process(const std::array<float, kFrames>& in, std::array<float, kFrames>& out) { state_.run(kFrames, in, out); }

 private:
  recurra::State state_;
};

// Four seconds of a plucked string: 110 Hz and overtones, struck anew each half second.
std::array<float, kFrames> sound(int block) {
  std::array<float, kFrames> frames;
  for (std::size_t i = 0; i < kFrames; ++i) {
    const double seconds = (block * static_cast<double>(kFrames) + static_cast<double>(i)) / kRate;
    const double since = std::fmod(seconds, 0.5);
    double x = 0;
    for (int overtone = 1; overtone <= 5; ++overtone)
      x += std::sin(2 * M_PI * 110 * overtone * seconds) * std::exp(-4 * overtone * since) / overtone;
    frames[i] = static_cast<float>(0.5 * x);
  }
  return frames;
}

int play(const char* path) {
  recurra::Model model(path);
  Amplifier amplifier(model);
  std::vector<double> shares;
  std::array<float, kFrames> out;
  double peak = 0;
  for (int block = 0; block < kBlocks; ++block) {
    const auto in = sound(block);
    const auto start = std::chrono::steady_clock::now();
    amplifier.process(in, out);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    shares.push_back(took.count() / kBudget);
    for (const float y : out) peak = std::max(peak, std::fabs(static_cast<double>(y)));
  }
  std::sort(shares.begin(), shares.end());
  const auto percent = [&](double of) { return 100 * shares[static_cast<std::size_t>(of * (kBlocks - 1))]; };
  std::printf("%s%d blocks of %zu frames at %.0f Hz on %s, peak %.2f\n", model.text(), kBlocks, kFrames, kRate,
              model.info().isa, peak);
  std::printf("share of the real-time budget: median %.2f %%, p99 %.2f %%, worst %.2f %%\n", percent(0.5),
              percent(0.99), percent(1));
  return peak > 0.5 && peak < 1.5 && percent(0.5) < 100 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return play(argc > 1 ? argv[1] : "amplifier.safetensors");
  } catch (const recurra::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
