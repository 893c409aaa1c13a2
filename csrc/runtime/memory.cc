// Blocks from an allocator.
#include "runtime/memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace recurra {
namespace {

void* allocate(void*, std::size_t size, std::size_t alignment) {
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void release(void*, void* memory, std::size_t) { std::free(memory); }

}  // namespace

recurra_allocator allocator_or_default(const recurra_allocator* given) {
  if (given && given->allocate) return *given;
  return {allocate, release, nullptr};
}

bool Block::take(std::size_t size) {
  release();
  data_ = static_cast<char*>(allocator_.allocate(allocator_.user, size > 0 ? size : 1, kBlockAlignment));
  if (!data_) return false;
  size_ = size > 0 ? size : 1;
  return true;
}

void Block::release() {
  if (data_) allocator_.release(allocator_.user, data_, size_);
  data_ = nullptr, size_ = 0;
}

void Block::swap(Block& other) {
  char* const data = data_;
  const std::size_t size = size_;
  data_ = other.data_, size_ = other.size_;
  other.data_ = data, other.size_ = size;
}

Blocks::~Blocks() {
  while (first_) {
    Head* const next = first_->next;
    allocator_.release(allocator_.user, first_, first_->size);
    first_ = next;
  }
}

void* Blocks::take(std::size_t size) {
  static_assert(sizeof(Head) <= kBlockAlignment, "a block begins behind its head");
  const std::size_t whole = kBlockAlignment + size;
  if (whole < size) return nullptr;
  char* const memory = static_cast<char*>(allocator_.allocate(allocator_.user, whole, kBlockAlignment));
  if (!memory) return nullptr;
  std::memset(memory, 0, whole);
  first_ = ::new (static_cast<void*>(memory)) Head{first_, whole};
  bytes_ += whole;
  return memory + kBlockAlignment;
}

}  // namespace recurra
