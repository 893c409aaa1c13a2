// Embedding tables for Python.
#include "nn/embedding.h"

#include <utility>

#include "bindings/arrays.h"
#include "bindings/module.h"

namespace recurra {
namespace {

// A table [rows, width] with its indices (any shape) checked against it.
struct Lookup {
  long count, width;
  Input<int64_t> indices;
  Shape outputs;  // the indices' shape and the width
};

Lookup checked(const char* name, const py::array& table, const py::array& indices) {
  if (table.ndim() != 2) refuse(name, "two axes (rows, width)", std::to_string(table.ndim()));
  Lookup lookup;
  lookup.indices = input<int64_t>("indices", indices);
  lookup.count = lookup.indices.size();
  lookup.width = table.shape(1);
  lookup.outputs = shape_of(lookup.indices);
  lookup.outputs.push_back(table.shape(1));
  const int64_t rows = table.shape(0);
  for (long i = 0; i < lookup.count; ++i)
    if (const int64_t index = lookup.indices.data()[i]; index < 0 || index >= rows)
      refuse("indices", "integers from 0 to " + std::to_string(rows - 1), std::to_string(index));
  return lookup;
}

py::array bind_gather(const py::array& table, const py::array& indices) {
  return by_dtype("table", table, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const Lookup lookup = checked("table", table, indices);
    const Input<T> rows = input<T>("table", table);
    py::array_t<T> y(lookup.outputs);
    T* const out = y.mutable_data();
    {
      py::gil_scoped_release release;
      embedding<T>(lookup.count, lookup.width, lookup.indices.data(), rows.data(), out);
    }
    return std::move(y);
  });
}

void bind_scatter(const py::array& indices, const py::array& dy, py::array dtable) {
  by_dtype("dtable", dtable, [&](auto zero) {
    using T = decltype(zero);
    const Lookup lookup = checked("dtable", dtable, indices);
    T* const out = output<T>("dtable", dtable, shape_of(dtable));
    const Input<T> d = input<T>("dy", dy, lookup.outputs);
    require_apart({{"dtable", &dtable}, {"dy", &d}, {"indices", &lookup.indices}});
    py::gil_scoped_release release;
    embedding_backward<T>(lookup.count, lookup.width, lookup.indices.data(), d.data(), out);
  });
}

}  // namespace

void bind_embedding(py::module_& m) {
  m.def("embedding", bind_gather, py::arg("table"), py::arg("indices"));
  m.def("embedding_backward", bind_scatter, py::arg("indices"), py::arg("dy"), py::arg("dtable"));
}

}  // namespace recurra
