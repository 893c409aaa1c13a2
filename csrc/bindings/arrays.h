// NumPy arrays at the border: dtype, shape and writeability are checked here for memory safety; users are told earlier,
// in Python.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/activation.h"
#include "base/team.h"
#include "nn/direction.h"

namespace recurra {

namespace py = pybind11;

// Extents of axes, in place: calls of a microsecond take no memory for them.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<py::ssize_t> extents) : Shape(extents.begin(), extents.end()) {}
  Shape(const py::ssize_t* first, const py::ssize_t* last) {
    for (; first != last; ++first) push_back(*first);
  }
  Shape(const Shape& other) : Shape(other.begin(), other.end()) {}
  Shape& operator=(const Shape& other) {
    count_ = 0;
    for (const py::ssize_t extent : other) push_back(extent);
    return *this;
  }
  std::size_t size() const { return count_; }
  const py::ssize_t* begin() const { return extents_; }
  const py::ssize_t* end() const { return extents_ + count_; }
  py::ssize_t operator[](std::size_t axis) const { return extents_[axis]; }
  void push_back(py::ssize_t extent) {
    if (count_ == kMostAxes) throw py::value_error("shape: expected at most 64 axes, got more");
    extents_[count_++] = extent;
  }
  void pop_back() { --count_; }

 private:
  static constexpr std::size_t kMostAxes = 64;  // NumPy's limit
  py::ssize_t extents_[kMostAxes];
  std::size_t count_ = 0;
};

inline Shape shape_of(const py::array& a) { return Shape(a.shape(), a.shape() + a.ndim()); }

inline std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + (shape[i] < 0 ? "any" : std::to_string(shape[i]));
  return text + (shape.size() == 1 ? ",)" : ")");
}

[[noreturn]] inline void refuse(const char* argument, const std::string& expected, const std::string& got) {
  throw py::value_error(std::string(argument) + ": expected " + expected + ", got " + got);
}
[[noreturn]] inline void refuse_type(const char* argument, const std::string& expected, const py::handle& got) {
  throw py::type_error(std::string(argument) + ": expected " + expected + ", got " + std::string(py::str(got)));
}

// `object` as an array of T with the given shape (-1: any extent).
template <class T>
py::array typed(const char* name, const py::handle& object, const Shape& shape) {
  if (!py::isinstance<py::array>(object)) refuse_type(name, "a NumPy array", py::type::of(object).attr("__name__"));
  py::array a = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<py::array_t<T>>(a)) refuse_type(name, py::str(py::dtype::of<T>()), a.dtype());
  bool good = a.ndim() == static_cast<py::ssize_t>(shape.size());
  for (std::size_t i = 0; good && i < shape.size(); ++i)
    good = shape[i] < 0 || a.shape(static_cast<py::ssize_t>(i)) == shape[i];
  if (!good) refuse(name, "shape " + shape_text(shape), shape_text(shape_of(a)));
  return a;
}

// Whether an array is what `input` would make of it.
template <class T>
bool lies_right(const py::handle& object, const Shape& shape) {
  if (!py::isinstance<py::array>(object)) return false;
  const auto* a = py::detail::array_proxy(object.ptr());
  constexpr int kWanted = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  bool good = (a->flags & kWanted) == kWanted && a->nd == static_cast<int>(shape.size());
  for (int i = 0; good && i < a->nd; ++i)
    good = shape[static_cast<std::size_t>(i)] < 0 || a->dimensions[i] == shape[static_cast<std::size_t>(i)];
  return good && a->descr == py::dtype::of<T>().ptr();
}

// Read only, C-contiguous and aligned; copied when the caller's array is not.
template <class T>
using Input = py::array_t<T, py::array::c_style>;
template <class T>
Input<T> input(const char* name, const py::handle& object, const Shape& shape) {
  if (lies_right<T>(object, shape)) return py::reinterpret_borrow<Input<T>>(object);
  return Input<T>::ensure(typed<T>(name, object, shape));
}
template <class T>
Input<T> input(const char* name, const py::array& a) {
  return input<T>(name, a, shape_of(a));
}

// A new C-contiguous array of uninitialised numbers, or of a copy of `from`; for calls where pybind11's vectors of
// shape and strides would count.
template <class T>
py::object fresh(const Shape& shape, const T* from = nullptr) {
  static_assert(sizeof(py::ssize_t) == sizeof(Py_intptr_t));
  auto& api = py::detail::npy_api::get();
  PyObject* array =
      api.PyArray_NewFromDescr_(api.PyArray_Type_, py::dtype::of<T>().release().ptr(), static_cast<int>(shape.size()),
                                reinterpret_cast<const Py_intptr_t*>(shape.begin()), nullptr, nullptr, 0, nullptr);
  if (!array) throw py::error_already_set();
  if (from) {
    std::size_t count = 1;
    for (const py::ssize_t extent : shape) count *= static_cast<std::size_t>(extent);
    std::memcpy(py::detail::array_proxy(array)->data, from, count * sizeof(T));
  }
  return py::reinterpret_steal<py::object>(array);
}
template <class T>
T* numbers_of(const py::handle& array) {
  return reinterpret_cast<T*>(py::detail::array_proxy(array.ptr())->data);
}

// Written in place: must be C-contiguous, aligned and writeable.
template <class T>
T* output(const char* name, const py::handle& object, const Shape& shape) {
  if (lies_right<T>(object, shape) &&
      py::detail::array_proxy(object.ptr())->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_)
    return numbers_of<T>(object);
  py::array a = typed<T>(name, object, shape);
  if (!(a.flags() & py::array::c_style) || reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) != 0)
    refuse(name, "a C-contiguous array", "other strides");
  if (!a.writeable()) refuse(name, "a writeable array", "a read-only one");
  return static_cast<T*>(a.mutable_data());
}

// No two of these C-contiguous arrays may share memory: some of them are written.
inline void require_apart(const std::vector<std::pair<const char*, const py::array*>>& arrays) {
  const auto first = [](const py::array* a) { return static_cast<const char*>(a->data()); };
  for (std::size_t i = 0; i < arrays.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (first(arrays[i].second) < first(arrays[j].second) + arrays[j].second->nbytes() &&
          first(arrays[j].second) < first(arrays[i].second) + arrays[i].second->nbytes())
        refuse(arrays[i].first, std::string("memory apart from ") + arrays[j].first, "overlapping arrays");
}

// body(float{}) or body(double{}) by the dtype of `a`.
template <class Body>
auto by_dtype(const char* name, const py::handle& a, const Body& body) {
  if (py::isinstance<py::array_t<float>>(a)) return body(float{});
  if (py::isinstance<py::array_t<double>>(a)) return body(double{});
  refuse_type(name, "float32 or float64",
              py::hasattr(a, "dtype") ? py::object(a.attr("dtype")) : py::object(py::type::of(a)));
}

// A (N, T, F) array of any strides, without a copy unless it is not aligned. `owner` keeps what the view points to.
template <class T>
View<const T> strided(const char* name, const py::handle& object, const Shape& shape, py::array* owner) {
  if (lies_right<T>(object, shape)) {
    *owner = py::reinterpret_borrow<py::array>(object);
    const auto* extents = py::detail::array_proxy(object.ptr())->dimensions;
    return {numbers_of<T>(object), static_cast<long>(extents[1] * extents[2]), static_cast<long>(extents[2]), 1};
  }
  py::array a = typed<T>(name, object, shape);
  bool aligned = reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) == 0;
  for (py::ssize_t axis = 0; axis < 3; ++axis)
    aligned = aligned && a.strides(axis) % static_cast<py::ssize_t>(sizeof(T)) == 0;
  if (!aligned) a = py::array_t<T, py::array::c_style>::ensure(a).attr("copy")();
  *owner = a;
  const auto stride = [&](py::ssize_t axis) {
    return static_cast<long>(a.strides(axis)) / static_cast<long>(sizeof(T));
  };
  return {static_cast<const T*>(a.data()), stride(0), stride(1), a.shape(2) > 1 ? stride(2) : 1};
}

// Rows of contiguous numbers, a stride apart; they may overlap, as the windows of a convolution do, for they are only
// read.
template <class T>
struct Rows {
  py::array owner;
  const T* data;
  long count, stride;
};

// A (rows, columns) array as rows, without a copy if its columns are contiguous and its rows go forward.
template <class T>
Rows<T> rows_of(const char* name, const py::handle& object, py::ssize_t columns) {
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  py::array a = typed<T>(name, object, {-1, columns});
  const bool aligned = reinterpret_cast<std::uintptr_t>(a.data()) % sizeof(T) == 0;
  const bool contiguous = columns <= 1 || a.strides(1) == kSize;
  if (!aligned || !contiguous || a.strides(0) < 0 || a.strides(0) % kSize != 0)
    a = py::array_t<T, py::array::c_style>::ensure(a).attr("copy")();
  return {a, static_cast<const T*>(a.data()), static_cast<long>(a.shape(0)), static_cast<long>(a.strides(0) / kSize)};
}

// An activation by its name.
inline Activation activation_of(const std::string& name, double alpha, double beta) {
  Activation activation;
  activation.alpha = alpha;
  activation.beta = beta;
  if (find_activation(name.c_str(), &activation.kind)) return activation;
  std::string names;
  for (const char* known : kActivationNames) names += (names.empty() ? "" : ", ") + std::string(known);
  refuse("name", "one of " + names, name);
}

// Products of fewer operations keep the GIL: giving it up would cost more than they do.
constexpr double kFlopsWorthRelease = 1e5;

// True when a signal (Ctrl-C) waits; the Python error is set then.
inline Poll signal_poll() {
  return [] {
    py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  };
}

// Runs `work` (taking a Poll, returning false when stopped) without the GIL; raises what stopped it.
template <class F>
void run_without_gil(const F& work) {
  bool done;
  {
    py::gil_scoped_release release;
    done = work(signal_poll());
  }
  if (!done) throw py::error_already_set();
}

}  // namespace recurra
