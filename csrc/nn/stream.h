// A recurrent layer fed step by step: weights packed once, states carried, nothing allocated by a step.
#pragma once
#include "nn/stack.h"

namespace recurra {

// Serves one caller at a time. Directions other than forward make no sense here and are the caller's to refuse.
template <class T>
class Stream {
 public:
  // `weights` is read here and never again.
  Stream(std::shared_ptr<Plan<T>> plan, const T* weights, long batch);

  // x: [N, I], y: [N, O], contiguous. False when stopped by `poll`; the states are those before the step then.
  bool step(const T* x, T* y, const Poll& poll);

  // To zero.
  void reset();

  long batch() const { return batch_; }
  const Config& config() const { return plan_->config(); }
  // Whether a step takes long enough for other Python threads to want to run beside it.
  bool heavy() const { return heavy_; }
  // The states [L, N, R] and, of an LSTM, [L, N, H].
  T* h() { return h_.data(); }
  T* c() { return c_.data(); }
  long h_size() const { return config().layers * batch_ * config().recurrent(); }
  long c_size() const { return config().cell == kLstm ? config().layers * batch_ * config().hidden : 0; }

 private:
  std::shared_ptr<Plan<T>> plan_;
  long batch_;
  bool heavy_;
  Buffer<T> h_, c_, fresh_h_, fresh_c_;  // before the step, after it
  std::unique_ptr<StackRun<T>> run_;
};

}  // namespace recurra
