// Feeds: the inputs of a graph, taken from a dictionary by name, and a key for what plans are kept by: their shapes.
//
// A model fed piece by piece spends microseconds in a call; told apart in Python, three inputs would cost two of them.
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/module.h"

namespace recurra {
namespace {

class Feeds {
 public:
  // dtypes: None where none is known, and nothing is taken then; deciding: places of inputs whose value counts into the
  // key if it is a single one.
  Feeds(std::vector<py::str> names, std::vector<py::object> dtypes, const std::vector<std::size_t>& deciding)
      : names_(std::move(names)), dtypes_(std::move(dtypes)), deciding_(names_.size()) {
    if (dtypes_.size() != names_.size()) refuse("dtypes", "one for each name", std::to_string(dtypes_.size()));
    for (const std::size_t place : deciding) deciding_.at(place) = true;
  }

  // (key, arrays in their order), or None where `feeds` are not exactly the arrays that are wanted.
  py::object take(const py::handle& feeds) const {
    if (!PyDict_CheckExact(feeds.ptr()) || PyDict_Size(feeds.ptr()) != static_cast<Py_ssize_t>(names_.size()))
      return py::none();
    py::list given(names_.size());
    std::string key;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      PyObject* const found = PyDict_GetItemWithError(feeds.ptr(), names_[i].ptr());
      if (!found && PyErr_Occurred()) throw py::error_already_set();
      if (!found || reinterpret_cast<PyObject*>(Py_TYPE(found)) != array_type() ||
          py::detail::array_proxy(found)->descr != dtypes_[i].ptr())
        return py::none();
      add(key, found, deciding_[i]);
      PyList_SET_ITEM(given.ptr(), static_cast<Py_ssize_t>(i), py::handle(found).inc_ref().ptr());
    }
    return py::make_tuple(py::bytes(key), std::move(given));
  }

  // The key of arrays in their order.
  py::bytes key(const std::vector<py::array>& given) const {
    if (given.size() != names_.size()) refuse("given", "one array for each name", std::to_string(given.size()));
    std::string key;
    for (std::size_t i = 0; i < given.size(); ++i) add(key, given[i].ptr(), deciding_[i]);
    return key;
  }

 private:
  static PyObject* array_type() { return reinterpret_cast<PyObject*>(py::detail::npy_api::get().PyArray_Type_); }

  static void add(std::string& key, PyObject* array, bool decides) {
    const auto* a = py::detail::array_proxy(array);
    key.push_back(static_cast<char>(a->nd));
    key.append(reinterpret_cast<const char*>(a->dimensions), static_cast<std::size_t>(a->nd) * sizeof(*a->dimensions));
    if (!decides) return;
    const auto one = py::reinterpret_borrow<py::array>(array);
    key.push_back(one.size() == 1);
    if (one.size() == 1) key.append(static_cast<const char*>(one.data()), static_cast<std::size_t>(one.itemsize()));
  }

  const std::vector<py::str> names_;
  const std::vector<py::object> dtypes_;
  std::vector<bool> deciding_;
};

}  // namespace

void bind_feeds(py::module_& m) {
  py::class_<Feeds>(m, "Feeds", py::is_final())
      .def(py::init<std::vector<py::str>, std::vector<py::object>, const std::vector<std::size_t>&>(), py::arg("names"),
           py::arg("dtypes"), py::arg("deciding"))
      .def("take", &Feeds::take, py::arg("feeds"))
      .def("key", &Feeds::key, py::arg("given"));
}

}  // namespace recurra
