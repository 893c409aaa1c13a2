// Memory of a model: from the caller's allocator, given back all at once.
#pragma once
#include <cstddef>
#include <cstring>

#include "runtime/include/recurra.h"

namespace recurra {

constexpr std::size_t kBlockAlignment = 64;  // a cache line, and the widest vector

// The caller's allocator, or the C library's in its place.
recurra_allocator allocator_or_default(const recurra_allocator* given);

// One block, given back when it goes out of scope.
class Block {
 public:
  explicit Block(const recurra_allocator& allocator) : allocator_(allocator) {}
  ~Block() { release(); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // False when there is no memory.
  bool take(std::size_t size);
  void release();
  // With a block of the same allocator.
  void swap(Block& other);
  char* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const recurra_allocator& allocator_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// A list that grows, of items that may be copied as bytes. What it held before an `add` may move.
template <class Item>
class List {
 public:
  explicit List(const recurra_allocator& allocator) : block_(allocator), larger_(allocator) {}

  // False when there is no memory.
  bool add(const Item& item) {
    if (static_cast<std::size_t>(count_ + 1) * sizeof(Item) > block_.size() && !grow()) return false;
    data()[count_++] = item;
    return true;
  }
  void cut(long count) { count_ = count; }
  long count() const { return count_; }
  Item* data() { return reinterpret_cast<Item*>(block_.data()); }
  Item& operator[](long index) { return data()[index]; }

 private:
  bool grow() {
    const std::size_t used = static_cast<std::size_t>(count_) * sizeof(Item);
    if (!larger_.take(used > 0 ? 2 * used : 4 * sizeof(Item))) return false;
    if (used > 0) std::memcpy(larger_.data(), block_.data(), used);
    block_.swap(larger_);
    larger_.release();
    return true;
  }

  Block block_, larger_;
  long count_ = 0;
};

// Blocks that live as long as their owner.
class Blocks {
 public:
  explicit Blocks(const recurra_allocator& allocator) : allocator_(allocator) {}
  ~Blocks();
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  // Zeros, aligned to kBlockAlignment; null when there is no memory.
  void* take(std::size_t size);
  template <class T>
  T* take(long count) {
    return static_cast<T*>(take(static_cast<std::size_t>(count) * sizeof(T)));
  }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Head {
    Head* next;
    std::size_t size;
  };
  recurra_allocator allocator_;
  Head* first_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace recurra
