// Optimizer steps for Python: parameters and slots are updated in place, all arrays have one shape. A small model's
// step costs a microsecond, so the border is kept thin here.
#include "bindings/module.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "bindings/arrays.h"
#include "nn/updates.h"

namespace recurra {
namespace {

Rule rule_of(const char* name) {
  for (int k = 0; k < kRuleCount; ++k)
    if (std::strcmp(kRules[k].name, name) == 0) return static_cast<Rule>(k);
  std::string names;
  for (const RuleShape& rule : kRules) names += (names.empty() ? "" : ", ") + std::string(rule.name);
  refuse("rule", "one of " + names, name);
}

// Rows of an array (rows, width); `owner` keeps what the list points to.
RowList rows_of(const py::object& rows, const Shape& shape, Input<int64_t>* owner) {
  if (shape.size() != 2) refuse("params", "two axes (rows, columns) with rows", shape_text(shape));
  *owner = input<int64_t>("rows", rows, {-1});
  const RowList list{owner->data(), static_cast<long>(owner->size()), static_cast<long>(shape[1])};
  for (long i = 0; i < list.count; ++i)
    if (list.rows[i] < (i ? list.rows[i - 1] + 1 : 0) || list.rows[i] >= shape[0])
      refuse("rows", "ascending integers from 0 to " + std::to_string(shape[0] - 1), std::to_string(list.rows[i]));
  return list;
}

// Whether `object` is an array like `params` in dtype and shape, contiguous and aligned: what nearly every call brings,
// told without allocating anything.
bool plain(const py::handle& object, const py::array& params, int needed) {
  if (!py::isinstance<py::array>(object)) return false;
  const py::array a = py::reinterpret_borrow<py::array>(object);
  needed |= py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return a.dtype().is(params.dtype()) && a.ndim() == params.ndim() &&
         std::equal(a.shape(), a.shape() + a.ndim(), params.shape()) && (a.flags() & needed) == needed;
}

// Arrays of params' dtype and shape that lie apart from each other, as pointers into an Update.
template <class T>
class Arrays {
 public:
  explicit Arrays(const py::array& params) : params_(params) {}

  T* written(const char* name, const py::handle& object) {
    T* const data = plain(object, params_, py::detail::npy_api::NPY_ARRAY_WRITEABLE_)
                        ? static_cast<T*>(py::reinterpret_borrow<py::array>(object).mutable_data())
                        : output<T>(name, object, shape_of(params_));
    return add(name, data);
  }

  const T* read(const char* name, const py::handle& object) {
    if (plain(object, params_, 0))
      return add(name, static_cast<const T*>(py::reinterpret_borrow<py::array>(object).data()));
    copy_ = input<T>(name, object, shape_of(params_));
    return add(name, copy_->data());
  }

 private:
  template <class P>
  P add(const char* name, P data) {
    const auto at = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p); };
    const std::uintptr_t bytes = static_cast<std::uintptr_t>(params_.nbytes());
    for (int k = 0; k < count_; ++k)
      if (at(data) < at(data_[k]) + bytes && at(data_[k]) < at(data) + bytes)
        refuse(name, std::string("memory apart from ") + names_[k], "overlapping arrays");
    names_[count_] = name;
    data_[count_++] = data;
    return data;
  }

  const py::array& params_;
  std::optional<Input<T>> copy_;
  int count_ = 0;
  const char* names_[kMostSlots + 2];
  const T* data_[kMostSlots + 2];
};

template <class T>
void set_numbers(const py::tuple& numbers, T* out) {
  for (const py::handle& number : numbers) {
    const double value = PyFloat_AsDouble(number.ptr());
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    *out++ = static_cast<T>(value);
  }
}

struct Options {
  double scale, limit, decay;
};

void bind_update(const char* name, const py::array& params, const py::array& grads, const py::list& slots,
                 const py::tuple& numbers, const Options& o, const py::object& rows) {
  const Rule rule = rule_of(name);
  const RuleShape& takes = kRules[static_cast<int>(rule)];
  if (static_cast<int>(slots.size()) != takes.slots)
    refuse("slots", std::to_string(takes.slots) + " arrays", std::to_string(slots.size()));
  if (static_cast<int>(numbers.size()) != takes.numbers)
    refuse("numbers", std::to_string(takes.numbers) + " numbers", std::to_string(numbers.size()));
  by_dtype("params", params, [&](auto zero) {
    using T = decltype(zero);
    Arrays<T> arrays(params);
    Update<T> u{};
    u.parameters = arrays.written("params", params);
    u.gradients = arrays.read("grads", grads);
    for (int k = 0; k < takes.slots; ++k) u.slots[k] = arrays.written("slots", slots[static_cast<std::size_t>(k)]);
    set_numbers(numbers, u.numbers);
    u.scale = static_cast<T>(o.scale);
    u.limit = static_cast<T>(o.limit);
    u.decay = static_cast<T>(o.decay);
    u.count = params.size();
    if (rows.is_none()) {
      py::gil_scoped_release release;
      return apply_update<T>(rule, u);
    }
    Input<int64_t> owner;
    const RowList list = rows_of(rows, shape_of(params), &owner);
    py::gil_scoped_release release;
    apply_update<T>(rule, u, list);
  });
}

double bind_sum_of_squares(const py::array& x, const py::object& rows) {
  return by_dtype("x", x, [&](auto zero) {
    using T = decltype(zero);
    const Input<T> values = input<T>("x", x);
    if (rows.is_none()) {
      py::gil_scoped_release release;
      return sum_of_squares<T>(values.size(), values.data());
    }
    Input<int64_t> owner;
    const RowList list = rows_of(rows, shape_of(x), &owner);
    py::gil_scoped_release release;
    return sum_of_squares<T>(values.data(), list);
  });
}

}  // namespace

void bind_updates(py::module_& m) {
  m.def(
      "update",
      [](const char* rule, const py::array& params, const py::array& grads, const py::list& slots,
         const py::tuple& numbers, double scale, double limit, double decay,
         const py::object& rows) { bind_update(rule, params, grads, slots, numbers, {scale, limit, decay}, rows); },
      py::arg("rule"), py::arg("params"), py::arg("grads"), py::arg("slots"), py::arg("numbers"),
      py::arg("scale") = 1.0, py::arg("limit") = HUGE_VAL, py::arg("decay") = 1.0, py::arg("rows") = py::none());
  m.def("sum_of_squares", bind_sum_of_squares, py::arg("x"), py::arg("rows") = py::none());
}

}  // namespace recurra
