// recurra.h for C++17: owners, spans, and exceptions for those who want them. Header only; link what C programs link.
//
//   recurra::Model model("model.safetensors");
//   recurra::State state(model);
//   state.step(x, y);                          // x, y: std::array, std::vector, recurra::span
//
// What fails throws recurra::Error. With RECURRA_NO_EXCEPTIONS, or a compiler without them, it returns a status
// instead:
//
//   recurra::Model model;
//   recurra::State state;
//   if (model.load("model.safetensors") || state.init(model)) return fail(recurra_last_error());
//
// Meanings, sizes and thread-safety are those of recurra.h. A model outlives its states; it may be moved meanwhile.
#ifndef RECURRA_HPP_
#define RECURRA_HPP_

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "recurra.h"

#if !defined(RECURRA_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define RECURRA_NO_EXCEPTIONS
#endif
#if !defined(RECURRA_NO_EXCEPTIONS)
#include <stdexcept>
#include <string>
#endif

namespace recurra {
inline namespace cpp {

// A pointer and a count: what std::span is since C++20. Made from arrays and from whatever has data() and size().
template <class T>
class span {
 public:
  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <std::size_t N>
  constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
  template <class Container, class Element = std::remove_pointer_t<decltype(std::declval<Container&>().data())>,
            class = std::enable_if_t<std::is_convertible_v<Element (*)[], T (*)[]>>,
            class = decltype(std::declval<Container&>().size())>
  constexpr span(Container&& container) noexcept : data_(container.data()), size_(container.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
  constexpr span subspan(std::size_t first, std::size_t count) const noexcept { return {data_ + first, count}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

#if defined(RECURRA_NO_EXCEPTIONS)
// What a call that can fail returns: RECURRA_OK, or why it failed.
using Outcome = recurra_status;

namespace detail {
inline Outcome outcome(recurra_status status) noexcept { return status; }
inline Outcome wrong_type(const char*) noexcept { return RECURRA_BAD_ARGUMENT; }
}  // namespace detail
#else
// What a call that can fail returns: nothing. It throws Error instead.
using Outcome = void;

// A status and the sentence that belongs to it.
class Error : public std::runtime_error {
 public:
  Error(recurra_status status, const std::string& what) : std::runtime_error(what), status_(status) {}
  recurra_status status() const noexcept { return status_; }

 private:
  recurra_status status_;
};

namespace detail {
inline void outcome(recurra_status status) {
  if (status != RECURRA_OK) throw Error(status, recurra_last_error());
}
inline void wrong_type(const char* message) { throw Error(RECURRA_BAD_ARGUMENT, message); }
}  // namespace detail
#endif

namespace detail {
template <class T>
constexpr recurra_dtype kDtype = std::is_same_v<T, float>    ? RECURRA_FLOAT32
                                 : std::is_same_v<T, double> ? RECURRA_FLOAT64
                                                             : RECURRA_INT64;
}  // namespace detail

// recurra_options with its defaults filled in.
struct Options : recurra_options {
  Options() noexcept : recurra_options(RECURRA_OPTIONS_INIT) {}
};

// A loaded model: immutable, for any number of threads at once.
class Model {
 public:
  Model() noexcept = default;  // empty
  ~Model() { recurra_model_free(model_); }
  Model(Model&& other) noexcept : model_(std::exchange(other.model_, nullptr)), info_(other.info_) {}
  Model& operator=(Model&& other) noexcept {
    std::swap(model_, other.model_);
    std::swap(info_, other.info_);
    return *this;
  }
#if !defined(RECURRA_NO_EXCEPTIONS)
  explicit Model(const char* path, const recurra_options& options = Options()) { load(path, options); }
  explicit Model(const std::string& path, const recurra_options& options = Options()) { load(path.c_str(), options); }
#endif

  // Replaces the model by that of a file, or of the bytes of one.
  Outcome load(const char* path, const recurra_options& options = Options()) {
    recurra_model* fresh = nullptr;
    const recurra_status status = recurra_model_load(path, &options, &fresh);
    return take(status, fresh);
  }
  Outcome load(span<const unsigned char> file, const recurra_options& options = Options()) {
    recurra_model* fresh = nullptr;
    const recurra_status status = recurra_model_load_memory(file.data(), file.size(), &options, &fresh);
    return take(status, fresh);
  }

  explicit operator bool() const noexcept { return model_ != nullptr; }
  const recurra_model* get() const noexcept { return model_; }
  const recurra_model_info& info() const noexcept { return info_; }  // zeros if empty
  std::size_t inputs() const noexcept { return info_.inputs; }
  std::size_t outputs() const noexcept { return info_.outputs; }
  const char* text() const noexcept { return recurra_model_text(model_); }

 private:
  Outcome take(recurra_status status, recurra_model* fresh) {
    if (status == RECURRA_OK) {
      recurra_model_free(std::exchange(model_, fresh));
      info_ = {};
      info_.struct_size = sizeof info_;
      status = recurra_model_get_info(model_, &info_);
    }
    return detail::outcome(status);
  }

  recurra_model* model_ = nullptr;
  recurra_model_info info_ = {};
};

// What one stream carries from step to step, in memory of its own. For one thread at a time.
class State {
 public:
  State() noexcept = default;  // empty: every call but init() fails
  ~State() { release(); }
  State(State&& other) noexcept { swap(other); }
  State& operator=(State&& other) noexcept {
    swap(other);
    return *this;
  }
#if !defined(RECURRA_NO_EXCEPTIONS)
  explicit State(const Model& model, std::size_t batch = 1) { init(model, batch); }
#endif

  // Becomes a state of `batch` rows, at the model's initial states.
  Outcome init(const Model& model, std::size_t batch = 1) {
    std::size_t size = 0, alignment = 0;
    recurra_status status = recurra_state_size(model.get(), batch, &size, &alignment);
    if (status == RECURRA_OK) {
      State fresh;
      fresh.alignment_ = std::align_val_t(alignment);
      fresh.memory_ = ::operator new(size, fresh.alignment_, std::nothrow);
      if (!fresh.memory_) {
        status = RECURRA_NO_MEMORY;
      } else {
        status = recurra_state_init(model.get(), batch, fresh.memory_, size, &fresh.state_);
        fresh.model_ = model.get();
        fresh.input_dtype_ = model.info().input_dtype, fresh.dtype_ = model.info().dtype;
        fresh.numbers_ = batch * model.info().state_numbers;
      }
      if (status == RECURRA_OK) swap(fresh);
    }
    return detail::outcome(status);
  }

  explicit operator bool() const noexcept { return state_ != nullptr; }
  recurra_state* get() const noexcept { return state_; }
  std::size_t numbers() const noexcept { return numbers_; }  // of all states and rows: what save() wants room for

  Outcome reset() { return detail::outcome(recurra_state_reset(model_, state_)); }
  Outcome reset_rows(span<const std::size_t> rows) {
    return detail::outcome(recurra_state_reset_rows(model_, state_, rows.data(), rows.size()));
  }
  Outcome copy_from(const State& other) { return detail::outcome(recurra_state_copy(model_, state_, other.state_)); }

  // The states as numbers() floats, or doubles of a float64 model: into `numbers`, and from them.
  Outcome save(span<float> numbers) const { return save_as(numbers); }
  Outcome save(span<double> numbers) const { return save_as(numbers); }
  Outcome restore(span<const float> numbers) { return restore_as(numbers); }
  Outcome restore(span<const double> numbers) { return restore_as(numbers); }

  // One time step: x [B, I], y [B, O].
  Outcome step(span<const float> x, span<float> y) { return step_as(x, y); }
  Outcome step(span<const double> x, span<double> y) { return step_as(x, y); }
  Outcome step(span<const std::int64_t> x, span<float> y) { return step_as(x, y); }
  Outcome step(span<const std::int64_t> x, span<double> y) { return step_as(x, y); }

  // T = `steps` time steps: x [B, T, I], y [B, T, O] or [B, O]; lengths [B], or none for all T.
  using Lengths = span<const std::int64_t>;
  Outcome run(std::size_t steps, span<const float> x, span<float> y, Lengths lengths = {}) {
    return run_as(steps, x, y, lengths);
  }
  Outcome run(std::size_t steps, span<const double> x, span<double> y, Lengths lengths = {}) {
    return run_as(steps, x, y, lengths);
  }
  Outcome run(std::size_t steps, span<const std::int64_t> x, span<float> y, Lengths lengths = {}) {
    return run_as(steps, x, y, lengths);
  }
  Outcome run(std::size_t steps, span<const std::int64_t> x, span<double> y, Lengths lengths = {}) {
    return run_as(steps, x, y, lengths);
  }

 private:
  static constexpr const char* kWrongType = "x, y: expected arrays of the types that Model::info() names, got others";

  template <class X, class Y>
  bool fits() const noexcept {
    return !state_ || (detail::kDtype<std::remove_const_t<X>> == input_dtype_ && detail::kDtype<Y> == dtype_);
  }
  template <class X, class Y>
  Outcome step_as(span<X> x, span<Y> y) {
    if (!fits<X, Y>()) return detail::wrong_type(kWrongType);
    return detail::outcome(recurra_step(model_, state_, x.data(), x.size(), y.data(), y.size()));
  }
  template <class X, class Y>
  Outcome run_as(std::size_t steps, span<X> x, span<Y> y, Lengths lengths) {
    if (!fits<X, Y>()) return detail::wrong_type(kWrongType);
    return detail::outcome(recurra_run(model_, state_, steps, x.data(), x.size(), lengths.data(), y.data(), y.size()));
  }
  template <class T>
  Outcome save_as(span<T> numbers) const {
    if (state_ && detail::kDtype<T> != dtype_) return detail::wrong_type(kWrongType);
    return detail::outcome(recurra_state_get(model_, state_, numbers.data(), numbers.size()));
  }
  template <class T>
  Outcome restore_as(span<const T> numbers) {
    if (state_ && detail::kDtype<T> != dtype_) return detail::wrong_type(kWrongType);
    return detail::outcome(recurra_state_set(model_, state_, numbers.data(), numbers.size()));
  }

  void swap(State& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(alignment_, other.alignment_);
    std::swap(state_, other.state_);
    std::swap(model_, other.model_);
    std::swap(input_dtype_, other.input_dtype_);
    std::swap(dtype_, other.dtype_);
    std::swap(numbers_, other.numbers_);
  }
  void release() noexcept { ::operator delete(memory_, alignment_); }

  void* memory_ = nullptr;
  std::align_val_t alignment_{alignof(std::max_align_t)};
  recurra_state* state_ = nullptr;
  const recurra_model* model_ = nullptr;
  recurra_dtype input_dtype_ = RECURRA_FLOAT32, dtype_ = RECURRA_FLOAT32;
  std::size_t numbers_ = 0;
};

}  // namespace cpp
}  // namespace recurra

#endif  // RECURRA_HPP_
