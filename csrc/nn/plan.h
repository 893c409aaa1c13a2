// A recurrent layer ready to run: its configuration, its parameter layout, and the packed form of the weights last
// seen.
#pragma once
#include <memory>
#include <mutex>

#include "nn/pack.h"

namespace recurra {

template <class T>
class Plan {
 public:
  using Number = T;
  explicit Plan(const Config& config) : config_(config), layout_(layout_of(config)) { check(config); }

  const Config& config() const { return config_; }
  const Layout& layout() const { return layout_; }

  // The packed form of `weights`, packed anew only when they differ from those seen last; `unchanged`: the caller
  // vouches that they do not, which saves reading both. Safe from several threads.
  std::shared_ptr<const PackedWeights<T>> packed(const T* weights, bool backward, bool unchanged);

 private:
  Config config_;
  Layout layout_;
  std::mutex mutex_;
  std::shared_ptr<const PackedWeights<T>> packed_;
};

}  // namespace recurra
