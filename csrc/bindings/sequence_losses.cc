// CTC and the linear-chain CRF for Python: losses with gradients, and decoding. Outputs are fresh arrays.
#include "bindings/module.h"

#include <pybind11/stl.h>

#include <utility>

#include "bindings/arrays.h"
#include "nn/crf.h"
#include "nn/ctc.h"

namespace recurra {
namespace {

using Labels = Input<int64_t>;

// Each element of `values` from `low` to `high`.
void require_within(const char* argument, const Labels& values, int64_t low, int64_t high) {
  for (py::ssize_t i = 0; i < values.size(); ++i)
    if (const int64_t value = values.data()[i]; value < low || value > high)
      refuse(argument, "integers from " + std::to_string(low) + " to " + std::to_string(high), std::to_string(value));
}

Labels lengths_of(const py::array& lengths, py::ssize_t batch, py::ssize_t most, const char* argument = "lengths") {
  Labels result = input<int64_t>(argument, lengths, {batch});
  require_within(argument, result, 0, most);
  return result;
}

// The labels that count: the first lengths[n] of row n.
void require_labels(const Labels& labels, const Labels& lengths, int64_t classes, int64_t but) {
  for (py::ssize_t n = 0; n < labels.shape(0); ++n)
    for (int64_t i = 0; i < lengths.data()[n]; ++i) {
      const int64_t label = labels.data()[n * labels.shape(1) + i];
      if (label < 0 || label >= classes || label == but)
        refuse("labels", "integers from 0 to " + std::to_string(classes - 1), std::to_string(label));
    }
}

void require_blank(long blank, py::ssize_t classes) {
  if (blank < 0 || blank >= classes)
    refuse("blank", "an integer from 0 to " + std::to_string(classes - 1), std::to_string(blank));
}

// (losses, gradients), or the losses alone.
py::object bind_ctc(const py::array& logits, const py::array& labels, const py::array& label_lengths,
                    const py::array& lengths, long blank, bool gradient) {
  return by_dtype("logits", logits, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const Input<T> y = input<T>("logits", logits, {-1, -1, -1});
    require_blank(blank, y.shape(2));
    const Labels given = input<int64_t>("labels", labels, {y.shape(0), -1});
    const Labels counts = lengths_of(label_lengths, y.shape(0), given.shape(1), "label_lengths");
    const Labels steps = lengths_of(lengths, y.shape(0), y.shape(1));
    require_labels(given, counts, y.shape(2), blank);
    py::array_t<double> loss(y.shape(0));
    py::array_t<T> dy;
    if (gradient) dy = py::array_t<T>(shape_of(y));
    const Ctc<T> c{y.shape(0),
                   y.shape(1),
                   y.shape(2),
                   given.shape(1),
                   blank,
                   y.data(),
                   given.data(),
                   counts.data(),
                   steps.data(),
                   loss.mutable_data(),
                   gradient ? dy.mutable_data() : nullptr};
    run_without_gil([&](const Poll& poll) { return ctc_loss(c, poll); });
    if (!gradient) return std::move(loss);
    return py::make_tuple(loss, dy);
  });
}

py::tuple bind_ctc_search(const py::array& logits, const py::array& lengths, long blank, long width, long paths) {
  if (width < 1) refuse("width", "an integer from 1", std::to_string(width));
  if (paths < 1 || paths > width) refuse("paths", "an integer from 1 to width", std::to_string(paths));
  return by_dtype("logits", logits, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const Input<T> y = input<T>("logits", logits, {-1, -1, -1});
    require_blank(blank, y.shape(2));
    const Labels steps = lengths_of(lengths, y.shape(0), y.shape(1));
    py::array_t<int64_t> decoded(Shape{paths, y.shape(0), y.shape(1)});
    py::array_t<double> scores(Shape{y.shape(0), paths});
    const CtcSearch<T> c{y.shape(0),
                         y.shape(1),
                         y.shape(2),
                         blank,
                         width,
                         paths,
                         y.data(),
                         steps.data(),
                         decoded.mutable_data(),
                         scores.mutable_data()};
    run_without_gil([&](const Poll& poll) { return ctc_search(c, poll); });
    return py::make_tuple(decoded, scores);
  });
}

template <class T>
Input<T> potentials_of(const py::array& potentials) {
  Input<T> p = input<T>("potentials", potentials, {-1, -1, -1, -1});
  if (p.shape(2) != p.shape(3) || p.shape(3) < 1)
    refuse("potentials", "shape (any, any, labels, labels)", shape_text(shape_of(p)));
  return p;
}

// (losses, gradients), or the losses alone.
py::object bind_crf(const py::array& potentials, const py::array& path, const py::array& lengths, bool gradient) {
  return by_dtype("potentials", potentials, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const Input<T> p = potentials_of<T>(potentials);
    const Labels steps = lengths_of(lengths, p.shape(0), p.shape(1));
    const Labels labels = input<int64_t>("path", path, {p.shape(0), p.shape(1)});
    require_labels(labels, steps, p.shape(3), -1);
    py::array_t<double> loss(p.shape(0));
    py::array_t<T> dy;
    if (gradient) dy = py::array_t<T>(shape_of(p));
    const Crf<T> c{p.shape(0),    p.shape(1),   p.shape(3),          p.data(),
                   labels.data(), steps.data(), loss.mutable_data(), gradient ? dy.mutable_data() : nullptr};
    run_without_gil([&](const Poll& poll) { return crf_loss(c, poll); });
    if (!gradient) return std::move(loss);
    return py::make_tuple(loss, dy);
  });
}

py::tuple bind_crf_search(const py::array& potentials, const py::array& lengths) {
  return by_dtype("potentials", potentials, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const Input<T> p = potentials_of<T>(potentials);
    const Labels steps = lengths_of(lengths, p.shape(0), p.shape(1));
    py::array_t<int64_t> paths(Shape{p.shape(0), p.shape(1)});
    py::array_t<double> scores(p.shape(0));
    const CrfSearch<T> c{p.shape(0),   p.shape(1),           p.shape(3),           p.data(),
                         steps.data(), paths.mutable_data(), scores.mutable_data()};
    run_without_gil([&](const Poll& poll) { return crf_search(c, poll); });
    return py::make_tuple(paths, scores);
  });
}

}  // namespace

void bind_sequence_losses(py::module_& m) {
  for (const bool gradient : {true, false}) {
    m.def(
        gradient ? "ctc_loss" : "ctc_values",
        [gradient](const py::array& logits, const py::array& labels, const py::array& label_lengths,
                   const py::array& lengths,
                   long blank) { return bind_ctc(logits, labels, label_lengths, lengths, blank, gradient); },
        py::arg("logits"), py::arg("labels"), py::arg("label_lengths"), py::arg("lengths"), py::kw_only(),
        py::arg("blank"));
    m.def(
        gradient ? "crf_loss" : "crf_values",
        [gradient](const py::array& potentials, const py::array& path, const py::array& lengths) {
          return bind_crf(potentials, path, lengths, gradient);
        },
        py::arg("potentials"), py::arg("path"), py::arg("lengths"));
  }
  m.def("ctc_search", bind_ctc_search, py::arg("logits"), py::arg("lengths"), py::kw_only(), py::arg("blank"),
        py::arg("width"), py::arg("paths"));
  m.def("crf_search", bind_crf_search, py::arg("potentials"), py::arg("lengths"));
}

}  // namespace recurra
