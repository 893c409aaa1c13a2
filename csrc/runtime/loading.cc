// Weights and arguments of layers, as a file holds them.
#include "runtime/loading.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

namespace recurra {

bool Loading::refuse(recurra_status status) {
  if (good()) status_ = status;
  return false;
}

bool Loading::refuse(recurra_status status, const char* format, ...) {
  if (!good()) return false;
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  status_ = fail(status, "%s: %s", file, message);
  return false;
}

void* Loading::take_bytes(long count, std::size_t size) {
  std::size_t bytes;
  void* taken = nullptr;
  if (count >= 0 && !__builtin_mul_overflow(static_cast<std::size_t>(count), size, &bytes)) taken = memory.take(bytes);
  if (!taken) refuse(RECURRA_NO_MEMORY, "expected memory for %ld items of %zu bytes, got none", count, size);
  return taken;
}

const char* Loading::keep_text(Json text) {
  const std::size_t length = text.text(nullptr, 0);
  char* const kept = take<char>(static_cast<long>(length) + 1);
  if (!kept) return "";
  text.text(kept, length + 1);
  return kept;
}

const void* Loading::weight_bytes(const char* prefix, const char* name, const char* dtype, long rows, long columns,
                                  long depth) {
  if (!good()) return nullptr;
  char whole[kMostName + 64];
  std::snprintf(whole, sizeof whole, "%s.%s", prefix, name);
  TensorEntry* const entry = tensors.find(whole);
  if (!entry) {
    refuse(RECURRA_BAD_FILE, "expected the parameter '%s', got none of this name", whole);
    return nullptr;
  }
  const long shape[] = {rows, columns, depth};
  int axes = 0, given = rows == 0 ? 0 : columns == 0 ? 1 : depth == 0 ? 2 : 3;
  bool same = entry->dtype.says(dtype);
  for (JsonEntries lengths(entry->shape); lengths.next(); ++axes) {
    long length = -1;
    lengths.value.get(&length);
    same = same && axes < given && length == shape[axes];
  }
  if (!same || axes != given) {
    char expected[64] = "";
    int at = 0;
    for (int axis = 0; axis < given; ++axis)
      at += std::snprintf(expected + at, sizeof expected - static_cast<std::size_t>(at), axis ? ", %ld" : "%ld",
                          shape[axis]);
    const int width = static_cast<int>(entry->shape.size() < 80 ? entry->shape.size() : 80);
    const int kind = static_cast<int>(entry->dtype.size() < 10 ? entry->dtype.size() : 10);
    refuse(RECURRA_BAD_FILE, "expected the parameter '%s' as %s of shape [%s], got %.*s of shape %.*s", whole, dtype,
           expected, kind, entry->dtype.begin(), width, entry->shape.begin());
    return nullptr;
  }
  if (entry->used && again) return entry->data;
  if (entry->used) {
    refuse(RECURRA_BAD_FILE, "expected layers of different names, got '%s' twice", whole);
    return nullptr;
  }
  entry->used = true;
  parameters += (rows ? rows : 1) * (columns ? columns : 1) * (depth ? depth : 1);
  return entry->data;
}

// Arguments

bool Settings::damaged(const char* key, const char* expected) const {
  const Json got = config_[key];
  const int width = static_cast<int>(got.size() < 60 ? got.size() : 60);
  return loading_.refuse(RECURRA_BAD_FILE, "layer '%s': %s: expected %s, got %.*s", layer_, key, expected, width,
                         got.present() ? got.begin() : "");
}

bool Settings::unsupported(const char* what) const {
  return loading_.refuse(RECURRA_UNSUPPORTED, "layer '%s': expected a layer that the runtime has, got %s", layer_,
                         what);
}

long Settings::integer(const char* key, long fallback, long least, long most) const {
  const Json value = config_[key];
  if (!value.present() || value.is_null()) return fallback;
  long number = 0;
  if (value.get(&number) && number >= least && number <= most) return number;
  damaged(key, "an integer in its range");
  return fallback;
}

double Settings::number(const char* key, double fallback, double least, double most) const {
  const Json value = config_[key];
  if (!value.present() || value.is_null()) return fallback;
  double number = 0;
  if (value.get(&number) && number >= least && number <= most) return number;
  damaged(key, "a number in its range");
  return fallback;
}

bool Settings::flag(const char* key, bool fallback) const {
  const Json value = config_[key];
  if (!value.present() || value.is_null()) return fallback;
  bool flag = fallback;
  if (!value.get(&flag)) damaged(key, "true or false");
  return flag;
}

bool Settings::last_axis(const char* key, long axes) const {
  const long axis = integer(key, -1, -8, 7);
  return axis == -1 || axis == axes - 1;
}

int Settings::choice(const char* key, const char* const* choices) const {
  const Json value = config_[key];
  if (!value.present()) return 0;
  for (int i = 0; choices[i]; ++i)
    if (value.says(choices[i])) return i;
  damaged(key, "one of its choices");
  return 0;
}

namespace {

// Numbers that a formula has, and what they are unless given (recurra.activations.FORMULAS).
struct Formula {
  const char* name;
  int numbers;
  double alpha, beta;
};
constexpr Formula kFormulas[] = {
    {"hard_sigmoid", 2, 1.0 / 6.0, 0.5}, {"elu", 1, 1.0, 0.0},         {"leaky_relu", 1, 0.01, 0.0},
    {"thresholded_relu", 1, 1.0, 0.0},   {"scaled_tanh", 2, 1.0, 1.0}, {"affine", 2, 1.0, 0.0},
};

}  // namespace

Activation Settings::activation(const char* key, const char* fallback, bool* softmax) const {
  return activation(config_[key], key, fallback, softmax);
}

Activation Settings::activation(Json value, const char* key, const char* fallback, bool* softmax) const {
  Json name = value, numbers[2];
  if (value.is_array()) {
    int place = -1;
    for (JsonEntries entries(value); entries.next(); ++place) {
      if (place >= 2) break;
      (place < 0 ? name : numbers[place]) = entries.value;
    }
  } else if (value.is_object()) {
    name = value["name"], numbers[0] = value["alpha"], numbers[1] = value["beta"];
  }
  char text[32];
  if (!value.present() || value.is_null()) {
    std::snprintf(text, sizeof text, "%s", fallback);
  } else if (name.text(text, sizeof text) == 0) {
    damaged(key, "an activation");
    return {};
  }
  if (softmax) *softmax = std::strcmp(text, "softmax") == 0;
  if (softmax && *softmax) return {};
  Activation found;
  if (!find_activation(std::strcmp(text, "linear") == 0 ? "identity" : text, &found.kind)) {
    loading_.refuse(RECURRA_UNSUPPORTED, "layer '%s': %s: expected an activation that the runtime has, got '%s'",
                    layer_, key, text);
    return {};
  }
  for (const Formula& formula : kFormulas) {
    if (std::strcmp(formula.name, text) != 0) continue;
    found.alpha = formula.alpha, found.beta = formula.beta;
    if (numbers[0].present() && !numbers[0].get(&found.alpha)) damaged(key, "an activation");
    if (formula.numbers == 2 && numbers[1].present() && !numbers[1].get(&found.beta)) damaged(key, "an activation");
  }
  return found;
}

}  // namespace recurra
