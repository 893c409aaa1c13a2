// The dense layer for Python: with weights that change from call to call, and packed once.
#include <cstring>
#include <memory>
#include <variant>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "nn/linear.h"
#include "nn/products.h"

namespace recurra {
namespace {

// Comparing fewer bytes keeps the GIL.
constexpr std::size_t kBytesWorthRelease = 1 << 18;

template <class T>
py::array_t<T> linear_typed(const py::object& weight, const py::object& bias, const py::object& x) {
  const auto w = input<T>("weight", weight, {-1, -1});
  const Rows<T> rows = rows_of<T>("x", x, w.shape(1));
  Linear<T> a{rows.count,
              static_cast<long>(w.shape(1)),
              static_cast<long>(w.shape(0)),
              w.data(),
              nullptr,
              rows.data,
              rows.stride,
              nullptr};
  py::array_t<T, py::array::c_style> b;
  if (!bias.is_none()) b = input<T>("bias", bias, {a.outputs}), a.bias = b.data();
  py::array_t<T> y({a.rows, a.outputs});
  a.y = y.mutable_data();
  run_without_gil([&](const Poll& poll) { return linear(a, poll); });
  return y;
}

template <class T>
py::object linear_backward_typed(const py::object& weight, const py::object& x, const py::object& dy,
                                 const py::object& dweight, const py::object& dbias, bool need_dx) {
  const auto w = input<T>("weight", weight, {-1, -1});
  LinearGradients<T> a{};
  a.inputs = w.shape(1), a.outputs = w.shape(0), a.weight = w.data();
  const Rows<T> rows = rows_of<T>("x", x, a.inputs);
  a.rows = rows.count, a.x = rows.data, a.x_row = rows.stride;
  const auto d = input<T>("dy", dy, {a.rows, a.outputs});
  a.dy = d.data(), a.dy_row = a.outputs;
  a.dweight = output<T>("dweight", dweight, {a.outputs, a.inputs});
  if (!dbias.is_none()) a.dbias = output<T>("dbias", dbias, {a.outputs});
  py::object dx = py::none();
  if (need_dx) {
    py::array_t<T> array({a.rows, a.inputs});
    a.dx = array.mutable_data();
    dx = array;
  }
  run_without_gil([&](const Poll& poll) { return linear_backward(a, poll); });
  return dx;
}

// a (N, rows, depth) times b, (N, depth, columns) or, transposed, (N, columns, depth), sample by sample.
template <class T>
py::object products_typed(const py::object& a, const py::object& b, bool transposed) {
  const auto left = input<T>("a", a, {-1, -1, -1});
  const py::ssize_t batch = left.shape(0), depth = left.shape(2);
  const auto right = input<T>("b", b, transposed ? Shape{batch, -1, depth} : Shape{batch, depth, -1});
  Products<T> p{batch,       left.shape(1), depth,      right.shape(transposed ? 1 : 2),
                left.data(), right.data(),  transposed, nullptr};
  py::array_t<T> c({p.batch, p.rows, p.columns});
  p.c = c.mutable_data();
  if (c.size() > 0) run_without_gil([&](const Poll& poll) { return products(p, poll); });
  return std::move(c);
}

using AnyLinear = std::variant<std::unique_ptr<PackedLinear<float>>, std::unique_ptr<PackedLinear<double>>>;

struct LinearLayer {
  AnyLinear layer;
};

template <class T>
AnyLinear packed_linear(const py::object& weight, const py::object& bias) {
  const auto w = input<T>("weight", weight, {-1, -1});
  py::array_t<T, py::array::c_style> b;
  if (!bias.is_none()) b = input<T>("bias", bias, {w.shape(0)});
  return std::make_unique<PackedLinear<T>>(w.data(), bias.is_none() ? nullptr : b.data(), static_cast<long>(w.shape(1)),
                                           static_cast<long>(w.shape(0)));
}

template <class T>
py::object run_packed(const PackedLinear<T>& layer, const py::object& x) {
  const Rows<T> rows = rows_of<T>("x", x, layer.inputs());
  py::array_t<T> y({rows.count, layer.outputs()});
  T* const to = y.mutable_data();
  const double flops = 2.0 * static_cast<double>(rows.count) * static_cast<double>(layer.inputs()) *
                       static_cast<double>(layer.outputs());
  const auto work = [&](const Poll& poll) { return layer.run(rows.count, rows.data, rows.stride, to, poll); };
  if (flops < kFlopsWorthRelease) {
    static const Poll none;
    work(none);
  } else {
    run_without_gil(work);
  }
  return std::move(y);
}

// Whether two C-contiguous arrays hold the same bytes.
bool same_bits(const py::array& a, const py::array& b) {
  if (!(a.flags() & b.flags() & py::array::c_style)) refuse("a", "C-contiguous arrays", "other strides");
  const void *left = a.data(), *right = b.data();
  const auto bytes = static_cast<std::size_t>(a.nbytes());
  if (bytes != static_cast<std::size_t>(b.nbytes())) return false;
  if (bytes < kBytesWorthRelease) return std::memcmp(left, right, bytes) == 0;
  py::gil_scoped_release release;
  return std::memcmp(left, right, bytes) == 0;
}

}  // namespace

void bind_linear(py::module_& m) {
  py::class_<LinearLayer>(m, "Linear", py::is_final())
      .def(py::init([](const py::object& weight, const py::object& bias) {
             return by_dtype("weight", weight,
                             [&](auto zero) { return LinearLayer{packed_linear<decltype(zero)>(weight, bias)}; });
           }),
           py::arg("weight"), py::arg("bias") = py::none())
      .def(
          "__call__",
          [](const LinearLayer& l, const py::object& x) {
            return std::visit([&](const auto& layer) { return run_packed(*layer, x); }, l.layer);
          },
          py::arg("x"));
  m.def("same_bits", &same_bits, py::arg("a"), py::arg("b"));
  m.def(
      "linear",
      [](const py::object& weight, const py::object& bias, const py::object& x) -> py::object {
        return by_dtype("weight", weight,
                        [&](auto zero) -> py::object { return linear_typed<decltype(zero)>(weight, bias, x); });
      },
      py::arg("weight"), py::arg("bias").none(true), py::arg("x"));
  m.def(
      "products",
      [](const py::object& a, const py::object& b, bool transposed) -> py::object {
        return by_dtype("a", a, [&](auto zero) { return products_typed<decltype(zero)>(a, b, transposed); });
      },
      py::arg("a"), py::arg("b"), py::arg("transposed") = false);
  m.def(
      "linear_backward",
      [](const py::object& weight, const py::object& x, const py::object& dy, const py::object& dweight,
         const py::object& dbias, bool need_dx) {
        return by_dtype("weight", weight, [&](auto zero) {
          return linear_backward_typed<decltype(zero)>(weight, x, dy, dweight, dbias, need_dx);
        });
      },
      py::arg("weight"), py::arg("x"), py::arg("dy"), py::arg("dweight"), py::arg("dbias").none(true),
      py::arg("need_dx") = true);
}

}  // namespace recurra
