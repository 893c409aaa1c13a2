// Steps and runs.
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <cstring>

#include "base/denormals.h"
#include "runtime/error.h"
#include "runtime/model.h"

namespace recurra {
namespace {

constexpr long kWindow = 8;  // steps whose gates are computed ahead where memory is taken for a run

template <class T>
Frame<T> frame_in(recurra_state& state, const Program<T>& p) {
  Frame<T> f{};
  const long batch = static_cast<long>(state.batch);
  f.states = static_cast<T*>(state.numbers());
  f.series = f.states + batch * p.state_numbers;
  f.scratch = f.series + batch * p.series_numbers;
  f.gates = f.scratch + batch * p.scratch_numbers;
  f.backwards = state.backwards = !state.backwards;
  f.batch = batch, f.laid = 1, f.window = 1, f.row0 = 0, f.rows = batch, f.steps = 1;
  return f;
}

template <class T>
void run_ops(const Program<T>& p, long first, long last, const Frame<T>& f) {
  for (long i = first; i < last; ++i) p.calls[i].run(f);
}

// The results of a step: outputs, in the series or the caller's x.
template <class T>
void write(const Program<T>& p, const Frame<T>& f, long step, T* y, long y_row) {
  const bool given = p.result == kInput;
  const long row = given ? f.x_row : padded_width<T>(p.outputs);
  const T* from = given ? f.x + step * f.x_step + f.row0 * row
                        : f.series + f.batch * f.laid * p.result + (step * f.batch + f.row0) * row;
  T* to = y + f.row0 * y_row;
  if (f.rows == 1 && p.outputs == 1) {  // what most streams give: no loop to set up
    to[0] = from[0];
    return;
  }
  for (const T* const end = to + f.rows * y_row; to < end; to += y_row, from += row)
    for (long j = 0; j < p.outputs; ++j) to[j] = from[j];
}

// Where x lies and how.
template <class T>
struct Input {
  const void* x;
  long row, step;  // strides
  void at(Frame<T>* f, bool integers, long first) const {
    f->x_row = row, f->x_step = step;
    if (integers) {
      f->indices = static_cast<const int64_t*>(x) + first * step;
    } else {
      f->x = static_cast<const T*>(x) + first * step;
    }
  }
};

recurra_status check_indices(const recurra_model& model, const void* x, size_t count, long vocabulary) {
  const int64_t* const indices = static_cast<const int64_t*>(x);
  for (size_t i = 0; i < count; ++i)
    if (indices[i] < 0 || indices[i] >= vocabulary)
      return fail(RECURRA_BAD_ARGUMENT, "x: expected integers from 0 to %ld, got %lld at %zu", vocabulary - 1,
                  static_cast<long long>(indices[i]), i);
  (void)model;
  return RECURRA_OK;
}

template <class T>
recurra_status step(const recurra_model& model, recurra_state& state, const void* x, size_t x_count, void* y) {
  const Program<T>& p = model.program<T>();
  if (p.vocabulary > 0) {
    const recurra_status status = check_indices(model, x, x_count, p.vocabulary);
    if (status != RECURRA_OK) return status;
  }
  const FlushDenormals flush;
  Frame<T> f = frame_in<T>(state, p);
  Input<T>{x, p.inputs, 0}.at(&f, p.vocabulary > 0, 0);
  run_ops(p, 0, p.count, f);
  write(p, f, 0, static_cast<T*>(y), p.outputs);
  return RECURRA_OK;
}

// The lengths that the padding of x leaves: 0 as mask_zero says, or steps of Masking's value.
template <class T>
recurra_status lengths_of_padding(const recurra_model& model, long batch, long steps, const void* x,
                                  const int64_t* given, int64_t* lengths) {
  const long width = model.program<T>().inputs;
  for (long row = 0; row < batch; ++row) {
    const long most = given ? static_cast<long>(given[row]) : steps;
    long length = 0;
    for (long t = 0; t < most; ++t) {
      bool counts = false;
      if (model.masks_zero) {
        counts = static_cast<const int64_t*>(x)[row * steps + t] != 0;
      } else {
        const T* numbers = static_cast<const T*>(x) + (row * steps + t) * width;
        for (long j = 0; j < width; ++j) counts = counts || numbers[j] != static_cast<T>(model.mask_value);
      }
      if (counts && length < t)
        return fail(RECURRA_BAD_ARGUMENT,
                    "x: expected padding after all other steps, got some before step %ld of row %ld", t, row);
      length += counts;
    }
    lengths[row] = length;
  }
  return RECURRA_OK;
}

// Calls body(frame) for shares of the rows of `whole`, each on a thread of its own. This file alone knows of threads:
// it is compiled once with OpenMP and once without, and programs link one of them.
template <class T, class Body>
void share_rows(const Program<T>& p, const Frame<T>& whole, int threads, const Body& body) {
  const auto part = [&](long rank, long size) {
    const FlushDenormals flush;
    Frame<T> f = whole;
    f.row0 = whole.batch * rank / size;
    f.rows = whole.batch * (rank + 1) / size - f.row0;
    f.scratch += f.row0 * p.scratch_numbers, f.gates += f.row0 * whole.window * p.gates_numbers;
    body(f);
  };
#if defined(_OPENMP)
  if (whole.batch < threads) threads = static_cast<int>(whole.batch);
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    part(omp_get_thread_num(), omp_get_num_threads());
    return;
  }
#endif
  (void)threads;
  part(0, 1);
}

// Step after step in the state's own memory.
template <class T>
void run_stepwise(const recurra_model& model, recurra_state& state, long steps, const Input<T>& input,
                  const int64_t* lengths, T* y) {
  const Program<T>& p = model.program<T>();
  const bool sequence = model.info.gives_sequence != 0;
  Frame<T> whole = frame_in<T>(state, p);
  whole.lengths = lengths;
  share_rows(p, whole, static_cast<int>(model.info.threads), [&](const Frame<T>& own) {
    Frame<T> f = own;
    for (long t = 0; t < steps; ++t) {
      f.before = t;
      f.backwards = !f.backwards;
      input.at(&f, p.vocabulary > 0, t);
      run_ops(p, 0, p.sequence_count, f);
      if (sequence) write(p, f, 0, y + t * p.outputs, steps * p.outputs);
    }
    if (sequence) return;
    f.lengths = nullptr;
    run_ops(p, p.sequence_count, p.count, f);
    write(p, f, 0, y, p.outputs);
  });
}

// All steps of one operation before the next, in memory of its own.
template <class T>
recurra_status run_whole(const recurra_model& model, long batch, long steps, const Input<T>& input,
                         const int64_t* lengths, T* y) {
  const Program<T>& p = model.program<T>();
  const long window = steps < kWindow ? steps : kWindow;
  size_t numbers, bytes;
  const size_t row =
      static_cast<size_t>(p.state_numbers + p.scratch_numbers + window * p.gates_numbers + p.area_numbers);
  const size_t step = static_cast<size_t>(p.series_numbers + p.area_step_numbers);
  Block block(model.allocator);
  if (__builtin_mul_overflow(step, static_cast<size_t>(steps), &numbers) ||
      __builtin_add_overflow(numbers, row, &numbers) ||
      __builtin_mul_overflow(numbers, static_cast<size_t>(batch) * sizeof(T), &bytes) || !block.take(bytes))
    return fail(RECURRA_NO_MEMORY, "steps: expected memory for %ld steps of %ld rows, got none", steps, batch);
  std::memset(block.data(), 0, bytes);
  Frame<T> whole{};
  whole.states = reinterpret_cast<T*>(block.data());
  whole.scratch = whole.states + batch * p.state_numbers;
  whole.gates = whole.scratch + batch * p.scratch_numbers;
  whole.series = whole.gates + window * batch * p.gates_numbers;
  whole.area = whole.series + batch * steps * p.series_numbers;
  whole.area_row = p.area_numbers + steps * p.area_step_numbers;
  whole.batch = batch, whole.laid = steps, whole.window = window, whole.rows = batch, whole.steps = steps;
  whole.lengths = lengths;
  input.at(&whole, p.vocabulary > 0, 0);
  for (long i = 0; i < batch; ++i) start(model, whole.states, batch, i);
  share_rows(p, whole, static_cast<int>(model.info.threads), [&](const Frame<T>& own) {
    Frame<T> once = own;
    once.steps = 1, once.lengths = nullptr;
    for (long i = 0; i < p.count; ++i) p.calls[i].run(p.calls[i].once ? once : own);
    const long given = model.info.gives_sequence ? steps : 1;
    for (long t = 0; t < given; ++t) write(p, own, t, y + t * p.outputs, given * p.outputs);
  });
  return RECURRA_OK;
}

template <class T>
recurra_status run(const recurra_model& model, recurra_state& state, long steps, const void* x, size_t x_count,
                   const int64_t* lengths, void* y) {
  const Program<T>& p = model.program<T>();
  const long batch = static_cast<long>(state.batch);
  recurra_status status = RECURRA_OK;
  if (p.vocabulary > 0) status = check_indices(model, x, x_count, p.vocabulary);
  if (status == RECURRA_OK && (model.masks_zero || model.masks_value)) {
    status = lengths_of_padding<T>(model, batch, steps, x, lengths, state.lengths());
    lengths = state.lengths();
  }
  if (status != RECURRA_OK) return status;
  const Input<T> input{x, steps * p.inputs, p.inputs};
  if (!model.info.can_step) return run_whole<T>(model, batch, steps, input, lengths, static_cast<T*>(y));
  run_stepwise<T>(model, state, steps, input, lengths, static_cast<T*>(y));
  return RECURRA_OK;
}

// Counts of numbers against those expected, T = 1 for a step.
recurra_status check_counts(const recurra_model& model, const recurra_state& state, size_t steps, const void* x,
                            size_t x_count, const void* y, size_t y_count, bool sequence) {
  const size_t batch = state.batch, y_steps = sequence ? steps : 1;
  const recurra_model_info& info = model.info;
  if (!x || !y) return fail(RECURRA_BAD_ARGUMENT, "%s: expected a pointer, got null", x ? "y" : "x");
  if (x_count != batch * steps * info.inputs)
    return fail(RECURRA_BAD_ARGUMENT, "x: expected %zu numbers (%zu rows of %zu steps of %zu), got %zu",
                batch * steps * info.inputs, batch, steps, info.inputs, x_count);
  if (y_count != batch * y_steps * info.outputs)
    return fail(RECURRA_BAD_ARGUMENT, "y: expected %zu numbers (%zu rows of %zu steps of %zu), got %zu",
                batch * y_steps * info.outputs, batch, y_steps, info.outputs, y_count);
  return RECURRA_OK;
}

}  // namespace
}  // namespace recurra

recurra_status recurra_step(const recurra_model* model, recurra_state* state, const void* x, size_t x_count, void* y,
                            size_t y_count) {
  recurra_status status = recurra::check_state(model, state, "state");
  if (status != RECURRA_OK) return status;
  if (!model->info.can_step)
    return recurra::fail(RECURRA_CANNOT_STEP,
                         "model: expected one that runs forward in time, got one that needs whole "
                         "sequences; use recurra_run()");
  status = recurra::check_counts(*model, *state, 1, x, x_count, y, y_count, false);
  if (status != RECURRA_OK) return status;
  return model->info.dtype == RECURRA_FLOAT64 ? recurra::step<double>(*model, *state, x, x_count, y)
                                              : recurra::step<float>(*model, *state, x, x_count, y);
}

recurra_status recurra_run(const recurra_model* model, recurra_state* state, size_t steps, const void* x,
                           size_t x_count, const int64_t* lengths, void* y, size_t y_count) {
  recurra_status status = recurra::check_state(model, state, "state");
  if (status != RECURRA_OK) return status;
  if (steps < 1 || steps > (size_t{1} << 31))
    return recurra::fail(RECURRA_BAD_ARGUMENT, "steps: expected a number of steps from 1, got %zu", steps);
  status = recurra::check_counts(*model, *state, steps, x, x_count, y, y_count, model->info.gives_sequence != 0);
  if (status != RECURRA_OK) return status;
  for (size_t row = 0; lengths && row < state->batch; ++row)
    if (lengths[row] < 0 || lengths[row] > static_cast<int64_t>(steps))
      return recurra::fail(RECURRA_BAD_ARGUMENT, "lengths: expected numbers from 0 to %zu, got %lld at %zu", steps,
                           static_cast<long long>(lengths[row]), row);
  return model->info.dtype == RECURRA_FLOAT64
             ? recurra::run<double>(*model, *state, static_cast<long>(steps), x, x_count, lengths, y)
             : recurra::run<float>(*model, *state, static_cast<long>(steps), x, x_count, lengths, y);
}
