// Streaming is the pass of a sequence of one step, over and over.
#include "nn/stream.h"

#include <algorithm>

namespace recurra {

constexpr double kHeavyFlops = 1e5;  // a few microseconds, against a tenth of one to hand the interpreter over

template <class T>
Stream<T>::Stream(std::shared_ptr<Plan<T>> plan, const T* weights, long batch)
    : plan_(std::move(plan)),
      batch_(batch),
      heavy_(2.0 * static_cast<double>(plan_->layout().size) * static_cast<double>(batch) > kHeavyFlops) {
  const auto buffer = [](long size) { return Buffer<T>(static_cast<std::size_t>(size)); };
  h_ = buffer(h_size()), fresh_h_ = buffer(h_size());
  if (c_size()) c_ = buffer(c_size()), fresh_c_ = buffer(c_size());
  reset();
  const Config& config = plan_->config();
  StackArguments<T> a;
  a.batch = batch, a.time = 1, a.lasting = true;
  a.x = {nullptr, config.input, config.input, 1};
  a.y = h_.data();  // some address: every step brings its own
  a.h0 = h_.data(), a.c0 = c_.data(), a.hn = fresh_h_.data(), a.cn = fresh_c_.data();
  run_ = std::make_unique<StackRun<T>>(plan_, weights, a, false);
}

template <class T>
bool Stream<T>::step(const T* x, T* y, const Poll& poll) {
  if (!run_->forward_again(x, y, poll)) return false;
  std::copy_n(fresh_h_.data(), h_size(), h_.data());
  std::copy_n(fresh_c_.data(), c_size(), c_.data());
  return true;
}

template <class T>
void Stream<T>::reset() {
  std::fill_n(h_.data(), h_size(), T(0));
  std::fill_n(c_.data(), c_size(), T(0));
}

template class Stream<float>;
template class Stream<double>;

}  // namespace recurra
