// From a file to a model.
#include "runtime/model.h"

#include <cstdio>
#include <cstring>
#include <new>

#include "runtime/builder.h"

namespace recurra {
namespace {

constexpr long kFormatVersion = 1;  // recurra/io/native.py

// The options that a program of any minor version gave, over the defaults.
recurra_status read_options(const recurra_options* given, recurra_options* options) {
  *options = RECURRA_OPTIONS_INIT;
  if (!given) return RECURRA_OK;
  const size_t least = offsetof(recurra_options, allocator);
  if (given->struct_size < least)
    return fail(RECURRA_BAD_ARGUMENT,
                "options: expected struct_size of at least %zu, got %zu; use RECURRA_OPTIONS_INIT", least,
                given->struct_size);
  std::memcpy(options, given, given->struct_size < sizeof *options ? given->struct_size : sizeof *options);
  if (given->abi_version >> 16 != RECURRA_ABI_VERSION >> 16 || given->abi_version > RECURRA_ABI_VERSION)
    return fail(RECURRA_BAD_ARGUMENT, "options: expected ABI version %u.%u or an older minor one, got %u.%u",
                RECURRA_ABI_VERSION >> 16, RECURRA_ABI_VERSION & 0xFFFF, given->abi_version >> 16,
                given->abi_version & 0xFFFF);
  if (!options->allocator.allocate != !options->allocator.release)
    return fail(RECURRA_BAD_ARGUMENT, "options: expected allocate and release, or neither, got one of them");
  if (options->threads < 1 || options->threads > 1024)
    return fail(RECURRA_BAD_ARGUMENT, "options: expected 1 to 1024 threads, got %u", options->threads);
  return RECURRA_OK;
}

// The name as the library keeps it; null when there is no such instruction set here.
const char* find_isa(const char* wanted) {
  for (long i = 0; inference_isa(i); ++i)
    if (!wanted || std::strcmp(inference_isa(i), wanted) == 0) return inference_isa(i);
  return nullptr;
}

uint64_t fingerprint_of(const char* data, std::size_t size, long lanes) {
  uint64_t hash = 0xcbf29ce484222325u ^ static_cast<uint64_t>(lanes);
  for (std::size_t i = 0; i < size; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, size - i < 8 ? size - i : 8);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

// The dtype of a layer, which wrapping layers leave to those inside.
Json dtype_of(Json description) {
  const Json config = description["config"];
  if (config["dtype"].is_string()) return config["dtype"];
  if (config["layer"].is_object()) return dtype_of(config["layer"]);
  for (JsonEntries layers(config["layers"]); layers.next();) return dtype_of(layers.value);
  return Json();
}

class Loader {
 public:
  Loader(recurra_model& model, Loading& loading, const char* isa)
      : model_(model), l_(loading), isa_(isa), plan_(loading.allocator) {}

  recurra_status load(const char* data, std::size_t size) {
    Block aligned(model_.allocator), text(model_.allocator);
    if (!align(&data, size, aligned)) return l_.status();
    const recurra_status parsed = l_.tensors.parse(l_.file, data, size);
    if (parsed != RECURRA_OK) return parsed;
    if (!describe(text)) return l_.status();
    const Json first = description_["config"]["layers"];
    for (JsonEntries layers(first); layers.next();) {
      const bool wide = dtype_of(layers.value).says("float64");
      model_.info.dtype = wide ? RECURRA_FLOAT64 : RECURRA_FLOAT32;
      if (wide ? build<double>(&model_.doubles) : build<float>(&model_.floats)) finish(data, size);
      return l_.status();
    }
    l_.refuse(RECURRA_BAD_FILE, "expected a model with layers, got one without");
    return l_.status();
  }

 private:
  // Weights are read where they lie; a copy of the file where that is at an odd place.
  bool align(const char** data, std::size_t size, Block& copy) {
    uint64_t length = 0;
    if (size >= 8) std::memcpy(&length, *data, 8);
    const std::size_t odd = (reinterpret_cast<uintptr_t>(*data) + 8 + length) % 8;
    if (size < 8 || odd == 0) return true;
    if (!copy.take(size + 8)) return l_.refuse(RECURRA_NO_MEMORY, "expected memory for %zu bytes, got none", size + 8);
    char* const to = copy.data() + (16 - (8 + length) % 8) % 8;
    std::memcpy(to, *data, size);
    *data = to;
    return true;
  }

  // The JSON of the model's configuration, out of the metadata's text.
  bool describe(Block& text) {
    if (!l_.tensors.metadata("format").says("recurra"))
      return l_.refuse(RECURRA_BAD_FILE, "expected a model saved by recurra, got other arrays");
    const Json escaped = l_.tensors.metadata("model");
    if (!text.take(escaped.size() + 1))
      return l_.refuse(RECURRA_NO_MEMORY, "expected memory for %zu bytes, got none", escaped.size() + 1);
    const std::size_t length = escaped.text(text.data(), text.size());
    if (!Json::parse(text.data(), length, &description_))
      return l_.refuse(RECURRA_BAD_FILE, "expected a model's configuration, got a damaged one");
    long version = 0;
    if (!description_["version"].get(&version))
      return l_.refuse(RECURRA_BAD_FILE, "expected a model's configuration, got one without a version");
    if (version > kFormatVersion)
      return l_.refuse(RECURRA_NEWER_FILE, "expected format version %ld, got %ld; use a newer recurra", kFormatVersion,
                       version);
    return (!description_["class_name"].says("Functional") ||
            (expect_one("inputs", "inputs") && expect_one("outputs", "output_names"))) &&
           read_shape();
  }

  // x is one array, and so is y.
  bool expect_one(const char* key, const char* names) {
    const Json config = description_["config"];
    long count = 0;
    for (JsonEntries entries(config[key]); entries.next();) ++count;
    const Json told = config[names];
    return count == 1 ||
           l_.refuse(RECURRA_UNSUPPORTED, "%s: expected one, got %ld: %.*s; save a model of one input and one output",
                     key, count, static_cast<int>(told.size() < 200 ? told.size() : 200),
                     told.present() ? told.begin() : "");
  }

  bool read_shape() {
    const Json given = description_["input_shape"];
    int axes = 0;
    Json last;
    for (JsonEntries shape(given); shape.next(); ++axes) last = shape.value;
    if (last.is_null() && axes > 0 && axes <= 2) return true;  // integers
    if (axes < 2 || axes > 3 || !last.get(&plan_.inputs) || plan_.inputs < 1 || plan_.inputs > kMostWidth)
      return l_.refuse(RECURRA_UNSUPPORTED, "expected inputs (batch, time, features) or (batch, features), got %.*s",
                       static_cast<int>(given.size() < 100 ? given.size() : 100), given.present() ? given.begin() : "");
    features_ = true;
    plan_.flat = axes == 2;
    return true;
  }

  // Numbers of a row and step of x. Of integers it is one, also where the model was built for a number of steps.
  long inputs() const { return plan_.vocabulary > 0 ? 1 : plan_.inputs; }

  template <class T>
  bool build(Program<T>* program) {
    InferenceTables<T>* const tables = l_.make<InferenceTables<T>>();
    if (!tables) return false;
    find_inference(isa_, tables);
    Builder<T> builder(l_, *tables, plan_);
    plan_.here.width = plan_.inputs;
    if (!builder.add_model(description_, nullptr) || !builder.settle(&plan_.here) || !check_readers()) return false;
    program->calls = l_.take<Call<T>>(builder.calls.count());
    if (!program->calls) return false;
    arrange(builder.calls, program);
    program->inputs = inputs(), program->outputs = plan_.here.width;
    program->result = plan_.here.place, program->vocabulary = plan_.vocabulary;
    program->state_numbers = plan_.state_numbers, program->series_numbers = plan_.series_numbers;
    program->scratch_numbers = plan_.scratch_numbers, program->gates_numbers = plan_.gates_numbers;
    program->area_numbers = plan_.area_numbers, program->area_step_numbers = plan_.area_step_numbers;
    return true;
  }

  // All that reads x must see the same.
  bool check_readers() {
    if (plan_.here.place == kInput) ++plan_.number_readers;
    if (plan_.number_readers > 0 && (!features_ || plan_.integer_readers > 0))
      return l_.refuse(RECURRA_BAD_FILE, "expected an Embedding behind an input of integers, got another layer");
    const long readers = plan_.number_readers + plan_.integer_readers, masked = plan_.masked_readers;
    return masked == 0 || masked == readers ||
           l_.refuse(RECURRA_UNSUPPORTED,
                     "expected padding that all layers behind the input leave out, got %ld of %ld that do", masked,
                     readers);
  }

  // In a model that can step those that run once come last: they read nothing but what the last step leaves.
  template <class T>
  void arrange(List<Call<T>>& calls, Program<T>* program) {
    for (int once = 0; once < 2; ++once) {
      for (long i = 0; i < calls.count(); ++i)
        if (plan_.whole ? once == 0 : calls[i].once == (once == 1)) program->calls[program->count++] = calls[i];
      if (once == 0) program->sequence_count = program->count;
    }
  }

  void finish(const char* data, std::size_t size) {
    recurra_model_info& info = model_.info;
    info.input_dtype = plan_.vocabulary > 0 ? RECURRA_INT64 : info.dtype;
    info.inputs = static_cast<size_t>(inputs()), info.outputs = static_cast<size_t>(plan_.here.width);
    info.layers = static_cast<size_t>(plan_.layer_count);
    info.parameters = static_cast<size_t>(l_.parameters);
    info.can_step = !plan_.whole, info.gives_sequence = plan_.here.steps;
    model_.layers = plan_.layers, model_.state_count = plan_.states.count();
    model_.states = l_.take<StateEntry>(model_.state_count);
    for (long i = 0; model_.states && i < model_.state_count; ++i) {
      model_.states[i] = plan_.states[i];
      if (!plan_.whole) info.state_numbers += static_cast<size_t>(plan_.states[i].width);
    }
    info.states = plan_.whole ? 0 : static_cast<size_t>(model_.state_count);
    model_.masks_zero = plan_.masks_zero;
    model_.masks_value = plan_.masks_value, model_.mask_value = plan_.mask_value;
    model_.fingerprint = fingerprint_of(data, size, isa_[0] + 256 * isa_[std::strlen(isa_) - 1]);
    write_text();
    info.memory = model_.blocks.bytes() + sizeof model_;
  }

  void write_text() {
    std::size_t size = 1;
    for (std::size_t i = 0; i < model_.info.layers; ++i)
      size += std::strlen(model_.layers[i].name) + std::strlen(model_.layers[i].class_name) + 64;
    char* const text = l_.take<char>(static_cast<long>(size));
    if (!text) return;
    std::size_t at = 0;
    for (std::size_t i = 0; i < model_.info.layers; ++i) {
      const recurra_layer_info& layer = model_.layers[i];
      at += static_cast<std::size_t>(std::snprintf(text + at, size - at, "%s (%s): %zu -> %zu\n", layer.name,
                                                   layer.class_name, layer.inputs, layer.outputs));
    }
    model_.text = text;
  }

  recurra_model& model_;
  Loading& l_;
  const char* const isa_;
  Json description_;
  Plan plan_;
  bool features_ = false;
};

recurra_status load(const char* what, const char* data, std::size_t size, const recurra_options& options,
                    recurra_model** model) {
  const char* const isa = find_isa(options.isa);
  if (!isa)
    return fail(RECURRA_UNSUPPORTED, "isa: expected an instruction set that recurra_isa() names, such as %s, got %s",
                inference_isa(0), options.isa);
  const recurra_allocator allocator = allocator_or_default(&options.allocator);
  void* const memory = allocator.allocate(allocator.user, sizeof(recurra_model), alignof(std::max_align_t));
  if (!memory) return fail(RECURRA_NO_MEMORY, "%s: expected memory for a model, got none", what);
  recurra_model* const made = ::new (memory) recurra_model(allocator);
  made->info.threads = options.threads, made->info.isa = isa;
  recurra_status status;
  {
    Loading loading(what, size, made->allocator, made->blocks);
    status = Loader(*made, loading, isa).load(data, size);
    if (status == RECURRA_OK) status = loading.status();
  }
  if (status == RECURRA_OK) {
    *model = made;
  } else {
    recurra_model_free(made);
  }
  return status;
}

recurra_status read_file(const char* path, Block& block) {
  std::FILE* const file = std::fopen(path, "rb");
  if (!file) return fail(RECURRA_NO_FILE, "path: expected a file that can be opened, got %s", path);
  recurra_status status = RECURRA_OK;
  const long size = std::fseek(file, 0, SEEK_END) == 0 ? std::ftell(file) : -1;
  if (size < 0 || size > (1l << 48) || std::fseek(file, 0, SEEK_SET) != 0) {
    status = fail(RECURRA_NO_FILE, "path: expected a file that can be read, got %s", path);
  } else if (!block.take(static_cast<std::size_t>(size))) {
    status = fail(RECURRA_NO_MEMORY, "%s: expected memory for %ld bytes, got none", path, size);
  } else if (std::fread(block.data(), 1, static_cast<std::size_t>(size), file) != static_cast<std::size_t>(size)) {
    status = fail(RECURRA_NO_FILE, "path: expected a file that can be read, got %s", path);
  }
  std::fclose(file);
  return status;
}

// Copies what both sides know of a struct whose first member is its size.
template <class Info>
recurra_status give(const Info& from, Info* to, const char* argument) {
  const size_t size = to->struct_size;
  if (size < 2 * sizeof(size_t))
    return fail(RECURRA_BAD_ARGUMENT, "%s: expected struct_size = sizeof of it, got %zu", argument, size);
  std::memcpy(to, &from, size < sizeof(Info) ? size : sizeof(Info));
  to->struct_size = size;
  return RECURRA_OK;
}

}  // namespace
}  // namespace recurra

using recurra::fail;

const char* recurra_isa(size_t index) {
  return index < 64 ? recurra::inference_isa(static_cast<long>(index)) : nullptr;
}

recurra_status recurra_model_load(const char* path, const recurra_options* options, recurra_model** model) {
  if (!model || !path) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", model ? "path" : "model");
  *model = nullptr;
  recurra_options all;
  recurra_status status = recurra::read_options(options, &all);
  if (status != RECURRA_OK) return status;
  const recurra_allocator allocator = recurra::allocator_or_default(&all.allocator);
  recurra::Block file(allocator);
  status = recurra::read_file(path, file);
  return status == RECURRA_OK ? recurra::load(path, file.data(), file.size(), all, model) : status;
}

recurra_status recurra_model_load_memory(const void* data, size_t size, const recurra_options* options,
                                         recurra_model** model) {
  if (!model || !data) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", model ? "data" : "model");
  *model = nullptr;
  recurra_options all;
  const recurra_status status = recurra::read_options(options, &all);
  return status == RECURRA_OK ? recurra::load("data", static_cast<const char*>(data), size, all, model) : status;
}

void recurra_model_free(recurra_model* model) {
  if (!model) return;
  const recurra_allocator allocator = model->allocator;
  model->~recurra_model();
  allocator.release(allocator.user, model, sizeof(recurra_model));
}

recurra_status recurra_model_get_info(const recurra_model* model, recurra_model_info* info) {
  if (!model || !info) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", model ? "info" : "model");
  return recurra::give(model->info, info, "info");
}

recurra_status recurra_model_get_layer(const recurra_model* model, size_t index, recurra_layer_info* info) {
  if (!model || !info) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", model ? "info" : "model");
  if (index >= model->info.layers)
    return fail(RECURRA_BAD_ARGUMENT, "index: expected one below %zu, got %zu", model->info.layers, index);
  return recurra::give(model->layers[index], info, "info");
}

recurra_status recurra_model_get_state(const recurra_model* model, size_t index, recurra_state_info* info) {
  if (!model || !info) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", model ? "info" : "model");
  if (index >= model->info.states)
    return fail(RECURRA_BAD_ARGUMENT, "index: expected one below %zu, got %zu", model->info.states, index);
  const recurra::StateEntry& entry = model->states[index];
  const recurra_state_info state{0, static_cast<size_t>(entry.layer), entry.name, static_cast<size_t>(entry.width)};
  return recurra::give(state, info, "info");
}

const char* recurra_model_text(const recurra_model* model) { return model ? model->text : nullptr; }
