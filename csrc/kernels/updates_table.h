// What an optimizer's rule does to a stretch of the parameters: the list of rules and the plain struct they take.
//
// Every rule works on each element alone, so no result depends on how a stretch is split.
#pragma once

namespace recurra {

enum class Rule {
  kSgd,
  kMomentum,
  kNesterov,
  kRmsprop,
  kRmspropMomentum,
  kRmspropCentered,
  kRmspropCenteredMomentum,
  kAdagrad,
  kAdadelta,
  kAdam,
  kAmsgrad,
  kNadam,
  kAdamax,
  kLion,
  kAverage,
  kAdd,
};

struct RuleShape {
  const char* name;
  int slots, numbers;
};
constexpr int kMostSlots = 3, kMostNumbers = 7;

// By Rule: what Python calls it, how many slots and numbers it takes; kernels/updates.h names them.
constexpr RuleShape kRules[] = {
    {"sgd", 0, 1},
    {"momentum", 1, 2},
    {"nesterov", 1, 2},
    {"rmsprop", 1, 4},
    {"rmsprop_momentum", 2, 5},
    {"rmsprop_centered", 2, 4},
    {"rmsprop_centered_momentum", 3, 5},
    {"adagrad", 1, 2},
    {"adadelta", 2, 4},
    {"adam", 2, 6},
    {"amsgrad", 3, 6},
    {"nadam", 2, 7},
    {"adamax", 2, 5},
    {"lion", 1, 5},
    {"average", 0, 2},
    {"add", 0, 0},
};
constexpr int kRuleCount = sizeof(kRules) / sizeof(kRules[0]);

// One step on `count` elements. The rule sees g = clamp(scale * gradients, -limit, limit) and p = decay * parameters.
template <class T>
struct Update {
  long count;
  T* parameters;
  const T* gradients;
  T* slots[kMostSlots];
  T numbers[kMostNumbers];  // rounded once from double
  T scale, limit, decay;
};

}  // namespace recurra
