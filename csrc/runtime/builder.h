// Layers into operations.
#pragma once
#include "nn/packed_matrix.h"
#include "runtime/attention_op.h"
#include "runtime/join_ops.h"
#include "runtime/layer_ops.h"
#include "runtime/plan.h"

namespace recurra {

template <class T>
class Builder {
 public:
  Builder(Loading& from, const InferenceTables<T>& with, Plan& so_far)
      : loading(from), tables(with), plan(so_far), calls(from.allocator) {}

  Loading& loading;
  const InferenceTables<T>& tables;
  Plan& plan;
  List<Call<T>> calls;

  // Adds the operations of a model, Sequential or Functional, whose layers' weights lie under `prefix`; null: it is the
  // one that the file holds.
  bool add_model(Json description, const char* prefix);
  // Those of a layer, `serialize`d as class name and config, whose weights lie under `prefix`.
  bool add_layer(Json description, const char* prefix);

  // What the model says of itself: a layer of `count`, and then, for plan.layer, its numbers of a row.
  bool tell(Json layer, long index, long count);
  void tell_sizes(long inputs, long outputs);

  bool add_recurrent(const Settings& s, const char* prefix, CellKind cell, bool bidirectional, Merging merging,
                     bool sequences);
  // One series of several.
  bool add_merge(const Settings& s, Merging merging, const Series* parts, long count);

  // Series from which the layer that is added next starts; behind it, it is known where its states lie.
  StartOp<T>* add_start(const Series* states, long count);
  bool finish_start(StartOp<T>* start, long first_state, const char* layer);

  // An operation behind the others: from the plan's series into a new one of `width`, where the plan goes on.
  template <class Operation>
  Operation* add(void (*run)(const Op<T>&, const Frame<T>&), long width) {
    Operation* const op = loading.make<Operation>();
    if (!op || !loading.add(calls, Call<T>{op, 0, 0, !plan.here.steps})) return nullptr;
    if (plan.here.place == kInput) ++plan.number_readers;
    op->run = run, op->k = &tables.wide;
    op->in = plan.here.place, op->in_width = plan.here.width;
    op->out = plan.series_numbers, op->out_width = width;
    plan.series_numbers += padded_width<T>(width);
    plan.here.place = op->out, plan.here.width = width;
    return op;
  }
  // A copy of the plan's series, which is a layer's own.
  bool add_copy() { return add<Op<T>>(run_copy<T>, plan.here.width) != nullptr; }
  // Makes a series of states of what is read.
  bool settle(Series* series);
  // Room for `width` numbers of a row in the scratch behind `*used`, which grows.
  long scratch(long width, long* used) {
    const long offset = *used;
    *used += padded_width<T>(width);
    if (*used > plan.scratch_numbers) plan.scratch_numbers = *used;
    return offset;
  }
  long add_state(const char* name, long width, long row, const T* initial);
  // The plan goes on behind the last step alone.
  void collapse() { plan.here.steps = false; }

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

 private:
  bool activate(const Activation& activation, bool softmax);
  bool add_stack(const Settings& s, const char* prefix);
  bool add_dense(const Settings& s, const char* prefix);
  bool add_embedding(const Settings& s, const char* prefix);
  bool add_conv(const Settings& s, const char* prefix);
  bool add_norm(const Settings& s, const char* prefix, bool batch);
  bool add_statistics(const Settings& s, const char* prefix);
  bool add_relu(const Settings& s);
  bool add_masking(const Settings& s);
  bool add_join(const Settings& s, Merging merging);
  bool add_attention(const Settings& s, const char* prefix, bool additive);
  bool add_named(const Settings& s, const char* class_name, const char* prefix);
  bool add_chain(Json config, const char* prefix);
};

// Whether layers of a class read all inputs alike. Those of others, but for the first, are initial states.
bool joins(Json class_name);

// What a layer is called, weights and all: its own name under that of the model around it. False when it has none.
bool layer_name(Loading& loading, Json layer, const char* prefix, char (&name)[kMostName]);

}  // namespace recurra
