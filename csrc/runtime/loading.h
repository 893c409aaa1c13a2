// A file on its way to a model: where a failure is noted once, and everything after it does nothing.
#pragma once
#include <new>

#include "base/activation.h"
#include "runtime/error.h"
#include "runtime/safetensors.h"

namespace recurra {

constexpr std::size_t kMostName = 256;  // bytes of a layer's name, those of its outer layers included

class Loading {
 public:
  Loading(const char* what, std::size_t bytes, const recurra_allocator& from, Blocks& blocks)
      : file(what), file_size(bytes), allocator(from), memory(blocks), tensors(from) {}

  const char* const file;
  const std::size_t file_size;
  const recurra_allocator& allocator;  // for what is needed while it loads
  Blocks& memory;                      // and what the model keeps
  Tensors tensors;

  bool good() const { return status_ == RECURRA_OK; }
  recurra_status status() const { return status_; }
  // Notes the first failure; later ones follow from it. False, always.
  __attribute__((format(printf, 3, 4))) bool refuse(recurra_status status, const char* format, ...);
  bool refuse(recurra_status status);  // worded already

  // Zeros that live as long as the model; null after a failure.
  template <class T>
  T* take(long count) {
    return good() ? static_cast<T*>(take_bytes(count, sizeof(T))) : nullptr;
  }
  template <class Object>
  Object* make() {
    Object* const object = take<Object>(1);
    return object ? ::new (static_cast<void*>(object)) Object() : nullptr;
  }
  const char* keep_text(Json text);
  template <class Item>
  bool add(List<Item>& list, const Item& item) {
    return list.add(item) || refuse(RECURRA_NO_MEMORY, "expected memory for %ld items, got none", list.count() + 1);
  }

  // The parameter `prefix`.`name` of the file, of this shape (0 ends it; no axis: one number); null after a failure.
  template <class T>
  const T* weight(const char* prefix, const char* name, long rows, long columns = 0, long depth = 0) {
    return static_cast<const T*>(weight_bytes(prefix, name, sizeof(T) == 4 ? "F32" : "F64", rows, columns, depth));
  }
  long parameters = 0;  // taken so far
  bool again = false;   // a layer may take what it took before

 private:
  void* take_bytes(long count, std::size_t size);
  const void* weight_bytes(const char* prefix, const char* name, const char* dtype, long rows, long columns,
                           long depth);
  recurra_status status_ = RECURRA_OK;
};

// The arguments of a layer, checked as they are read. After a failure each returns its fallback.
class Settings {
 public:
  Settings(Loading& loading, Json config, const char* layer) : loading_(loading), config_(config), layer_(layer) {}

  Loading& loading() const { return loading_; }
  const char* layer() const { return layer_; }
  Json config() const { return config_; }
  Json operator[](const char* key) const { return config_[key]; }

  // Absent or null: the fallback.
  long integer(const char* key, long fallback, long least, long most) const;
  double number(const char* key, double fallback, double least, double most) const;
  bool flag(const char* key, bool fallback) const;
  // What recurra.activations.resolve takes; *softmax null: it is refused.
  Activation activation(const char* key, const char* fallback, bool* softmax) const;
  Activation activation(Json value, const char* key, const char* fallback, bool* softmax) const;
  // Whether an axis that is the last one unless given is the last one of so many.
  bool last_axis(const char* key, long axes) const;
  // The index among `choices`, a list that null ends.
  int choice(const char* key, const char* const* choices) const;
  // Refuses the layer: "layer 'lstm' (LSTM): expected ..., got ...".
  bool damaged(const char* key, const char* expected) const;
  bool unsupported(const char* what) const;

 private:
  Loading& loading_;
  Json config_;
  const char* layer_;
};

}  // namespace recurra
