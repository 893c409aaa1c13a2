// The engine without Python: an LSTM against the papers' equations in plain loops, and its gradients against finite differences.
//
// Builds with any C++17 compiler, also across architectures:
//   c++ -std=c++17 -O2 -ffp-contract=off -DRECURRA_HAS_<target> -Icsrc tests/cpp/engine.cc <sources of recurra_engine> -o engine
#include <cmath>
#include <cstdio>
#include <vector>

#include "kernels/dispatch.h"
#include "nn/stack.h"

namespace {

using namespace recurra;

constexpr long N = 5, T = 4, I = 3, H = 9;

double random_number(unsigned long& state) {
  state = state * 6364136223846793005ul + 1442695040888963407ul;
  return static_cast<double>(state >> 33) / 2147483648.0 - 0.5;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Hochreiter & Schmidhuber 1997, gates i f g o; returns h of the last step, (N, H).
std::vector<double> plain_lstm(const std::vector<double>& w, const std::vector<double>& x) {
  const double *ih = w.data(), *hh = ih + 4 * H * I, *bi = hh + 4 * H * H, *bh = bi + 4 * H;
  std::vector<double> out(N * H);
  for (long n = 0; n < N; ++n) {
    std::vector<double> h(H), c(H), z(4 * H);
    for (long t = 0; t < T; ++t) {
      for (long r = 0; r < 4 * H; ++r) {
        z[r] = bi[r] + bh[r];
        for (long k = 0; k < I; ++k) z[r] += ih[r * I + k] * x[(n * T + t) * I + k];
        for (long k = 0; k < H; ++k) z[r] += hh[r * H + k] * h[k];
      }
      for (long j = 0; j < H; ++j) {
        c[j] = sigmoid(z[H + j]) * c[j] + sigmoid(z[j]) * std::tanh(z[2 * H + j]);
        h[j] = sigmoid(z[3 * H + j]) * std::tanh(c[j]);
      }
    }
    for (long j = 0; j < H; ++j) out[n * H + j] = h[j];
  }
  return out;
}

template <class Number>
std::vector<Number> engine_lstm(const std::vector<Number>& w, const std::vector<Number>& x, std::vector<Number>* gradients) {
  Config config;
  config.input = I, config.hidden = H;
  config.activation.kind = config.output_activation.kind = ActivationKind::kTanh;
  config.gate_activation.kind = ActivationKind::kSigmoid;
  std::vector<Number> y(N * H), hn(N * H), cn(N * H), dx(N * T * I);
  StackArguments<Number> a;
  a.batch = N, a.time = T, a.x = {x.data(), T * I, I, 1}, a.sequences = false;
  a.y = y.data(), a.hn = hn.data(), a.cn = cn.data();
  StackRun<Number> run(std::make_shared<Plan<Number>>(config), w.data(), a, gradients != nullptr);
  run.forward({});
  if (gradients) {
    const std::vector<Number> ones(N * H, Number(1));
    StackGradients<Number> g;
    g.dy = ones.data(), g.dx = dx.data(), g.weights = gradients->data();
    run.backward(g, false, {});
  }
  return y;
}

}  // namespace

int main() {
  unsigned long state = 7;
  std::vector<double> w(4 * H * (I + H + 2)), x(N * T * I), gradients(w.size());
  for (double& v : w) v = random_number(state);
  for (double& v : x) v = 2 * random_number(state);
  const std::vector<double> expected = plain_lstm(w, x), got = engine_lstm(w, x, &gradients);
  const std::vector<float> single = engine_lstm<float>({w.begin(), w.end()}, {x.begin(), x.end()}, nullptr);
  double error = 0, error_float = 0, error_gradient = 0;
  for (long i = 0; i < N * H; ++i) {
    error = std::fmax(error, std::fabs(got[i] - expected[i]));
    error_float = std::fmax(error_float, std::fabs(single[i] - expected[i]));
  }
  for (std::size_t i = 0; i < w.size(); ++i) {
    std::vector<double> up = w, down = w;
    up[i] += 1e-6, down[i] -= 1e-6;
    double difference = 0;
    const std::vector<double> a = plain_lstm(up, x), b = plain_lstm(down, x);
    for (long j = 0; j < N * H; ++j) difference += (a[j] - b[j]) / 2e-6;
    error_gradient = std::fmax(error_gradient, std::fabs(difference - gradients[i]));
  }
  std::printf("%s: float64 %.1e, float32 %.1e, gradients %.1e\n", isa().c_str(), error, error_float, error_gradient);
  return error < 1e-13 && error_float < 2e-6 && error_gradient < 1e-7 ? 0 : 1;
}
