// States in the caller's memory.
#include <cstring>
#include <type_traits>

#include "runtime/error.h"
#include "runtime/model.h"

namespace recurra {
namespace {

template <class T>
long numbers_of_a_row(const Program<T>& p) {
  return p.state_numbers + p.series_numbers + p.scratch_numbers + p.gates_numbers;
}

recurra_status size_of(const recurra_model& model, size_t batch, size_t* size) {
  const bool wide = model.info.dtype == RECURRA_FLOAT64;
  const size_t row = wide ? static_cast<size_t>(numbers_of_a_row(model.doubles)) * sizeof(double)
                          : static_cast<size_t>(numbers_of_a_row(model.floats)) * sizeof(float);
  if (batch < 1 || batch > (size_t{1} << 31) || __builtin_mul_overflow(row, batch, size) ||
      __builtin_add_overflow(*size, sizeof(recurra_state) + recurra_state::lengths_size(batch), size))
    return fail(RECURRA_BAD_ARGUMENT, "batch: expected a number of rows from 1, got %zu", batch);
  return RECURRA_OK;
}

// Calls f(state entry, its first number of row 0, position in recurra_state_get's array).
template <class T, class F>
void each_state(const recurra_model& model, T* numbers, long batch, const F& f) {
  long at = 0;
  for (long i = 0; i < static_cast<long>(model.info.states); ++i) {
    const StateEntry& entry = model.states[i];
    f(entry, numbers + batch * entry.offset, at);
    at += batch * entry.width;
  }
}

template <class T>
void copy_out(const recurra_model& model, const T* numbers, long batch, T* out) {
  each_state(model, numbers, batch, [&](const StateEntry& entry, const T* from, long at) {
    for (long row = 0; row < batch; ++row)
      std::memcpy(out + at + row * entry.width, from + row * entry.row, static_cast<size_t>(entry.width) * sizeof(T));
  });
}

template <class T>
void copy_in(const recurra_model& model, T* numbers, long batch, const T* in) {
  each_state(model, numbers, batch, [&](const StateEntry& entry, T* to, long at) {
    for (long row = 0; row < batch; ++row)
      std::memcpy(to + row * entry.row, in + at + row * entry.width, static_cast<size_t>(entry.width) * sizeof(T));
  });
}

// Calls f(numbers) with those of a state as what they are.
template <class F>
void visit(const recurra_model& model, recurra_state* state, const F& f) {
  if (model.info.dtype == RECURRA_FLOAT64) {
    f(static_cast<double*>(state->numbers()));
  } else {
    f(static_cast<float*>(state->numbers()));
  }
}

recurra_status check_count(const recurra_model& model, const recurra_state& state, const void* numbers, size_t count) {
  const size_t expected = model.info.state_numbers * state.batch;
  if (count != expected)
    return fail(RECURRA_BAD_ARGUMENT, "count: expected %zu numbers (%zu of each of %zu rows), got %zu", expected,
                model.info.state_numbers, state.batch, count);
  if (!numbers && count > 0) return fail(RECURRA_BAD_ARGUMENT, "numbers: expected a pointer, got null");
  return RECURRA_OK;
}

}  // namespace

recurra_status check_state(const recurra_model* model, const recurra_state* state, const char* argument) {
  if (!model) return fail(RECURRA_BAD_ARGUMENT, "model: expected a pointer, got null");
  if (!state) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", argument);
  if (state->magic != kMagic)
    return fail(RECURRA_WRONG_STATE, "%s: expected memory that recurra_state_init() prepared, got other memory",
                argument);
  if (state->fingerprint != model->fingerprint)
    return fail(RECURRA_WRONG_STATE, "%s: expected a state of this model, got one of another", argument);
  return RECURRA_OK;
}

template <class T>
void start(const recurra_model& model, T* states, long batch, long row) {
  for (long i = 0; i < model.state_count; ++i) {
    const StateEntry& entry = model.states[i];
    T* const to = states + batch * entry.offset + row * entry.row;
    if (entry.initial) {
      std::memcpy(to, entry.initial, static_cast<size_t>(entry.row) * sizeof(T));
    } else {
      std::memset(to, 0, static_cast<size_t>(entry.row) * sizeof(T));
    }
  }
}

template void start(const recurra_model&, float*, long, long);
template void start(const recurra_model&, double*, long, long);

}  // namespace recurra

using recurra::check_state;
using recurra::fail;

recurra_status recurra_state_size(const recurra_model* model, size_t batch, size_t* size, size_t* alignment) {
  if (!model || !size || !alignment)
    return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null",
                !model  ? "model"
                : !size ? "size"
                        : "alignment");
  *alignment = recurra::kBlockAlignment;
  const recurra_status status = recurra::size_of(*model, batch, size);
  *size = status == RECURRA_OK ? (*size + *alignment - 1) / *alignment * *alignment : 0;
  return status;
}

recurra_status recurra_state_init(const recurra_model* model, size_t batch, void* memory, size_t size,
                                  recurra_state** state) {
  if (!state) return fail(RECURRA_BAD_ARGUMENT, "state: expected a pointer, got null");
  *state = nullptr;
  size_t least = 0, alignment = 0;
  const recurra_status status = recurra_state_size(model, batch, &least, &alignment);
  if (status != RECURRA_OK) return status;
  if (!memory) return fail(RECURRA_BAD_ARGUMENT, "memory: expected a pointer, got null");
  if (size < least)
    return fail(RECURRA_BAD_ARGUMENT, "size: expected at least %zu bytes for %zu rows, got %zu", least, batch, size);
  if (reinterpret_cast<uintptr_t>(memory) % alignment != 0)
    return fail(RECURRA_BAD_ARGUMENT, "memory: expected an address aligned to %zu bytes, got %p", alignment, memory);
  std::memset(memory, 0, least);
  recurra_state* const made = static_cast<recurra_state*>(memory);
  made->fingerprint = model->fingerprint, made->batch = batch, made->size = least;
  made->magic = recurra::kMagic;
  *state = made;
  return recurra_state_reset(model, made);
}

recurra_status recurra_state_reset(const recurra_model* model, recurra_state* state) {
  const recurra_status status = check_state(model, state, "state");
  if (status != RECURRA_OK) return status;
  const long batch = static_cast<long>(state->batch);
  recurra::visit(*model, state, [&](auto* numbers) {
    for (long row = 0; row < batch; ++row) recurra::start(*model, numbers, batch, row);
  });
  return RECURRA_OK;
}

recurra_status recurra_state_reset_rows(const recurra_model* model, recurra_state* state, const size_t* rows,
                                        size_t count) {
  const recurra_status status = check_state(model, state, "state");
  if (status != RECURRA_OK) return status;
  if (!rows && count > 0) return fail(RECURRA_BAD_ARGUMENT, "rows: expected a pointer, got null");
  for (size_t i = 0; i < count; ++i)
    if (rows[i] >= state->batch)
      return fail(RECURRA_BAD_ARGUMENT, "rows: expected rows below %zu, got %zu at %zu", state->batch, rows[i], i);
  recurra::visit(*model, state, [&](auto* numbers) {
    for (size_t i = 0; i < count; ++i)
      recurra::start(*model, numbers, static_cast<long>(state->batch), static_cast<long>(rows[i]));
  });
  return RECURRA_OK;
}

recurra_status recurra_state_get(const recurra_model* model, const recurra_state* state, void* numbers, size_t count) {
  recurra_status status = check_state(model, state, "state");
  if (status == RECURRA_OK) status = recurra::check_count(*model, *state, numbers, count);
  if (status != RECURRA_OK) return status;
  recurra::visit(*model, const_cast<recurra_state*>(state), [&](auto* from) {
    recurra::copy_out(*model, from, static_cast<long>(state->batch), static_cast<decltype(from)>(numbers));
  });
  return RECURRA_OK;
}

recurra_status recurra_state_set(const recurra_model* model, recurra_state* state, const void* numbers, size_t count) {
  recurra_status status = check_state(model, state, "state");
  if (status == RECURRA_OK) status = recurra::check_count(*model, *state, numbers, count);
  if (status != RECURRA_OK) return status;
  recurra::visit(*model, state, [&](auto* to) {
    using T = std::remove_pointer_t<decltype(to)>;
    recurra::copy_in(*model, to, static_cast<long>(state->batch), static_cast<const T*>(numbers));
  });
  return RECURRA_OK;
}

recurra_status recurra_state_copy(const recurra_model* model, recurra_state* to, const recurra_state* from) {
  recurra_status status = check_state(model, to, "to");
  if (status == RECURRA_OK) status = check_state(model, from, "from");
  if (status != RECURRA_OK) return status;
  if (to->batch != from->batch)
    return fail(RECURRA_WRONG_STATE, "from: expected a state of %zu rows, got one of %zu", to->batch, from->batch);
  if (to != from) std::memcpy(static_cast<void*>(to), from, from->size);
  return RECURRA_OK;
}
