// The convolution for Python: weights packed once, with an activation or without, channels before time as in ONNX.
#include "nn/convolution.h"

#include <memory>
#include <string>
#include <variant>

#include "bindings/arrays.h"
#include "bindings/module.h"

namespace recurra {
namespace {

template <class T>
using Shared = std::shared_ptr<const PackedConvolution<T>>;

struct Convolution {
  std::variant<Shared<float>, Shared<double>> packed;
  Activation activation;
};

template <class T>
Convolution make(const py::object& weight, const py::object& bias, long stride) {
  const auto w = input<T>("weight", weight, {-1, -1, -1});
  if (w.size() == 0) refuse("weight", "numbers", "shape " + shape_text(shape_of(w)));
  if (stride < 1) refuse("stride", "an integer from 1", std::to_string(stride));
  Input<T> b;
  if (!bias.is_none()) b = input<T>("bias", bias, {w.shape(0)});
  const auto size = [&](int axis) { return static_cast<long>(w.shape(axis)); };
  return {std::make_shared<const PackedConvolution<T>>(w.data(), bias.is_none() ? nullptr : b.data(), size(2), size(0),
                                                       size(1), stride),
          {}};
}

template <class T>
py::object run(const PackedConvolution<T>& layer, const Activation& activation, const py::object& x, long low,
               long high) {
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  constexpr long kMost = 1l << 40;
  py::array owner;
  const View<const T> seen = strided<T>("x", x, {-1, layer.channels(), -1}, &owner);
  const long batch = owner.shape(0), size = owner.shape(2);
  if (low < 0 || high < 0 || low > kMost || high > kMost)
    refuse("padding", "integers from 0", std::to_string(low) + " and " + std::to_string(high));
  const long places = layer.places(low + size + high);
  if (places < 1)
    refuse("X", "at least the " + std::to_string(layer.taps()) + " steps under a window",
           std::to_string(low + size + high) + " with padding");
  const long element = layer.channels() > 1 ? seen.step : 1;  // `strided` names the axes (batch, time, features)
  const View<const T> view{seen.data, seen.row, owner.strides(2) / kSize, element};
  const py::ssize_t outputs = layer.outputs(), row = outputs * kSize;
  py::array_t<T> y(Shape{batch, outputs, places}, Shape{places * row, kSize, row});
  T* const to = y.mutable_data();
  const double flops = 2.0 * static_cast<double>(batch * places) * static_cast<double>(layer.taps()) *
                       static_cast<double>(layer.channels() * outputs);
  const auto work = [&](const Poll& poll) { return layer.run(batch, size, view, low, high, activation, to, poll); };
  if (flops < kFlopsWorthRelease) {
    static const Poll none;
    work(none);
  } else {
    run_without_gil(work);
  }
  return std::move(y);
}

}  // namespace

void bind_convolution(py::module_& m) {
  py::class_<Convolution>(m, "Convolution", py::is_final())
      .def(py::init([](const py::object& weight, const py::object& bias, long stride) {
             return by_dtype("weight", weight, [&](auto zero) { return make<decltype(zero)>(weight, bias, stride); });
           }),
           py::arg("weight"), py::arg("bias").none(true), py::arg("stride"))
      .def(
          "__call__",
          [](const Convolution& c, const py::object& x, long low, long high) {
            return std::visit([&](const auto& packed) { return run(*packed, c.activation, x, low, high); }, c.packed);
          },
          py::arg("x"), py::arg("low"), py::arg("high"))
      .def(
          "activated",
          [](const Convolution& c, const std::string& name, double alpha, double beta) {
            return Convolution{c.packed, activation_of(name, alpha, beta)};
          },
          py::arg("name"), py::arg("alpha"), py::arg("beta"));
}

}  // namespace recurra
