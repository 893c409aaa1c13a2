// A recurrent layer for Python: the plan of either number type.
#pragma once
#include <memory>
#include <variant>

#include "nn/plan.h"

namespace recurra {

struct Recurrent {
  std::variant<std::shared_ptr<Plan<float>>, std::shared_ptr<Plan<double>>> plan;
  template <class F>
  auto visit(const F& f) const {
    return std::visit(f, plan);
  }
  const Config& config() const {
    return *visit([](const auto& typed) { return &typed->config(); });
  }
};

}  // namespace recurra
