// The safetensors format: 8 bytes (length of the header, little-endian), the header (JSON), the arrays' bytes. Every
// number of a file is checked against its size before it is used. https://github.com/huggingface/safetensors
#pragma once
#include <cstdint>

#include "runtime/json.h"
#include "runtime/memory.h"

namespace recurra {

// Hardly larger than its text in the header, so that no file can demand much more memory than it has bytes.
struct TensorEntry {
  Json name, dtype, shape;
  const char* data;
  std::size_t size;  // bytes: the product of the shape and the size of the dtype
  bool used;         // by a layer: a second one of the same name would double the memory
};

class Tensors {
 public:
  explicit Tensors(const recurra_allocator& allocator) : allocator_(allocator), entries_block_(allocator) {}

  // Checks a file of `size` bytes that lives as long as this; `what` names it in messages.
  recurra_status parse(const char* what, const char* data, std::size_t size);

  // Null when there is none of this name (ASCII).
  TensorEntry* find(const char* name);
  // A text of the header's metadata; not there when it has none of this name.
  Json metadata(const char* key) const { return metadata_[key]; }

 private:
  recurra_status add(const char* what, Json name, Json value, const char* data, std::size_t size);

  const recurra_allocator& allocator_;
  Block entries_block_;
  TensorEntry* entries_ = nullptr;
  long count_ = 0;
  Json metadata_;
};

}  // namespace recurra
