// The activations by name: what a cell or a dense layer may apply to its pre-activations.
//
// No standard headers here: this file is also part of what is compiled once per instruction set.
#pragma once

namespace recurra {

enum class ActivationKind {
  kTanh,
  kSigmoid,
  kRelu,
  kHardSigmoid,
  kSoftsign,
  kSoftplus,
  kElu,
  kLeakyRelu,
  kThresholdedRelu,
  kScaledTanh,
  kAffine,
  kIdentity,
};

// Names in the order of ActivationKind. Formulas: cells/activation.h.
constexpr const char* kActivationNames[] = {
    "tanh",       "sigmoid",          "relu",        "hard_sigmoid", "softsign", "softplus", "elu",
    "leaky_relu", "thresholded_relu", "scaled_tanh", "affine",       "identity",
};
constexpr int kActivationCount = sizeof(kActivationNames) / sizeof(kActivationNames[0]);
static_assert(kActivationCount == static_cast<int>(ActivationKind::kIdentity) + 1, "one name for each kind");

struct Activation {
  ActivationKind kind = ActivationKind::kIdentity;
  double alpha = 0, beta = 0;  // as in the formula; ignored by kinds without them
};

// Finds a kind by its name; false when there is none.
static inline bool find_activation(const char* name, ActivationKind* kind) {
  for (int i = 0; i < kActivationCount; ++i) {
    const char *a = name, *b = kActivationNames[i];
    while (*a != '\0' && *a == *b) ++a, ++b;
    if (*a == *b) {
      *kind = static_cast<ActivationKind>(i);
      return true;
    }
  }
  return false;
}

}  // namespace recurra
