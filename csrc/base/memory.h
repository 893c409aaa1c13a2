// Aligned memory for the engine: buffers drawn from one bounded pool, so that steady use neither allocates nor faults
// pages.
#pragma once
#include <cstddef>
#include <cstring>
#include <utility>

namespace recurra {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector
constexpr std::size_t kApart = 4096;    // between what two threads may write: no hardware fetches ahead across a page

// Takes at least `bytes` from the pool (or the system) and gives it back. Thread-safe. Throws std::bad_alloc.
void* pool_take(std::size_t bytes, std::size_t* capacity);
void pool_give(void* memory, std::size_t capacity) noexcept;

// Asks for the cache lines of [memory, memory + bytes) ahead of their use.
inline void prefetch(const void* memory, std::size_t bytes) {
  const char* line = static_cast<const char*>(memory);
  for (std::size_t i = 0; i < bytes; i += kAlignment) __builtin_prefetch(line + i);
}

// Copies a few elements inline: for rows so short that calling memcpy costs more than the copy.
template <class T>
inline void copy_short(const T* from, long count, T* to) {
  constexpr long kStep = 16 / static_cast<long>(sizeof(T)), kShort = 16 * kStep;
  if (count < kStep || count > kShort) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    return;
  }
  for (long i = 0; i < count - kStep; i += kStep) std::memcpy(to + i, from + i, 16);
  std::memcpy(to + count - kStep, from + count - kStep, 16);  // may overlap the one before
}

// Owns uninitialised room for `count` elements of T, 64-byte aligned, with slack behind the end.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : size_(count) {
    data_ = static_cast<T*>(pool_take(count * sizeof(T) + kApart, &capacity_));
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_) pool_give(data_, capacity_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  void swap(Buffer& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // bytes
};

template <class T>
Buffer<T> zeros(long count) {
  Buffer<T> b(static_cast<std::size_t>(count));
  for (long i = 0; i < count; ++i) b.data()[i] = T(0);
  return b;
}

}  // namespace recurra
