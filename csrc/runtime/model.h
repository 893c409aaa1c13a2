// A loaded model, and the memory of its states.
#pragma once
#include "runtime/memory.h"
#include "runtime/program.h"

struct recurra_model {
  explicit recurra_model(const recurra_allocator& from) : allocator(from), blocks(allocator) {}

  const recurra_allocator allocator;
  recurra::Blocks blocks;
  recurra_model_info info{};
  uint64_t fingerprint = 0;  // of the file and of how it was laid out
  recurra_layer_info* layers = nullptr;
  recurra::StateEntry* states = nullptr;  // those of a model that cannot step are nobody's business
  long state_count = 0;
  const char* text = "";
  bool masks_zero = false, masks_value = false;  // a row's first steps that are no padding are its steps
  double mask_value = 0;
  recurra::Program<float> floats{};
  recurra::Program<double> doubles{};

  template <class T>
  const recurra::Program<T>& program() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return floats;
    } else {
      return doubles;
    }
  }
};

// What lies at the start of a state's memory: this, room for the length of each row, then numbers: the states, and what
// a step needs.
struct alignas(64) recurra_state {
  uint64_t magic, fingerprint;
  size_t batch, size;
  bool backwards;  // how the next step goes through its weights; not part of the state

  int64_t* lengths() { return reinterpret_cast<int64_t*>(this + 1); }
  void* numbers() { return reinterpret_cast<char*>(this + 1) + lengths_size(batch); }
  const void* numbers() const { return const_cast<recurra_state*>(this)->numbers(); }
  static size_t lengths_size(size_t batch) { return (batch * sizeof(int64_t) + 63) / 64 * 64; }
};

namespace recurra {

constexpr uint64_t kMagic = 0x65746174532d7272;  // "rr-State"

// Why a state is none of this model's; RECURRA_OK when it is.
recurra_status check_state(const recurra_model* model, const recurra_state* state, const char* argument);

// Sets the rows' states to the model's initial ones.
template <class T>
void start(const recurra_model& model, T* states, long batch, long row);

}  // namespace recurra
