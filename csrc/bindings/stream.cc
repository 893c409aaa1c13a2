// Stream: a recurrent layer fed step by step. The call itself must cost little: no keyword parsing beyond pybind11's,
// no allocation when the caller brings the output, the GIL kept for steps of a few microseconds.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

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
  const Shape x_shape, y_shape;            // made once: a step allocates nothing
  const Shape node_x, node_state, node_y;  // those of an ONNX node
  std::atomic_flag taken = ATOMIC_FLAG_INIT;

  TypedStream(std::shared_ptr<Plan<T>> plan, const py::object& weights, long batch, bool batch_first)
      : stream(plan, input<T>("weights", weights, {plan->layout().size}).data(), batch),
        x_shape{batch, plan->config().input},
        y_shape{batch, plan->config().output()},
        node_x(batch_first ? Shape{batch, 1, plan->config().input} : Shape{1, batch, plan->config().input}),
        node_state(batch_first ? Shape{batch, 1, plan->config().hidden} : Shape{1, batch, plan->config().hidden}),
        node_y(batch_first ? Shape{batch, 1, 1, plan->config().hidden} : Shape{1, 1, batch, plan->config().hidden}) {}

  py::object step(const py::object& x, const py::object& out) {
    const Config& c = stream.config();
    const Input<T> in = input<T>("x", x, x_shape);
    py::object y = out;
    T* const to = out.is_none() ? numbers_of<T>(y = fresh<T>(y_shape)) : output<T>("out", y, y_shape);
    const T* from = in.data();
    if (from < to + stream.batch() * c.output() && to < from + stream.batch() * c.input)
      refuse("out", "memory apart from x", "overlapping arrays");
    const Turn turn(taken);
    run(from, to);
    return y;
  }

  // Sets the states of a single layer, steps, and returns outputs and states, all in the shapes of an ONNX node: x
  // (1, N, I) or (N, 1, I), states likewise, y with one more axis.
  py::tuple node(const py::object& x, const py::object& h, const py::object& cell, bool sequences) {
    const Input<T> in = input<T>("X", x, node_x);
    std::optional<Input<T>> new_h, new_c;
    if (!h.is_none()) new_h = input<T>("initial_h", h, node_state);
    if (!cell.is_none() && stream.c_size()) new_c = input<T>("initial_c", cell, node_state);
    py::object hn = fresh<T>(node_state);
    const Turn turn(taken);
    begin(new_h, new_c);
    run(in.data(), numbers_of<T>(hn));
    py::object y = py::none();
    if (sequences) y = fresh<T>(node_y, numbers_of<T>(hn));
    if (!stream.c_size()) return py::make_tuple(std::move(y), std::move(hn));
    return py::make_tuple(std::move(y), std::move(hn), fresh<T>(node_state, stream.c()));
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
    std::optional<Input<T>> new_h, new_c;
    if (!h.is_none()) new_h = input<T>("h", h, state_shape(c.recurrent()));
    if (!cell.is_none() && stream.c_size()) new_c = input<T>("c", cell, state_shape(c.hidden));
    begin(new_h, new_c);
  }
  void begin(const std::optional<Input<T>>& h, const std::optional<Input<T>>& c) {
    if (!h || (!c && stream.c_size())) stream.reset();
    if (h) std::copy_n(h->data(), stream.h_size(), stream.h());
    if (c) std::copy_n(c->data(), stream.c_size(), stream.c());
  }
};

struct AnyStream {
  std::variant<std::unique_ptr<TypedStream<float>>, std::unique_ptr<TypedStream<double>>> typed;
  template <class F>
  auto visit(const F& f) {
    return std::visit([&](auto& t) { return f(*t); }, typed);
  }
};

AnyStream make_stream(const Recurrent& layer, const py::object& weights, long batch, bool batch_first = false) {
  const Config& c = layer.config();
  if (c.bidirectional || c.go_backwards)
    refuse("stream", "a layer that runs forward in time", "one that runs backward");
  if (batch < 1) refuse("batch_size", "an integer from 1", std::to_string(batch));
  return layer.visit([&](const auto& plan) {
    using T = typename std::decay_t<decltype(*plan)>::Number;
    return AnyStream{std::make_unique<TypedStream<T>>(plan, weights, batch, batch_first)};
  });
}

// A recurrent node of one layer, called for single steps by any number of threads: each call takes a stream for itself.
class SingleStep {
 public:
  SingleStep(const Recurrent& layer, const py::object& weights, long batch, bool sequences, bool batch_first)
      : layer_(layer), weights_(weights), batch_(batch), sequences_(sequences), batch_first_(batch_first) {
    if (layer.config().layers != 1 || layer.config().recurrent() != layer.config().hidden)
      refuse("layer", "one without projection", "another one");
    give(take());
  }

  py::tuple operator()(const py::object& x, const py::object& h, const py::object& c) {
    std::unique_ptr<AnyStream> stream = take();
    py::tuple made = stream->visit([&](auto& t) { return t.node(x, h, c, sequences_); });
    give(std::move(stream));
    return made;
  }

 private:
  std::unique_ptr<AnyStream> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<AnyStream> stream = std::move(idle_.back());
        idle_.pop_back();
        return stream;
      }
    }
    return std::make_unique<AnyStream>(make_stream(layer_, weights_, batch_, batch_first_));
  }
  void give(std::unique_ptr<AnyStream> stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(stream));
  }

  const Recurrent layer_;
  const py::object weights_;
  const long batch_;
  const bool sequences_, batch_first_;
  std::mutex mutex_;  // never held while the interpreter is waited for
  std::vector<std::unique_ptr<AnyStream>> idle_;
};

}  // namespace

void bind_stream(py::module_& m) {
  py::class_<SingleStep>(m, "SingleStep", py::is_final())
      .def(py::init<const Recurrent&, const py::object&, long, bool, bool>(), py::arg("layer"), py::arg("weights"),
           py::arg("batch_size"), py::arg("sequences"), py::arg("batch_first"))
      .def("__call__", &SingleStep::operator(), py::arg("x"), py::arg("h").none(true), py::arg("c").none(true));
  py::class_<AnyStream>(m, "Stream", py::is_final())
      .def(py::init([](const Recurrent& layer, const py::object& weights, long batch) {
             return make_stream(layer, weights, batch);
           }),
           py::arg("layer"), py::arg("weights"), py::arg("batch_size"))
      .def(
          "step",
          [](AnyStream& s, const py::object& x, const py::object& out) {
            return s.visit([&](auto& t) { return t.step(x, out); });
          },
          py::arg("x"), py::arg("out") = py::none())
      .def("get", [](AnyStream& s) { return s.visit([](auto& t) { return t.get(); }); })
      .def(
          "set", [](AnyStream& s, const py::object& h, const py::object& c) { s.visit([&](auto& t) { t.set(h, c); }); },
          py::arg("h").none(true), py::arg("c").none(true));
}

}  // namespace recurra
