// Series into one, and states from layer to layer.
#include <cstdio>

#include "runtime/builder.h"

namespace recurra {

constexpr long kMostParts = 256;

template <class T>
long Builder<T>::add_state(const char* name, long width, long row, const T* initial) {
  StateEntry entry{};
  entry.offset = plan.state_numbers, entry.width = width, entry.row = row;
  entry.initial = initial, entry.layer = plan.layer;
  std::snprintf(entry.name, sizeof entry.name, "%s", name);
  loading.add(plan.states, entry);
  plan.state_numbers += padded_width<T>(row);
  return entry.offset;
}

template <class T>
bool Builder<T>::settle(Series* series) {
  if (!series->state) return true;
  const Series before = plan.here;
  plan.here = Series{plan.series_numbers, series->width, false, false, 0};
  auto* const op = add<StateOp<T>>(run_state<T>, series->width);
  if (!op) return false;
  op->state = series->place, op->row = series->row;
  *series = plan.here;
  plan.here = before;
  return true;
}

template <class T>
bool Builder<T>::add_merge(const Settings& s, Merging merging, const Series* parts, long count) {
  if (count > kMostParts) return s.unsupported("more inputs than 256");
  long widest = 0, sum = 0, once = 0, inputs = 0;
  for (long i = 0; i < count; ++i) {
    if (parts[i].width > widest) widest = parts[i].width;
    sum += parts[i].width, once += !parts[i].steps, inputs += parts[i].place == kInput;
  }
  const bool beside = merging == Merging::kConcat, mixed = once > 0 && once < count;
  bool fit = sum <= kMostWidth && !(beside && mixed) && (merging != Merging::kSubtract || count == 2);
  for (long i = 0; i < count; ++i) fit = fit && (beside || parts[i].width == widest || parts[i].width == 1);
  if (!fit) return s.damaged("inputs", "inputs that fit each other");
  Part* const own = loading.take<Part>(count);
  if (!own) return false;
  for (long i = 0; i < count; ++i) own[i] = Part{parts[i].place, parts[i].width, parts[i].steps};
  plan.here = parts[0], plan.here.steps = once < count;
  auto* const op = add<MergeOp<T>>(run_merge<T>, beside ? sum : widest);
  if (!op) return false;
  plan.number_readers += inputs - (parts[0].place == kInput);
  op->kind = merging, op->count = count, op->parts = own;
  if (mixed) plan.whole = true;  // what goes with every step is known behind the last one
  return true;
}

// A layer that joins all its inputs.
template <class T>
bool Builder<T>::add_join(const Settings& s, Merging merging) {
  if (merging == Merging::kConcat && !s.last_axis("axis", plan.axes(plan.here)))
    return s.unsupported("a Concatenate along another axis than the last");
  List<Series> parts(loading.allocator);
  loading.add(parts, plan.here);
  for (long i = 0; i < plan.more.count() && loading.good(); ++i) loading.add(parts, plan.more[i]);
  plan.more.cut(0);
  return loading.good() && add_merge(s, merging, parts.data(), parts.count());
}

// Reads queries, values and perhaps keys, as recurra/layers/attention.py does.
template <class T>
bool Builder<T>::add_attention(const Settings& s, const char* prefix, bool additive) {
  constexpr const char* kModes[] = {"dot", "concat", nullptr};
  const long count = 1 + plan.more.count();
  if (count < 2 || count > 3) return s.damaged("inputs", "two or three inputs");
  const Series query = plan.here, value = plan.more[0], key = plan.more[count - 2];
  plan.more.cut(0);
  plan.needs_steps = plan.whole = true;
  const bool fit = query.steps && value.steps && key.steps && query.width == key.width && !plan.flat;
  if (!fit) return s.damaged("inputs", "inputs that fit each other");
  const bool concat = additive || s.choice("score_mode", kModes) == 1, scaled = s.flag("use_scale", additive);
  const T* const scale = scaled ? loading.weight<T>(prefix, "scale", additive ? query.width : 0) : nullptr;
  const T* const weight = concat && !additive ? loading.weight<T>(prefix, "concat_score_weight", 0) : nullptr;
  if (!loading.good()) return false;
  auto* const op = add<AttentionOp<T>>(run_attention<T>, value.width);
  if (!op) return false;
  plan.number_readers += (value.place == kInput) + (count > 2 && key.place == kInput);
  op->value = Part{value.place, value.width, true}, op->key = Part{key.place, key.width, true};
  op->concat = concat, op->scaled = scaled && !additive;
  if (op->scaled) op->scale = *scale;
  if (weight) op->weight = *weight;
  if (concat) {  // the sum over the features, weighted by an additive layer's scale
    T* const sums = loading.take<T>(query.width);
    for (long i = 0; sums && i < query.width; ++i) sums[i] = additive && scale ? scale[i] : T(1);
    op->sums = pack_dense(sums, query.width, 1), op->zero = pad(nullptr, 0, kLine<T>);
  }
  const long step = attention_step_numbers<T>(query.width, value.width), fixed = attention_numbers<T>(query.width);
  if (step > plan.area_step_numbers) plan.area_step_numbers = step;
  if (fixed > plan.area_numbers) plan.area_numbers = fixed;
  return loading.good();
}

template <class T>
StartOp<T>* Builder<T>::add_start(const Series* states, long count) {
  auto* const op = loading.make<StartOp<T>>();
  Start* const starts = op ? loading.take<Start>(count) : nullptr;
  if (!starts || !loading.add(calls, Call<T>{op, 0, 0, true})) return nullptr;
  for (long i = 0; i < count; ++i) starts[i].part = Part{states[i].place, states[i].width, states[i].steps};
  op->run = run_start<T>, op->count = count, op->starts = starts;
  plan.whole = true;
  return op;
}

template <class T>
bool Builder<T>::finish_start(StartOp<T>* op, long first_state, const char* layer) {
  bool fit = plan.states.count() - first_state == op->count;
  for (long i = 0; i < op->count && fit; ++i) {
    Start& start = op->starts[i];
    const StateEntry& entry = plan.states[first_state + i];
    fit = !start.part.steps && start.part.width == entry.width;
    start.state = entry.offset, start.row = entry.row;
  }
  return fit || loading.refuse(RECURRA_BAD_FILE, "layer '%s': expected initial states of its sizes, got %ld others",
                               layer, op->count);
}

#define RECURRA_INSTANTIATE(T)                                                        \
  template bool Builder<T>::add_attention(const Settings&, const char*, bool);        \
  template long Builder<T>::add_state(const char*, long, long, const T*);             \
  template bool Builder<T>::settle(Series*);                                          \
  template bool Builder<T>::add_merge(const Settings&, Merging, const Series*, long); \
  template bool Builder<T>::add_join(const Settings&, Merging);                       \
  template StartOp<T>* Builder<T>::add_start(const Series*, long);                    \
  template bool Builder<T>::finish_start(StartOp<T>*, long, const char*);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
