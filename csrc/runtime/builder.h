// Layers into operations.
#pragma once
#include "nn/packed_matrix.h"
#include "runtime/layer_ops.h"
#include "runtime/loading.h"

namespace recurra {

constexpr long kMostLayers = 4096;
constexpr long kMostWidth = 1l << 31;

// What the builders of all number types share: where the chain of layers has come to.
struct Chain {
  long at = kInput;    // the series that the next layer reads
  long width = 0;      // its real numbers of a row
  bool steps = true;   // it has a row for every step
  bool whole = false;  // some layer needs whole sequences
  long layer = 0;      // of the model, counted from 0
  long series_numbers = 0, state_numbers = 0, scratch_numbers = 0, gates_numbers = 0;
  long count = 0, sequence_count = -1;
  long vocabulary = 0;       // of an Embedding at the input
  bool masks_zero = false;   // and 0 is padding
  bool masks_value = false;  // a Masking at the input
  double mask_value = 0;
  StateEntry* states = nullptr;
  long state_count = 0;
};

template <class T>
class Builder {
 public:
  Builder(Loading& from, const InferenceTables<T>& with, Chain& so_far) : loading(from), tables(with), chain(so_far) {}

  Loading& loading;
  const InferenceTables<T>& tables;
  Chain& chain;

  // Adds the operations of a layer, `serialize`d as class name and config, whose weights lie under `prefix`.
  bool add_layer(Json description, const char* prefix);

  bool add_recurrent(const Settings& s, const char* prefix, CellKind cell, bool bidirectional, Merging merging,
                     bool sequences);

  // An operation behind the others: from the chain's series into a new one of `width`, where the chain goes on.
  template <class Operation>
  Operation* add(void (*run)(const Op<T>&, const Frame<T>&), long width) {
    Operation* const op = loading.make<Operation>();
    if (!op || !grow()) return nullptr;
    op->run = run, op->k = &tables.wide;
    op->in = chain.at, op->in_width = chain.width;
    op->out = chain.series_numbers, op->out_width = width;
    chain.series_numbers += padded_width<T>(width);
    chain.at = op->out, chain.width = width;
    ops_[chain.count++] = op;
    return op;
  }
  // Room for `width` numbers of a row in the scratch behind `*used`, which grows.
  long scratch(long width, long* used) {
    const long offset = *used;
    *used += padded_width<T>(width);
    if (*used > chain.scratch_numbers) chain.scratch_numbers = *used;
    return offset;
  }
  long add_state(const char* name, long width, long row, const T* initial);
  // The chain goes on behind the last step alone.
  void collapse() {
    chain.steps = false;
    chain.sequence_count = chain.count;
  }

  // [columns, depth] of the file as packed for products: column c from row source(c).
  template <class Source>
  Packed<T> pack(const T* weight, long depth, long vectors, long panel_vectors, long lanes, const Source& source) {
    Packed<T> p;
    p.depth = depth, p.vectors = vectors, p.panel_vectors = panel_vectors, p.lanes = lanes;
    T* const data = weight ? loading.take<T>(depth * vectors * lanes) : nullptr;
    if (data) fill_rows(data, weight, depth, vectors, panel_vectors, lanes, source);
    p.data = data;
    return p;
  }
  Packed<T> pack_dense(const T* weight, long depth, long columns) {
    const long lanes = tables.wide.lanes;
    if (dots_pay(depth, columns, lanes)) {
      Packed<T> p;
      T* const data = weight ? loading.take<T>(columns * padded_to(depth, lanes)) : nullptr;
      if (data) fill_dots(data, weight, depth, columns, lanes);
      p.depth = depth, p.lanes = lanes, p.data = data;
      return p;
    }
    return pack(weight, depth, padded_to(columns, lanes) / lanes, 4, lanes,
                [columns](long column) { return column < columns ? column : -1; });
  }
  // A copy of `count` numbers, zeros up to `padded`; null `values`: all zeros.
  const T* pad(const T* values, long count, long padded) {
    T* const copy = loading.take<T>(padded);
    for (long i = 0; copy && values && i < count; ++i) copy[i] = values[i];
    return copy;
  }

  Op<T>** ops() const { return ops_; }

 private:
  bool grow();
  bool activate(const Activation& activation, bool softmax);
  bool add_stack(const Settings& s, const char* prefix);
  bool add_dense(const Settings& s, const char* prefix);
  bool add_embedding(const Settings& s, const char* prefix);
  bool add_conv(const Settings& s, const char* prefix);
  bool add_norm(const Settings& s, const char* prefix, bool batch);
  bool add_statistics(const Settings& s, const char* prefix);
  bool add_relu(const Settings& s);
  bool add_masking(const Settings& s);
  bool add_named(const Settings& s, const char* class_name, const char* prefix);

  Op<T>** ops_ = nullptr;
  long capacity_ = 0;
};

}  // namespace recurra
