// Recurrent and Tape: the stack of recurrent layers for Python.
#include <pybind11/stl.h>

#include <atomic>
#include <memory>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/recurrent.h"
#include "nn/stack.h"

namespace recurra {
namespace {

using Triple = std::tuple<std::string, double, double>;

Activation activation_of(const char* argument, const Triple& triple) {
  Activation a;
  if (!find_activation(std::get<0>(triple).c_str(), &a.kind))
    throw py::value_error(std::string(argument) + ": expected the name of an activation, got '" + std::get<0>(triple) +
                          "'");
  a.alpha = std::get<1>(triple), a.beta = std::get<2>(triple);
  return a;
}

CellKind cell_of(const std::string& name, bool reset_after) {
  if (name == "rnn") return kRnn;
  if (name == "lstm") return kLstm;
  if (name == "gru") return reset_after ? kGru : kGruBefore;
  throw py::value_error("cell: expected rnn, lstm or gru, got '" + name + "'");
}

Merge merge_of(const std::string& name) {
  if (name == "concat") return Merge::kConcat;
  if (name == "sum") return Merge::kSum;
  if (name == "mul") return Merge::kMultiply;
  if (name == "ave") return Merge::kAverage;
  throw py::value_error("merge_mode: expected concat, sum, mul or ave, got '" + name + "'");
}

// A new array (N, T, width), in memory (T, N, width) if so asked.
template <class T>
py::object sequence(const StackArguments<T>& a, long width) {
  if (!a.time_major) return fresh<T>({a.batch, a.time, width});
  const View<T> v = a.sequence(nullptr, width);
  constexpr long kSize = sizeof(T);
  return py::array_t<T>(Shape{a.batch, a.time, width}, Shape{v.row * kSize, v.step * kSize, kSize});
}

// What a forward pass saved for one backward pass.
template <class T>
class TypedTape {
 public:
  std::unique_ptr<StackRun<T>> run;
  std::atomic<bool> used{false};

  py::tuple backward(const py::object& dy, const py::object& dhn, const py::object& dcn, const py::object& gradients,
                     bool need_dx, bool keep, const py::object& dh) {
    const Config& c = run->config();
    const StackArguments<T>& a = run->arguments();
    const long states = c.layers * c.directions();
    StackGradients<T> g;
    py::array dy_owner, dhn_owner, dcn_owner;
    if (!dy.is_none() && a.sequences) {
      g.dy_view = strided<T>("dy", dy, {a.batch, a.time, c.output()}, &dy_owner);
    } else if (!dy.is_none()) {
      dy_owner = input<T>("dy", dy, {a.batch, c.output()});
      g.dy = static_cast<const T*>(dy_owner.data());
    }
    if (!dhn.is_none())
      dhn_owner = input<T>("dhn", dhn, {states, a.batch, c.recurrent()}),
      g.dhn = static_cast<const T*>(dhn_owner.data());
    if (!dcn.is_none() && c.cell == kLstm)
      dcn_owner = input<T>("dcn", dcn, {states, a.batch, c.hidden}), g.dcn = static_cast<const T*>(dcn_owner.data());
    if (!gradients.is_none()) g.weights = output<T>("gradients", gradients, {run->parameter_count()});
    if (!dh.is_none()) g.dh = output<T>("dh", dh, state_shape());
    py::object dx = py::none(), dc0 = py::none();
    if (need_dx) {
      dx = sequence(a, c.input);
      g.dx = numbers_of<T>(dx);
    }
    const py::object dh0 = fresh<T>({states, a.batch, c.recurrent()});
    g.dh0 = numbers_of<T>(dh0);
    if (c.cell == kLstm) {
      dc0 = fresh<T>({states, a.batch, c.hidden});
      g.dc0 = numbers_of<T>(dc0);
    }
    take();
    run_without_gil([&](const Poll& poll) { return run->backward(g, keep, poll); });
    if (keep) used = false;
    return py::make_tuple(dx, dh0, dc0);
  }

  // Of h at every step: (L * D, N, T, R).
  Shape state_shape() const {
    const Config& c = run->config();
    return {c.layers * c.directions(), run->arguments().batch, run->arguments().time, c.recurrent()};
  }

  void trace(const py::object& h, const py::object& cell, const py::object& gates) {
    const Config& c = run->config();
    const StackArguments<T>& a = run->arguments();
    const long states = c.layers * c.directions(), kinds = c.cell == kRnn ? 0 : c.cell == kLstm ? 4 : 3;
    StackTrace<T> out;
    out.h = output<T>("h", h, state_shape());
    if (c.cell == kLstm) out.c = output<T>("c", cell, {states, a.batch, a.time, c.hidden});
    out.gates = output<T>("gates", gates, {states, a.batch, a.time, kinds, c.hidden});
    take();
    run_without_gil([&](const Poll& poll) { return run->trace(out, poll); });
    used = false;
  }

 private:
  // One use at a time, and none after one that did not keep.
  void take() {
    if (used.exchange(true))
      throw py::value_error(
          "tape: expected one that has not been used, got a used one; pass keep=True to its earlier uses");
  }
};

struct Tape {
  std::variant<std::unique_ptr<TypedTape<float>>, std::unique_ptr<TypedTape<double>>> tape;
};

// y, hn, cn and, when `tape` is given, what backward needs.
template <class T>
py::tuple run_forward(const std::shared_ptr<Plan<T>>& plan, const py::object& weights, const py::object& x,
                      const py::object& h0, const py::object& c0, const py::object& lengths, bool sequences,
                      bool training, std::uint64_t seed, bool unchanged, bool time_major,
                      std::unique_ptr<TypedTape<T>>* tape) {
  const Config& c = plan->config();
  const long states = c.layers * c.directions();
  const auto flat = input<T>("weights", weights, {plan->layout().size});
  StackArguments<T> a;
  py::array x_owner;
  a.x = strided<T>("x", x, {-1, -1, c.input}, &x_owner);
  a.batch = x_owner.shape(0), a.time = x_owner.shape(1);
  a.sequences = sequences, a.sampling = training, a.seed = seed, a.unchanged = unchanged, a.time_major = time_major;
  py::array h_owner, c_owner, lengths_owner;
  if (!h0.is_none())
    h_owner = input<T>("h0", h0, {states, a.batch, c.recurrent()}), a.h0 = static_cast<const T*>(h_owner.data());
  if (!c0.is_none() && c.cell == kLstm)
    c_owner = input<T>("c0", c0, {states, a.batch, c.hidden}), a.c0 = static_cast<const T*>(c_owner.data());
  if (!lengths.is_none()) {
    lengths_owner = input<std::int64_t>("lengths", lengths, {a.batch});
    a.lengths = static_cast<const std::int64_t*>(lengths_owner.data());
    for (long n = 0; n < a.batch; ++n)
      if (a.lengths[n] < 0 || a.lengths[n] > a.time)
        throw py::value_error("lengths: expected numbers from 0 to " + std::to_string(a.time) + ", got " +
                              std::to_string(a.lengths[n]));
  }
  const py::object y = sequences ? sequence(a, c.output()) : fresh<T>({a.batch, c.output()});
  const py::object hn = fresh<T>({states, a.batch, c.recurrent()});
  a.y = numbers_of<T>(y), a.hn = numbers_of<T>(hn);
  py::object cn = py::none();
  if (c.cell == kLstm) {
    cn = fresh<T>({states, a.batch, c.hidden});
    a.cn = numbers_of<T>(cn);
  }
  std::unique_ptr<StackRun<T>> run;
  run_without_gil([&](const Poll& poll) {
    run = std::make_unique<StackRun<T>>(plan, flat.data(), a, tape != nullptr);
    return run->forward(poll);
  });
  if (tape) {
    *tape = std::make_unique<TypedTape<T>>();
    (*tape)->run = std::move(run);
  }
  return py::make_tuple(y, hn, cn);
}

Recurrent make_recurrent(const std::string& cell, long input_size, long hidden_size, const py::kwargs& options) {
  Config c;
  std::string dtype = "float32";
  bool reset_after = true;
  Triple activation{"tanh", 0, 0}, gate{"sigmoid", 0, 0}, output{"tanh", 0, 0};
  std::pair<double, double> zoneout{0, 0};
  for (const auto& [key, value] : options) {
    const std::string name = py::cast<std::string>(key);
    const auto take = [&, v = value](auto& to) { to = py::cast<std::decay_t<decltype(to)>>(v); };
    std::string merge;
    if (name == "dtype")
      take(dtype);
    else if (name == "num_layers")
      take(c.layers);
    else if (name == "bidirectional")
      take(c.bidirectional);
    else if (name == "merge_mode")
      take(merge), c.merge = merge_of(merge);
    else if (name == "go_backwards")
      take(c.go_backwards);
    else if (name == "use_bias")
      take(c.bias);
    else if (name == "proj_size")
      take(c.projection);
    else if (name == "use_peepholes")
      take(c.peepholes);
    else if (name == "input_forget")
      take(c.coupled);
    else if (name == "reset_after")
      take(reset_after);
    else if (name == "layer_norm")
      take(c.layer_norm);
    else if (name == "activation")
      take(activation);
    else if (name == "recurrent_activation")
      take(gate);
    else if (name == "output_activation")
      take(output);
    else if (name == "clip")
      take(c.clip);
    else if (name == "cell_clip")
      take(c.cell_clip);
    else if (name == "dropout")
      take(c.dropout);
    else if (name == "interlayer_dropout")
      take(c.interlayer_dropout);
    else if (name == "recurrent_dropout")
      take(c.recurrent_dropout);
    else if (name == "zoneout")
      take(zoneout);
    else
      throw py::type_error("Recurrent: unexpected argument '" + name + "'");
  }
  c.cell = cell_of(cell, reset_after);
  c.input = input_size, c.hidden = hidden_size;
  c.activation = activation_of("activation", activation);
  c.gate_activation = activation_of("recurrent_activation", gate);
  c.output_activation = activation_of("output_activation", output);
  c.zone_h = zoneout.first, c.zone_c = zoneout.second;
  check(c);
  if (dtype == "float32") return {std::make_shared<Plan<float>>(c)};
  if (dtype == "float64") return {std::make_shared<Plan<double>>(c)};
  throw py::value_error("dtype: expected float32 or float64, got '" + dtype + "'");
}

py::list layout_list(const Layout& layout) {
  py::list list;
  for (const Parameter& p : layout.parameters)
    list.append(py::make_tuple(p.name, py::tuple(py::cast(p.shape)), p.offset));
  return list;
}

}  // namespace

void bind_recurrent(py::module_& m) {
  py::class_<Tape>(m, "Tape", py::is_final())
      .def(
          "backward",
          [](Tape& t, const py::object& dy, const py::object& dhn, const py::object& dcn, const py::object& gradients,
             bool need_dx, bool keep, const py::object& dh) {
            return std::visit([&](auto& tape) { return tape->backward(dy, dhn, dcn, gradients, need_dx, keep, dh); },
                              t.tape);
          },
          py::arg("dy").none(true), py::arg("dhn").none(true), py::arg("dcn").none(true),
          py::arg("gradients").none(true), py::arg("need_dx") = true, py::arg("keep") = false,
          py::arg("dh") = py::none())
      .def_property_readonly("state_shape",
                             [](const Tape& t) {
                               const Shape s = std::visit([](const auto& tape) { return tape->state_shape(); }, t.tape);
                               return py::make_tuple(s[0], s[1], s[2], s[3]);
                             })
      .def(
          "trace",
          [](Tape& t, const py::object& h, const py::object& c, const py::object& gates) {
            std::visit([&](auto& tape) { tape->trace(h, c, gates); }, t.tape);
          },
          py::arg("h"), py::arg("c").none(true), py::arg("gates"));

  py::class_<Recurrent>(m, "Recurrent", py::is_final())
      .def(py::init(&make_recurrent), py::arg("cell"), py::arg("input_size"), py::arg("hidden_size"))
      .def_property_readonly(
          "layout",
          [](const Recurrent& r) { return r.visit([](const auto& plan) { return layout_list(plan->layout()); }); })
      .def_property_readonly(
          "size", [](const Recurrent& r) { return r.visit([](const auto& plan) { return plan->layout().size; }); })
      .def_property_readonly("output_size", [](const Recurrent& r) { return r.config().output(); })
      .def_property_readonly("state_size", [](const Recurrent& r) { return r.config().recurrent(); })
      .def(
          "forward",
          [](const Recurrent& r, const py::object& weights, const py::object& x, const py::object& h0,
             const py::object& c0, const py::object& lengths, bool sequences, bool training, std::uint64_t seed,
             bool unchanged, bool time_major) {
            return r.visit([&](const auto& plan) {
              using Typed = std::decay_t<decltype(*plan)>;
              return run_forward<typename Typed::Number>(plan, weights, x, h0, c0, lengths, sequences, training, seed,
                                                         unchanged, time_major, nullptr);
            });
          },
          py::arg("weights"), py::arg("x"), py::arg("h0") = py::none(), py::arg("c0") = py::none(),
          py::arg("lengths") = py::none(), py::arg("sequences") = true, py::arg("training") = false,
          py::arg("seed") = 0, py::arg("unchanged") = false, py::arg("time_major") = false)
      .def(
          "vjp",
          [](const Recurrent& r, const py::object& weights, const py::object& x, const py::object& h0,
             const py::object& c0, const py::object& lengths, bool sequences, bool training, std::uint64_t seed,
             bool unchanged, bool time_major) {
            return r.visit([&](const auto& plan) {
              auto tape = std::make_unique<Tape>();
              using Typed = std::decay_t<decltype(*plan)>;
              const py::tuple out = [&] {
                std::unique_ptr<TypedTape<typename Typed::Number>> typed;
                const py::tuple result = run_forward(plan, weights, x, h0, c0, lengths, sequences, training, seed,
                                                     unchanged, time_major, &typed);
                tape->tape = std::move(typed);
                return result;
              }();
              return py::make_tuple(out[0], out[1], out[2], py::cast(std::move(tape)));
            });
          },
          py::arg("weights"), py::arg("x"), py::arg("h0") = py::none(), py::arg("c0") = py::none(),
          py::arg("lengths") = py::none(), py::arg("sequences") = true, py::arg("training") = false,
          py::arg("seed") = 0, py::arg("unchanged") = false, py::arg("time_major") = false);
}

}  // namespace recurra
