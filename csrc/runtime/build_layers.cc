// Layers outside the recurrence into operations, and which class becomes what.
#include <cstdio>
#include <cstring>

#include "nn/packed_matrix.h"
#include "runtime/builder.h"

namespace recurra {

template <class T>
bool Builder<T>::activate(const Activation& activation, bool softmax) {
  if (softmax) return add<Op<T>>(run_softmax<T>, plan.here.width) != nullptr;
  if (activation.kind == ActivationKind::kIdentity) return loading.good();
  auto* const op = add<ActivationOp<T>>(run_activation<T>, plan.here.width);
  if (op) op->activation = activation;
  return op != nullptr;
}

template <class T>
bool Builder<T>::add_dense(const Settings& s, const char* prefix) {
  const long units = s.integer("units", 0, 1, kMostWidth), features = plan.here.width;
  bool softmax;
  const Activation activation = s.activation("activation", "identity", &softmax);
  const T* const weight = loading.weight<T>(prefix, "weight", units, features);
  const T* const bias = s.flag("use_bias", true) ? loading.weight<T>(prefix, "bias", units) : nullptr;
  if (!loading.good()) return false;
  auto* const op = add<DenseOp<T>>(run_dense<T>, units);
  if (!op) return false;
  op->weights = pack_dense(weight, features, units);
  op->bias = pad(bias, units, padded_width<T>(units));
  return activate(activation, softmax);
}

template <class T>
bool Builder<T>::add_embedding(const Settings& s, const char* prefix) {
  if (plan.here.place != kInput) return s.unsupported("an Embedding behind other layers");
  const long rows = s.integer("input_dim", 0, 1, kMostWidth), width = s.integer("output_dim", 0, 1, kMostWidth);
  const T* const table = loading.weight<T>(prefix, "embeddings", rows, width);
  if (!table) return false;
  auto* const op = add<EmbeddingOp<T>>(run_embedding<T>, width);
  T* const own = op ? loading.take<T>(rows * padded_width<T>(width)) : nullptr;
  if (!own) return false;
  for (long row = 0; row < rows; ++row)
    std::memcpy(own + row * padded_width<T>(width), table + row * width, static_cast<std::size_t>(width) * sizeof(T));
  op->table = own;
  --plan.number_readers, ++plan.integer_readers;
  if (plan.vocabulary == 0 || rows < plan.vocabulary) plan.vocabulary = rows;
  if (s.flag("mask_zero", false)) plan.masks_zero = true, ++plan.masked_readers;
  return loading.good();
}

template <class T>
bool Builder<T>::add_conv(const Settings& s, const char* prefix) {
  const long filters = s.integer("filters", 0, 1, kMostWidth), taps = s.integer("kernel_size", 0, 1, kMostWidth);
  const long dilation = s.integer("dilation_rate", 1, 1, kMostWidth), groups = s.integer("groups", 1, 1, filters);
  const long channels = plan.here.width;
  if (!s["padding"].says("causal") || s.integer("strides", 1, 1, kMostWidth) != 1)
    return s.unsupported("a Conv1D that is not causal with strides of 1");
  plan.needs_steps = true;
  if (!plan.here.steps || filters % groups != 0 || channels % groups != 0 || (taps - 1) * dilation >= kMostWidth)
    return s.damaged("groups", "a convolution that its input fits");
  bool softmax;
  const Activation activation = s.activation("activation", "identity", &softmax);
  const long per_group = channels / groups, own = filters / groups, depth = taps * per_group;
  const T* const weight = loading.weight<T>(prefix, "weight", filters, per_group, taps);
  const T* const bias = s.flag("use_bias", true) ? loading.weight<T>(prefix, "bias", filters) : nullptr;
  if (!weight) return false;
  auto* const op = add<ConvOp<T>>(run_conv<T>, filters);
  Packed<T>* const packed = op ? loading.take<Packed<T>>(groups) : nullptr;
  T* const biases = packed ? loading.take<T>(groups * padded_width<T>(own)) : nullptr;
  T* const turned = biases ? loading.take<T>(own * depth) : nullptr;  // of a group: [filters, taps, channels]
  if (!turned) return false;
  for (long group = 0; group < groups; ++group) {
    const T* const from = weight + group * own * depth;
    for (long filter = 0; filter < own; ++filter)
      for (long channel = 0; channel < per_group; ++channel)
        for (long tap = 0; tap < taps; ++tap)
          turned[filter * depth + tap * per_group + channel] = from[(filter * per_group + channel) * taps + tap];
    packed[group] = pack_dense(turned, depth, own);
    for (long i = 0; bias && i < own; ++i) biases[group * padded_width<T>(own) + i] = bias[group * own + i];
  }
  op->taps = taps, op->dilation = dilation, op->groups = groups, op->weights = packed, op->bias = biases;
  const long kept = (op->span() - 1) * channels;
  op->window = add_state("window", kept, padded_width<T>(kept), nullptr);
  long used = 0;
  op->gathered = scratch(depth, &used), op->product = scratch(own, &used);
  return activate(activation, softmax) &&
         (activation.kind == ActivationKind::kIdentity && !softmax ? loading.good()
                                                                   : add<Op<T>>(run_silence<T>, filters) != nullptr);
}

template <class T>
bool Builder<T>::add_norm(const Settings& s, const char* prefix, bool batch) {
  const long width = plan.here.width, padded = padded_width<T>(width);
  const T epsilon = static_cast<T>(s.number("epsilon", 1e-3, 0, 1e30));
  const T* gamma = s.flag("scale", true) ? loading.weight<T>(prefix, "gamma", width) : nullptr;
  const T* beta = s.flag("center", true) ? loading.weight<T>(prefix, "beta", width) : nullptr;
  if (gamma) gamma = pad(gamma, width, padded);
  if (beta) beta = pad(beta, width, padded);
  if (!batch) {
    auto* const op = loading.good() ? add<RowNormOp<T>>(run_row_norm<T>, width) : nullptr;
    if (!op) return false;
    op->epsilon = epsilon, op->gamma = gamma, op->beta = beta;
    long used = 0;
    scratch(width, &used);
    return true;
  }
  const T* const mean = loading.weight<T>(prefix, "moving_mean", width);
  const T* const variance = loading.weight<T>(prefix, "moving_variance", width);
  auto* const op = variance ? add<AffineOp<T>>(run_affine<T>, width) : nullptr;
  T* const inverse = op ? loading.take<T>(padded) : nullptr;
  if (!inverse) return false;
  for (long j = 0; j < width; ++j) inverse[j] = T(1) / static_cast<T>(__builtin_sqrt(variance[j] + epsilon));
  op->kind = Affine::kBatch, op->shift = pad(mean, width, padded), op->factor = inverse;
  op->gamma = gamma, op->beta = beta;
  return loading.good();
}

// Normalization: one mean and variance for each feature, or for all.
template <class T>
bool Builder<T>::add_statistics(const Settings& s, const char* prefix) {
  const long width = plan.here.width, given = s["axis"].is_null() ? 1 : width;
  const T* const mean = loading.weight<T>(prefix, "mean", given);
  const T* const variance = loading.weight<T>(prefix, "variance", given);
  auto* const op = variance ? add<AffineOp<T>>(run_affine<T>, width) : nullptr;
  const T* const shift = op ? pad(mean, given, given) : nullptr;
  T* const deviation = shift ? loading.take<T>(given) : nullptr;
  if (!deviation) return false;
  for (long j = 0; j < given; ++j) {
    const T root = static_cast<T>(__builtin_sqrt(variance[j])), least = static_cast<T>(1e-7);
    deviation[j] = root < least ? least : root;
  }
  op->one = given == 1;
  op->kind = s.flag("invert", false) ? Affine::kInvert : Affine::kDivide;
  op->shift = shift, op->factor = deviation;
  return loading.good();
}

template <class T>
bool Builder<T>::add_relu(const Settings& s) {
  auto* const op = add<ReluOp<T>>(run_relu<T>, plan.here.width);
  if (!op) return false;
  op->threshold = static_cast<T>(s.number("threshold", 0, 0, 1e30));
  op->slope = static_cast<T>(s.number("negative_slope", 0, 0, 1e30));
  op->bounded = !s["max_value"].is_null() && s["max_value"].present();
  op->most = static_cast<T>(s.number("max_value", 0, 0, 1e30));
  return loading.good();
}

template <class T>
bool Builder<T>::add_masking(const Settings& s) {
  if (plan.here.place != kInput) return s.unsupported("a Masking behind other layers");
  const double value = s.number("mask_value", 0, -1e38, 1e38);
  if (plan.masks_value && plan.mask_value != value) return s.unsupported("a Masking of another value than the others");
  auto* const op = add<MaskOp<T>>(run_mask<T>, plan.here.width);
  if (!op) return false;
  plan.masks_value = true, plan.mask_value = value, ++plan.masked_readers;
  op->value = static_cast<T>(value);
  return loading.good();
}

// Several layers as one: their weights lie under `prefix`.0, `prefix`.1, ...
template <class T>
bool Builder<T>::add_stack(const Settings& s, const char* prefix) {
  long index = 0;
  const long given = plan.given.count();
  for (JsonEntries layers(s["layers"]); layers.next() && loading.good(); ++index) {
    char inner[kMostName];
    if (std::snprintf(inner, sizeof inner, "%s.%ld", prefix, index) >= static_cast<int>(sizeof inner))
      return s.damaged("name", "a shorter one");
    add_layer(layers.value, inner);
  }
  if (!s.flag("return_state", false)) plan.given.cut(given);
  return loading.good();
}

namespace {

constexpr const char* kMerges[] = {"concat", "sum", "mul", "ave", nullptr};
constexpr Merging kMergings[] = {Merging::kConcat, Merging::kSum, Merging::kMultiply, Merging::kAverage};

// Layers that do nothing to a trained model's numbers.
constexpr const char* kIdle[] = {"Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise"};

struct CellName {
  const char* name;
  CellKind cell;
};
constexpr CellName kCells[] = {{"LSTM", kLstm}, {"GRU", kGru}, {"RNN", kRnn}, {"SimpleRNN", kRnn}};

struct JoinName {
  const char* name;
  Merging merging;
};
constexpr JoinName kJoins[] = {
    {"Add", Merging::kSum},
    {"Subtract", Merging::kSubtract},
    {"Multiply", Merging::kMultiply},
    {"Average", Merging::kAverage},
    {"Maximum", Merging::kMaximum},
    {"Minimum", Merging::kMinimum},
    {"Concatenate", Merging::kConcat},
};

}  // namespace

bool joins(Json class_name) {
  for (const JoinName& join : kJoins)
    if (class_name.says(join.name)) return true;
  return class_name.says("Functional") || class_name.says("Attention") || class_name.says("AdditiveAttention");
}

template <class T>
bool Builder<T>::add_named(const Settings& s, const char* name, const char* prefix) {
  const auto is = [name](const char* other) { return std::strcmp(name, other) == 0; };
  for (const char* idle : kIdle)
    if (is(idle)) return true;
  for (const CellName& cell : kCells)
    if (is(cell.name))
      return add_recurrent(s, prefix, cell.cell, false, kMergings[s.choice("merge_mode", kMerges)],
                           s.flag("return_sequences", false));
  for (const JoinName& join : kJoins)
    if (is(join.name)) return add_join(s, join.merging);
  if (is("Dense")) return add_dense(s, prefix);
  if (is("Embedding")) return add_embedding(s, prefix);
  if (is("Conv1D")) return add_conv(s, prefix);
  if (is("LayerNormalization")) return add_norm(s, prefix, false);
  if (is("BatchNormalization")) return add_norm(s, prefix, true);
  if (is("Normalization")) return add_statistics(s, prefix);
  if (is("ReLU")) return add_relu(s);
  if (is("Masking")) return add_masking(s);
  if (is("Attention")) return add_attention(s, prefix, false);
  if (is("AdditiveAttention")) return add_attention(s, prefix, true);
  if (is("RecurrentStack")) return add_stack(s, prefix);
  if (is("Softmax"))
    return s.last_axis("axis", plan.axes(plan.here)) ? activate({}, true)
                                                     : s.unsupported("a Softmax over another axis than the last");
  if (is("Activation")) {
    bool softmax;
    const Activation activation = s.activation("activation", "identity", &softmax);
    return activate(activation, softmax);
  }
  Activation own;
  if (is("LeakyReLU")) {
    own.kind = ActivationKind::kLeakyRelu, own.alpha = s.number("negative_slope", 0.3, 0, 1e30);
    return activate(own, false);
  }
  if (is("ELU")) {
    own.kind = ActivationKind::kElu, own.alpha = s.number("alpha", 1, -1e30, 1e30);
    return activate(own, false);
  }
  return loading.refuse(RECURRA_UNSUPPORTED, "layer '%s': expected a layer that the runtime has, got %s", s.layer(),
                        name);
}

template <class T>
bool Builder<T>::add_layer(Json description, const char* prefix) {
  char name[kMostName];
  const Json config = description["config"];
  if (description["class_name"].text(name, sizeof name) == 0 || !config.is_object())
    return loading.refuse(RECURRA_BAD_FILE, "layer '%s': expected a class and its arguments, got others", prefix);
  if (description["module"].is_string())
    return loading.refuse(RECURRA_UNSUPPORTED, "layer '%s': expected a layer of recurra, got a class of one's own, %s",
                          prefix, name);
  const Settings s(loading, config, prefix);
  const Json dtype = config["dtype"];
  if (dtype.is_string() && !dtype.says(sizeof(T) == 4 ? "float32" : "float64"))
    return s.damaged("dtype", "that of the other layers");
  if (std::strcmp(name, "Bidirectional") == 0) {
    const Json inner = config["layer"];
    const Settings of_inner(loading, inner["config"], prefix);
    for (const CellName& cell : kCells)
      if (inner["class_name"].says(cell.name))
        return add_recurrent(of_inner, prefix, cell.cell, true, kMergings[s.choice("merge_mode", kMerges)],
                             of_inner.flag("return_sequences", false));
    return s.damaged("layer", "a recurrent layer");
  }
  if (std::strcmp(name, "TimeDistributed") == 0) {
    const long states = plan.states.count();
    plan.needs_steps = true;
    if (!plan.here.steps) return s.damaged("layer", "an input of steps");
    if (!add_layer(config["layer"], prefix)) return false;
    if (!plan.here.steps || plan.states.count() != states) return s.unsupported("a TimeDistributed layer with states");
    return add<Op<T>>(run_silence<T>, plan.here.width) != nullptr;
  }
  if (std::strcmp(name, "Sequential") == 0 || std::strcmp(name, "Functional") == 0)
    return add_model(description, prefix);
  return add_named(s, name, prefix);
}

template bool Builder<float>::add_layer(Json, const char*);
template bool Builder<double>::add_layer(Json, const char*);

}  // namespace recurra
