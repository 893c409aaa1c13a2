// Stream: a recurrent layer fed step by step. The call itself must cost little: no keyword parsing beyond pybind11's,
// no allocation when the caller brings the output, the GIL kept for steps of a few microseconds.
#include <atomic>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/recurrent.h"
#include "nn/stream.h"

namespace recurra {
namespace {

// A step or a change of the states belongs to one thread at a time.
class Turn {
 public:
  explicit Turn(std::atomic_flag& taken) : taken_(taken) {
    if (taken_.test_and_set(std::memory_order_acquire))
      throw py::value_error("stream: expected one thread at a time, got a second one; give each thread its own stream");
  }
  ~Turn() { taken_.clear(std::memory_order_release); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic_flag& taken_;
};

template <class T>
struct TypedStream {
  Stream<T> stream;
  const Shape x_shape, y_shape;  // made once: a step allocates nothing
  std::atomic_flag taken = ATOMIC_FLAG_INIT;

  TypedStream(std::shared_ptr<Plan<T>> plan, const py::object& weights, long batch)
      : stream(plan, input<T>("weights", weights, {plan->layout().size}).data(), batch),
        x_shape{batch, plan->config().input},
        y_shape{batch, plan->config().output()} {}

  py::object step(const py::object& x, const py::object& out) {
    const Config& c = stream.config();
    const Input<T> in = input<T>("x", x, x_shape);
    py::object y = out;
    if (out.is_none()) y = py::array_t<T>(y_shape);
    T* to = output<T>("out", y, y_shape);
    const T* from = in.data();
    if (from < to + stream.batch() * c.output() && to < from + stream.batch() * c.input)
      refuse("out", "memory apart from x", "overlapping arrays");
    const Turn turn(taken);
    run(from, to);
    return y;
  }

  // Sets the states, steps, and returns the outputs and copies of the states: one call where a caller keeps them.
  py::tuple advance(const py::object& x, const py::object& h, const py::object& cell) {
    const Input<T> in = input<T>("x", x, x_shape);
    py::array_t<T> y(y_shape);
    const Turn turn(taken);
    assign(h, cell);
    run(in.data(), y.mutable_data());
    return py::make_tuple(std::move(y), copy_h(), copy_c());
  }

  // Copies of the states: h (L, N, R) and c (L, N, H) or None.
  py::tuple get() {
    const Turn turn(taken);
    return py::make_tuple(copy_h(), copy_c());
  }

  void set(const py::object& h, const py::object& cell) {
    const Turn turn(taken);
    assign(h, cell);
  }

 private:
  void run(const T* from, T* to) {
    if (stream.heavy()) {
      run_without_gil([&](const Poll& poll) { return stream.step(from, to, poll); });
    } else {
      static const Poll none;
      stream.step(from, to, none);
    }
  }

  Shape state_shape(long width) const { return {stream.config().layers, stream.batch(), width}; }
  py::object copy_h() { return py::array_t<T>(state_shape(stream.config().recurrent()), stream.h()); }
  py::object copy_c() {
    if (!stream.c_size()) return py::none();
    return py::array_t<T>(state_shape(stream.config().hidden), stream.c());
  }

  // None: to zero.
  void assign(const py::object& h, const py::object& cell) {
    const Config& c = stream.config();
    Input<T> new_h, new_c;
    if (!h.is_none()) new_h = input<T>("h", h, state_shape(c.recurrent()));
    if (!cell.is_none() && stream.c_size()) new_c = input<T>("c", cell, state_shape(c.hidden));
    stream.reset();
    if (!h.is_none()) std::copy_n(new_h.data(), stream.h_size(), stream.h());
    if (!cell.is_none()) std::copy_n(new_c.data(), stream.c_size(), stream.c());
  }
};

struct AnyStream {
  std::variant<std::unique_ptr<TypedStream<float>>, std::unique_ptr<TypedStream<double>>> typed;
  template <class F>
  auto visit(const F& f) {
    return std::visit([&](auto& t) { return f(*t); }, typed);
  }
};

AnyStream make_stream(const Recurrent& layer, const py::object& weights, long batch) {
  const Config& c = layer.config();
  if (c.bidirectional || c.go_backwards)
    refuse("stream", "a layer that runs forward in time", "one that runs backward");
  if (batch < 1) refuse("batch_size", "an integer from 1", std::to_string(batch));
  return layer.visit([&](const auto& plan) {
    using T = typename std::decay_t<decltype(*plan)>::Number;
    return AnyStream{std::make_unique<TypedStream<T>>(plan, weights, batch)};
  });
}

}  // namespace

void bind_stream(py::module_& m) {
  py::class_<AnyStream>(m, "Stream", py::is_final())
      .def(py::init(&make_stream), py::arg("layer"), py::arg("weights"), py::arg("batch_size"))
      .def(
          "step",
          [](AnyStream& s, const py::object& x, const py::object& out) {
            return s.visit([&](auto& t) { return t.step(x, out); });
          },
          py::arg("x"), py::arg("out") = py::none())
      .def(
          "advance",
          [](AnyStream& s, const py::object& x, const py::object& h, const py::object& c) {
            return s.visit([&](auto& t) { return t.advance(x, h, c); });
          },
          py::arg("x"), py::arg("h").none(true), py::arg("c").none(true))
      .def("get", [](AnyStream& s) { return s.visit([](auto& t) { return t.get(); }); })
      .def(
          "set", [](AnyStream& s, const py::object& h, const py::object& c) { s.visit([&](auto& t) { t.set(h, c); }); },
          py::arg("h").none(true), py::arg("c").none(true));
}

}  // namespace recurra
