// The pool behind Buffer: free blocks by size, best fit within a factor of two, bounded in bytes and in number.
#include "base/memory.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace recurra {
namespace {

struct Block {
  void* memory;
  std::size_t capacity;
};

constexpr std::size_t kMaxBlocks = 512;
constexpr std::size_t kMaxBytes = std::size_t{1} << 30;  // kept for reuse in all

struct Pool {
  std::mutex mutex;
  std::vector<Block> free;
  std::size_t bytes = 0;
};

// Never destroyed: buffers may be given back while the process shuts down.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

void* pool_take(std::size_t bytes, std::size_t* capacity) {
  const std::size_t wanted = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  {
    Pool& p = pool();
    std::lock_guard<std::mutex> lock(p.mutex);
    std::size_t best = p.free.size();
    for (std::size_t i = 0; i < p.free.size(); ++i) {
      const std::size_t size = p.free[i].capacity;
      if (size >= wanted && size <= 2 * wanted && (best == p.free.size() || size < p.free[best].capacity)) best = i;
    }
    if (best < p.free.size()) {
      const Block block = p.free[best];
      p.free.erase(p.free.begin() + static_cast<std::ptrdiff_t>(best));
      p.bytes -= block.capacity;
      *capacity = block.capacity;
      return block.memory;
    }
  }
  void* memory = std::aligned_alloc(kAlignment, wanted);
  if (!memory) throw std::bad_alloc();
  *capacity = wanted;
  return memory;
}

void pool_give(void* memory, std::size_t capacity) noexcept {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  if (capacity > kMaxBytes) {
    std::free(memory);
    return;
  }
  while (!p.free.empty() && (p.free.size() >= kMaxBlocks || p.bytes + capacity > kMaxBytes)) {
    p.bytes -= p.free.front().capacity;  // the oldest goes first
    std::free(p.free.front().memory);
    p.free.erase(p.free.begin());
  }
  try {
    p.free.push_back({memory, capacity});
    p.bytes += capacity;
  } catch (...) {
    std::free(memory);
  }
}

}  // namespace recurra
