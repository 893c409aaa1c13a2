// Losses, activations, dropout and random numbers for Python. Outputs are fresh arrays unless said
// otherwise.
#include "bindings/module.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "nn/random.h"
#include "nn/train.h"

namespace recurra {
namespace {

// ---- losses: (mean loss, gradient of y), or (losses of the rows, gradient of each row's own loss) -

using LossAndGradient = std::pair<py::object, py::array>;

LossAndGradient bind_mse(const py::array& y, const py::array& target) {
  return by_dtype("y", y, [&](auto zero) -> LossAndGradient {
    using T = decltype(zero);
    const Input<T> a = input<T>("y", y), b = input<T>("target", target, shape_of(y));
    if (a.size() == 0) refuse("y", "at least one element", "none");
    py::array_t<T> dy(shape_of(y));
    T* const out = dy.mutable_data();
    double loss;
    {
      py::gil_scoped_release release;
      loss = mean_squared_error<T>(a.size(), a.data(), b.data(), out);
    }
    return {py::float_(loss), dy};
  });
}

void require_labels(const Input<int64_t>& labels, long columns) {
  for (py::ssize_t i = 0; i < labels.size(); ++i)
    if (const int64_t label = labels.data()[i]; label < 0 || label >= columns)
      refuse("labels", "integers from 0 to " + std::to_string(columns - 1), std::to_string(label));
}

// Exactly one of target and labels is given.
LossAndGradient bind_cross_entropy(const py::array& y, const py::array* target, const py::array* labels,
                                   bool from_logits, bool by_row) {
  return by_dtype("y", y, [&](auto zero) -> LossAndGradient {
    using T = decltype(zero);
    const Input<T> a = input<T>("y", y);
    if (a.ndim() < 1 || a.size() == 0) refuse("y", "at least one row of classes", "shape " + shape_text(shape_of(a)));
    Shape rows = shape_of(a);
    rows.pop_back();
    CrossEntropy<T> c{};
    c.columns = a.shape(a.ndim() - 1);
    c.rows = a.size() / c.columns;
    c.y = a.data();
    c.from_logits = from_logits;
    Input<T> weights;
    Input<int64_t> classes;
    if (target) {
      weights = input<T>("target", *target, shape_of(a));
      c.target = weights.data();
    } else {
      classes = input<int64_t>("labels", *labels, rows);
      require_labels(classes, c.columns);
      c.labels = classes.data();
    }
    py::array_t<T> dy(shape_of(a));
    c.dy = dy.mutable_data();
    if (by_row) {
      py::array_t<double> losses(rows);
      c.loss = losses.mutable_data();
      c.scale = T(1);
      {
        py::gil_scoped_release release;
        cross_entropy_rows<T>(c);
      }
      return {losses, dy};
    }
    double loss;
    {
      py::gil_scoped_release release;
      loss = mean_cross_entropy<T>(c);
    }
    return {py::float_(loss), dy};
  });
}

// ---- activations, softmax, dropout --------------------------------------------------------------

// A fresh array of x's shape and dtype filled by body(T*, contiguous x, contiguous other).
template <class Body>
py::array mapped(const char* name, const py::array& x, const char* other_name, const py::array& other,
                 const Body& body) {
  return by_dtype(name, x, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const Input<T> a = input<T>(name, x), b = input<T>(other_name, other, shape_of(x));
    py::array_t<T> result(shape_of(x));
    T* const out = result.mutable_data();
    if (a.size() > 0) {
      py::gil_scoped_release release;
      body(out, a, b);
    }
    return std::move(result);
  });
}

// Whether an array's numbers fill their memory without a gap, in whatever order of the axes.
bool dense(const py::array& a) {
  std::vector<std::pair<py::ssize_t, py::ssize_t>> axes;  // stride, size
  for (py::ssize_t axis = 0; axis < a.ndim(); ++axis)
    if (a.shape(axis) != 1) axes.emplace_back(a.strides(axis), a.shape(axis));
  std::sort(axes.begin(), axes.end());
  py::ssize_t next = a.itemsize();
  for (const auto& [stride, size] : axes) {
    if (stride != next) return false;
    next *= size;
  }
  return a.size() > 0 && reinterpret_cast<std::uintptr_t>(a.data()) % static_cast<std::size_t>(a.itemsize()) == 0;
}

py::array bind_activation(const std::string& name, double alpha, double beta, const py::array& x) {
  const Activation activation = activation_of(name, alpha, beta);
  if (!(x.flags() & py::array::c_style) && dense(x))
    return by_dtype("x", x, [&](auto zero) -> py::array {
      using T = decltype(zero);
      py::array_t<T> y(shape_of(x), Shape(x.strides(), x.strides() + x.ndim()));
      const T* const from = static_cast<const T*>(x.data());
      T* const to = y.mutable_data();
      const long count = y.size();
      {
        py::gil_scoped_release release;
        apply_activation(activation, count, from, to);
      }
      return std::move(y);
    });
  return mapped("x", x, "x", x,
                [&](auto* y, const auto& a, const auto&) { apply_activation(activation, a.size(), a.data(), y); });
}

py::array bind_activation_backward(const std::string& name, double alpha, double beta, const py::array& y,
                                   const py::array& dy) {
  const Activation activation = activation_of(name, alpha, beta);
  return mapped("y", y, "dy", dy, [&](auto* dx, const auto& a, const auto& b) {
    apply_activation_backward(activation, a.size(), a.data(), b.data(), dx);
  });
}

// The last axis: [rows, columns].
long columns_of(const char* argument, const py::array& a) {
  if (a.ndim() < 1) refuse(argument, "at least one axis", "none");
  return a.shape(a.ndim() - 1);
}

py::array bind_softmax(const py::array& x) {
  const long columns = columns_of("x", x);
  return mapped("x", x, "x", x,
                [&](auto* y, const auto& a, const auto&) { apply_softmax(a.size() / columns, columns, a.data(), y); });
}

py::array bind_softmax_backward(const py::array& y, const py::array& dy) {
  const long columns = columns_of("y", y);
  return mapped("y", y, "dy", dy, [&](auto* dx, const auto& a, const auto& b) {
    apply_softmax_backward(a.size() / columns, columns, a.data(), b.data(), dx);
  });
}

py::array bind_dropout(const py::array& x, double rate, uint64_t seed, uint32_t stream) {
  if (x.ndim() != 2) refuse("x", "two axes (rows, features)", std::to_string(x.ndim()));
  if (!(rate >= 0 && rate <= 1)) refuse("rate", "a number in [0, 1]", std::to_string(rate));
  const long rows = x.shape(0), columns = x.shape(1);
  return mapped("x", x, "x", x, [&](auto* y, const auto& a, const auto&) {
    apply_dropout(rows, columns, rate, seed, stream, a.data(), y);
  });
}

py::array bind_math(const std::string& name, const py::array& x) {
  for (std::size_t i = 0; i < std::size(kMathNames); ++i) {
    if (name != kMathNames[i]) continue;
    const MathFunction function = static_cast<MathFunction>(i);
    return mapped("x", x, "x", x,
                  [&](auto* y, const auto& a, const auto&) { apply_math(function, a.size(), a.data(), y); });
  }
  refuse("name", "a function of simd/math.h", name);
}

// ---- random numbers -----------------------------------------------------------------------------

// A fresh array of `count` elements filled by body(T*).
template <class T, class Body>
py::array drawn(long count, const Body& body) {
  if (count < 0) refuse("count", "an integer from 0", std::to_string(count));
  py::array_t<T> result(count);
  T* const out = result.mutable_data();
  {
    py::gil_scoped_release release;
    body(out);
  }
  return std::move(result);
}

void bind_random(py::module_& m) {
  m.def(
      "random_words",
      [](uint64_t seed, uint32_t purpose, uint32_t layer, uint32_t direction, uint32_t step, uint32_t row, long count) {
        return drawn<uint32_t>(count, [&](uint32_t* out) {
          random_words(seed, static_cast<int>(purpose), layer, direction, step, row, count, out);
        });
      },
      py::arg("seed"), py::arg("purpose"), py::arg("layer"), py::arg("direction"), py::arg("step"), py::arg("row"),
      py::arg("count"));
  m.def(
      "random_uniform",
      [](uint64_t seed, uint32_t stream, long count) {
        return drawn<double>(count, [&](double* out) { fill_uniform(seed, stream, count, out); });
      },
      py::arg("seed"), py::arg("stream"), py::arg("count"));
  m.def(
      "random_normal",
      [](uint64_t seed, uint32_t stream, long count) {
        return drawn<double>(count, [&](double* out) { fill_normal(seed, stream, count, out); });
      },
      py::arg("seed"), py::arg("stream"), py::arg("count"));
  m.def("dropout", bind_dropout, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("stream"));
}

void bind_losses(py::module_& m) {
  m.def("mse", bind_mse, py::arg("y"), py::arg("target"));
  m.def(
      "categorical_crossentropy",
      [](const py::array& y, const py::array& target, bool logits, bool by_row) {
        return bind_cross_entropy(y, &target, nullptr, logits, by_row);
      },
      py::arg("y"), py::arg("target"), py::kw_only(), py::arg("from_logits"), py::arg("by_row") = false);
  m.def(
      "sparse_categorical_crossentropy",
      [](const py::array& y, const py::array& labels, bool logits, bool by_row) {
        return bind_cross_entropy(y, nullptr, &labels, logits, by_row);
      },
      py::arg("y"), py::arg("labels"), py::kw_only(), py::arg("from_logits"), py::arg("by_row") = false);
}

}  // namespace

void bind_train(py::module_& m) {
  bind_losses(m);
  bind_random(m);
  m.def("activation", bind_activation, py::arg("name"), py::arg("alpha"), py::arg("beta"), py::arg("x"));
  m.def("activation_backward", bind_activation_backward, py::arg("name"), py::arg("alpha"), py::arg("beta"),
        py::arg("y"), py::arg("dy"));
  m.def("softmax", bind_softmax, py::arg("x"));
  m.def("softmax_backward", bind_softmax_backward, py::arg("y"), py::arg("dy"));
  m.def("math", bind_math, py::arg("name"), py::arg("x"));
}

}  // namespace recurra
