// Models into operations: chains, and graphs of calls as recurra/models/graph.py writes them.
#include <cstdio>
#include <cstring>

#include "runtime/builder.h"

namespace recurra {
namespace {

constexpr long kMostCalls = 65536;
constexpr std::size_t kRepeats = 1 << 14;  // bytes that layers called again may add beside the size of the file

// A stretch of what was laid out so far.
struct Mark {
  long calls, series, state_numbers, states, parameters;
};

// A layer of a graph. What its first call added serves the later ones: same operations, other series and states.
struct Member {
  Json description;
  long uses = 0;   // calls that the graph makes
  long calls = 0;  // of which so many are there
  Mark from{}, to{};
  bool needs_steps = false;
  long inputs = 0, input_count = 0;    // where they lie in the graph's `kept`: those of the first call, as it read them
  long outputs = 0, output_count = 0;  // and what it gave

  // A layer that joins series, with few weights or none, is cheaper built anew than given copies of its inputs.
  bool repeats() const {
    const Json name = description["class_name"];
    return uses > 1 && (name.says("Functional") || !joins(name));
  }
};

template <class T>
class Graph {
 public:
  Graph(Builder<T>& builder, Json config, const char* prefix)
      : b_(builder),
        l_(builder.loading),
        plan_(builder.plan),
        config_(config),
        prefix_(prefix),
        members_(l_.allocator),
        values_(l_.allocator),
        firsts_(l_.allocator),
        given_(l_.allocator),
        inputs_(l_.allocator),
        kept_(l_.allocator) {}

  // Reads plan.here and plan.more, gives plan.here and plan.given.
  bool add() {
    if (!take_inputs() || !list_layers()) return false;
    for (JsonEntries calls(config_["calls"]); l_.good() && calls.next();) add_call(calls.value);
    return l_.good() && give_outputs();
  }

 private:
  bool damaged(const char* expected, Json got) {
    const int width = static_cast<int>(got.size() < 60 ? got.size() : 60);
    return l_.refuse(RECURRA_BAD_FILE, "model '%s': expected %s, got %.*s", prefix_ ? prefix_ : "", expected, width,
                     got.present() ? got.begin() : "");
  }

  bool take_inputs() {
    long count = 0;
    for (JsonEntries inputs(config_["inputs"]); inputs.next(); ++count) {
      const Json dtype = inputs.value["dtype"];
      integers_ = integers_ || dtype.says("int64") || dtype.says("int32");
    }
    if (count != 1 + plan_.more.count()) return damaged("the inputs that it is given", config_["inputs"]);
    l_.add(given_, plan_.here);
    for (long i = 0; i < plan_.more.count() && l_.good(); ++i) l_.add(given_, plan_.more[i]);
    plan_.more.cut(0);
    return l_.good();
  }

  bool list_layers() {
    for (JsonEntries layers(config_["layers"]); layers.next() && l_.good();) {
      Member member;
      member.description = layers.value;
      if (members_.count() == kMostLayers)
        return l_.refuse(RECURRA_UNSUPPORTED, "expected at most %ld layers, got more", kMostLayers);
      l_.add(members_, member);
    }
    for (long i = 0; !prefix_ && i < members_.count() && l_.good(); ++i)
      b_.tell(members_[i].description, i, members_.count());
    long count = 0;
    for (JsonEntries calls(config_["calls"]); calls.next() && l_.good(); ++count) {
      Member* const member = member_of(calls.value);
      if (member) ++member->uses;
      if (count == kMostCalls)
        return l_.refuse(RECURRA_UNSUPPORTED, "expected at most %ld calls of layers, got more", kMostCalls);
    }
    return l_.good();
  }

  Member* member_of(Json call) {
    long index = -1;
    if (call["layer"].get(&index) && index >= 0 && index < members_.count()) return &members_[index];
    damaged("calls of its layers", call);
    return nullptr;
  }

  // The series at [call, output], where call -1 is the graph's inputs.
  Series* value_at(Json place) {
    long numbers[2] = {-2, -2}, count = 0;
    for (JsonEntries entries(place); entries.next(); ++count)
      if (count >= 2 || !entries.value.get(&numbers[count])) count = 2;
    const long call = numbers[0], output = numbers[1];
    if (count == 2 && call == -1 && output >= 0 && output < given_.count()) return &given_[output];
    if (count == 2 && call >= 0 && call < firsts_.count() && output >= 0) {
      const long end = call + 1 < firsts_.count() ? firsts_[call + 1] : values_.count();
      if (output < end - firsts_[call]) return &values_[firsts_[call] + output];
    }
    damaged("calls that read outputs of earlier ones", place);
    return nullptr;
  }

  // The series that a call reads, into inputs_.
  bool read(Json places) {
    inputs_.cut(0);
    for (JsonEntries entries(places); entries.next();) {
      Series* const value = value_at(entries.value);
      if (!value || !b_.settle(value) || !l_.add(inputs_, *value)) return false;
    }
    return inputs_.count() > 0 || damaged("calls of layers with inputs", places);
  }

  bool add_call(Json call) {
    Member* const member = member_of(call);
    if (!member || !read(call["inputs"])) return false;
    const std::size_t before = l_.memory.bytes();
    StartOp<T>* start = nullptr;
    if (inputs_.count() > 1 && !joins(member->description["class_name"])) {
      start = b_.add_start(&inputs_[1], inputs_.count() - 1);
      if (!start) return false;
      inputs_.cut(1);
    }
    const Mark from = mark();
    const bool again = member->calls++ > 0;
    if (!(again && can_repeat(*member) ? repeat(*member) : build(*member))) return false;
    if (start && !b_.finish_start(start, from.states, prefix_ ? prefix_ : "")) return false;
    if (!again) return true;
    const Mark to = mark();
    plan_.repeated += l_.memory.bytes() - before + static_cast<std::size_t>(to.calls - from.calls) * sizeof(Call<T>) +
                      static_cast<std::size_t>(to.states - from.states) * sizeof(StateEntry);
    return plan_.repeated <= kRepeats + l_.file_size ||
           l_.refuse(RECURRA_UNSUPPORTED,
                     "expected shared layers that are called less often, got calls that need more "
                     "memory than the file has bytes");
  }

  Mark mark() {
    return {b_.calls.count(), plan_.series_numbers, plan_.state_numbers, plan_.states.count(), l_.parameters};
  }

  // Copies inputs to where a layer that is called several times reads them, right before what it adds itself.
  bool add_copies() {
    for (long i = 0; i < inputs_.count(); ++i) {
      if (inputs_[i].place == kInput && integers_) continue;
      plan_.here = inputs_[i];
      if (!b_.add_copy()) return false;
      inputs_[i] = plan_.here;
    }
    return true;
  }

  // The layer's own operations.
  bool build(Member& member) {
    char name[kMostName];
    if (!layer_name(l_, member.description, prefix_, name)) return false;
    if (member.repeats() && member.from.parameters < member.to.parameters)
      return l_.refuse(RECURRA_UNSUPPORTED, "layer '%s': expected calls on inputs of the same sizes, got others", name);
    const bool needed = plan_.needs_steps;
    const long given = plan_.given.count();
    plan_.needs_steps = false;
    if (!prefix_) plan_.layer = &member - members_.data();
    member.from = mark();
    if (member.repeats() && !add_copies()) return false;
    plan_.more.cut(0);
    for (long i = 1; i < inputs_.count(); ++i)
      if (!l_.add(plan_.more, inputs_[i])) return false;
    plan_.here = inputs_[0];
    l_.again = member.uses > 1 && !member.repeats();
    const bool added = b_.add_layer(member.description, name);
    l_.again = false;
    if (!added) return false;
    if (plan_.more.count() > 0) return damaged("layers that read all their inputs", member.description["class_name"]);
    member.to = mark();
    member.needs_steps = plan_.needs_steps;
    plan_.needs_steps = plan_.needs_steps || needed;
    if (!l_.add(firsts_, values_.count()) || !l_.add(values_, plan_.here)) return false;
    for (long i = given; i < plan_.given.count(); ++i)
      if (!l_.add(values_, plan_.given[i])) return false;
    plan_.given.cut(given);
    if (!prefix_ && member.calls == 1) b_.tell_sizes(inputs_[0].width, plan_.here.width);
    return !member.repeats() || keep(member);
  }

  bool keep(Member& member) {
    member.inputs = kept_.count(), member.input_count = inputs_.count();
    for (long i = 0; i < inputs_.count(); ++i)
      if (!l_.add(kept_, inputs_[i])) return false;
    member.outputs = kept_.count();
    for (long i = firsts_[firsts_.count() - 1]; i < values_.count(); ++i)
      if (!l_.add(kept_, values_[i])) return false;
    member.output_count = kept_.count() - member.outputs;
    return true;
  }

  // Whether the first call's operations serve inputs_ too. A layer that looks at single steps takes a vector as well.
  bool can_repeat(const Member& member) {
    bool same = member.repeats() && member.input_count == inputs_.count(),
         pointwise = inputs_.count() == 1 && !member.needs_steps;
    for (long i = 0; i < inputs_.count() && same; ++i) {
      const Series& first = kept_[member.inputs + i];
      same = first.width == inputs_[i].width && (first.steps == inputs_[i].steps || pointwise) &&
             (first.place == kInput) == (inputs_[i].place == kInput && integers_);
    }
    return same;
  }

  bool repeat(const Member& member) {
    const long series = plan_.series_numbers - member.from.series;
    const long states = plan_.state_numbers - member.from.state_numbers;
    const bool turned = kept_[member.inputs].steps != inputs_[0].steps;
    long copies = 0;
    for (long i = 0; i < inputs_.count(); ++i) copies += inputs_[i].place != kInput || !integers_;
    if (!add_copies()) return false;
    for (long i = member.from.calls + copies; i < member.to.calls; ++i) {
      Call<T> call = b_.calls[i];
      call.series += series, call.states += states, call.once = turned ? !inputs_[0].steps : call.once;
      if (!l_.add(b_.calls, call)) return false;
    }
    plan_.series_numbers = member.to.series + series;
    plan_.state_numbers = member.to.state_numbers + states;
    for (long i = member.from.states; i < member.to.states; ++i) {
      StateEntry entry = plan_.states[i];
      entry.offset += states;
      const std::size_t used = std::strlen(entry.name);
      std::snprintf(entry.name + used, sizeof entry.name - used, "#%ld", member.calls);
      if (!l_.add(plan_.states, entry)) return false;
    }
    if (!l_.add(firsts_, values_.count())) return false;
    for (long i = 0; i < member.output_count; ++i) {
      Series output = kept_[member.outputs + i];
      if (output.state || output.place != kInput) output.place += output.state ? states : series;
      if (turned) output.steps = inputs_[0].steps;
      if (!l_.add(values_, output)) return false;
    }
    return true;
  }

  bool give_outputs() {
    long count = 0;
    for (JsonEntries entries(config_["outputs"]); entries.next(); ++count) {
      const Series* const value = value_at(entries.value);
      if (!value) return false;
      if (count == 0) {
        plan_.here = *value;
      } else if (!l_.add(plan_.given, *value)) {
        return false;
      }
    }
    return count > 0 || damaged("outputs", config_["outputs"]);
  }

  Builder<T>& b_;
  Loading& l_;
  Plan& plan_;
  const Json config_;
  const char* const prefix_;
  List<Member> members_;
  List<Series> values_;  // what all calls so far gave
  List<long> firsts_;    // of each call, the first of them
  List<Series> given_;   // the graph's own inputs
  List<Series> inputs_;  // of the call being added
  List<Series> kept_;
  bool integers_ = false;  // x is
};

}  // namespace

bool layer_name(Loading& loading, Json layer, const char* prefix, char (&name)[kMostName]) {
  char own[kMostName];
  const Json given = layer["config"]["name"];
  if (!given.is_string() || given.text(own, sizeof own) >= sizeof own)
    return loading.refuse(RECURRA_BAD_FILE, "expected layers with names, got one without");
  const int length = std::snprintf(name, sizeof name, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", own);
  return length < static_cast<int>(sizeof name) ||
         loading.refuse(RECURRA_BAD_FILE, "layer '%s': name: expected a shorter one, got '%s'", prefix, own);
}

template <class T>
bool Builder<T>::tell(Json layer, long index, long count) {
  if (!plan.layers) plan.layers = loading.take<recurra_layer_info>(count);
  char name[kMostName];
  if (!plan.layers || !layer_name(loading, layer, nullptr, name)) return false;
  plan.layer_count = count;
  plan.layers[index].class_name = loading.keep_text(layer["class_name"]);
  plan.layers[index].name = loading.keep_text(layer["config"]["name"]);
  return loading.good();
}

template <class T>
void Builder<T>::tell_sizes(long inputs, long outputs) {
  recurra_layer_info& info = plan.layers[plan.layer];
  info.inputs = std::strcmp(info.class_name, "Embedding") == 0 ? 1 : static_cast<std::size_t>(inputs);
  info.outputs = static_cast<std::size_t>(outputs);
}

template <class T>
bool Builder<T>::add_chain(Json config, const char* prefix) {
  long count = 0, index = 0;
  for (JsonEntries layers(config["layers"]); layers.next();) ++count;
  if (count > kMostLayers)
    return loading.refuse(RECURRA_UNSUPPORTED, "expected at most %ld layers, got %ld", kMostLayers, count);
  for (JsonEntries layers(config["layers"]); layers.next() && loading.good(); ++index) {
    char name[kMostName];
    if (!layer_name(loading, layers.value, prefix, name)) return false;
    const long width = plan.here.width;
    if (!prefix) plan.layer = index;
    if ((prefix || tell(layers.value, index, count)) && add_layer(layers.value, name) && !prefix)
      tell_sizes(width, plan.here.width);
  }
  return loading.good();
}

template <class T>
bool Builder<T>::add_model(Json description, const char* prefix) {
  const Json name = description["class_name"], config = description["config"];
  const int length = static_cast<int>(name.size() < 60 ? name.size() : 60);
  if (name.present() && description["module"].is_string())
    return loading.refuse(RECURRA_UNSUPPORTED, "expected a model of recurra, got a class of one's own, %.*s", length,
                          name.begin());
  if (name.says("Sequential")) return add_chain(config, prefix);
  if (name.says("Functional")) return Graph<T>(*this, config, prefix).add();
  return loading.refuse(RECURRA_UNSUPPORTED, "expected a Sequential or a Model(inputs, outputs), got %.*s", length,
                        name.present() ? name.begin() : "");
}

template bool Builder<float>::add_model(Json, const char*);
template bool Builder<double>::add_model(Json, const char*);

}  // namespace recurra
