// Forward over the stack.
#include "nn/stack.h"

#include <algorithm>

#include "base/threads.h"

namespace recurra {
namespace {

constexpr double kNearRoundTrip = 100;  // nanoseconds, between cores that share a cache, or less

}  // namespace

template <class T>
StackRun<T>::StackRun(std::shared_ptr<Plan<T>> plan, const T* weights, const StackArguments<T>& arguments,
                      bool training)
    : plan_(std::move(plan)),
      weights_(plan_->packed(weights, training, arguments.unchanged)),
      arguments_(arguments),
      training_(training),
      steps_(make_steps(arguments.batch, arguments.time, arguments.lengths)) {
  const Config& c = config();
  if (!arguments.lasting) distance_ = distance();
  threads_ = working_ = useful(distance_);
  for (long direction = 0; direction < c.directions(); ++direction) {
    const long parts = std::min<long>({group_size(direction), steps_.batch, kMostParts});
    if (parts > 1) parted_[direction] = parted(steps_, static_cast<int>(parts));
  }
  directions_.resize(static_cast<std::size_t>(c.layers * c.directions()));
  outputs_.resize(static_cast<std::size_t>(c.layers - 1));
  apart_.resize(static_cast<std::size_t>(c.layers));
  for (long layer = 0; layer < c.layers; ++layer) prepare_layer(layer);
}

// Where the directions of a layer write their sequences; taking memory for what lies between layers.
template <class T>
View<T> StackRun<T>::output_of(long layer) {
  const Config& c = config();
  const long batch = arguments_.batch, recurrent = c.recurrent();
  View<T> y;
  if (layer < c.layers - 1) {
    Buffer<T>& output = outputs_[static_cast<std::size_t>(layer)];
    output = Buffer<T>(static_cast<std::size_t>(time_rows() * c.output()));
    y = {output.data(), c.output(), batch * c.output(), 1};
  } else if (arguments_.sequences) {
    y = arguments_.sequence(arguments_.y, c.output());
  }
  if (y.data && merges()) {
    Buffer<T>& apart = apart_[static_cast<std::size_t>(layer)];
    apart = Buffer<T>(static_cast<std::size_t>(time_rows() * 2 * recurrent));
    y = {apart.data(), 2 * recurrent, batch * 2 * recurrent, 1};
  }
  return y;
}

// A direction but for its input, its output and its memory.
template <class T>
Direction<T> StackRun<T>::describe(long layer, long direction, const Steps& steps) const {
  const Config& c = config();
  const long index = layer * c.directions() + direction, batch = arguments_.batch, recurrent = c.recurrent();
  Direction<T> d;
  d.config = &c, d.steps = &steps, d.kernels = &kernels_of<T>(c);
  d.weights = &weights_->directions[static_cast<std::size_t>(index)];
  d.g = geometry_of(c, d.kernels->lanes, batch >= 2 * group_size(direction));  // single rows have kernels without
  d.layer = layer, d.direction = direction;
  d.training = training_, d.sampling = arguments_.sampling, d.seed = arguments_.seed;
  d.reverse_input = direction == 1 || (c.go_backwards && layer == 0);
  d.reverse_output = direction == 1;
  d.input = c.layer_input(layer), d.recurrent = recurrent, d.padded_recurrent = padded_to(recurrent, d.g.lanes);
  const auto state = [&](auto* base, long width) { return base ? base + index * batch * width : nullptr; };
  d.h0 = state(arguments_.h0, recurrent), d.hn = state(arguments_.hn, recurrent);
  if (d.lstm()) d.c0 = state(arguments_.c0, c.hidden), d.cn = state(arguments_.cn, c.hidden);
  return d;
}

template <class T>
void StackRun<T>::prepare_layer(long layer) {
  const Config& c = config();
  View<const T> x = arguments_.x;
  if (layer > 0)
    x = {outputs_[static_cast<std::size_t>(layer - 1)].data(), c.output(), arguments_.batch * c.output(), 1};
  const View<T> y = output_of(layer);
  for (long direction = 0; direction < c.directions(); ++direction) {
    Parts& parts = at(layer, direction);
    Direction<T> whole = describe(layer, direction, steps_);
    if (split_by_units(whole, group_size(direction), distance_)) whole.sharers = group_size(direction);
    if (parted_[direction].empty() || whole.sharers > 1) {
      parts.push_back(std::move(whole));
    } else {
      for (const Steps& steps : parted_[direction]) parts.push_back(describe(layer, direction, steps));
    }
    for (Direction<T>& d : parts) {
      d.x = x, d.y = y;
      if (d.y.data) d.y.data += direction * c.recurrent();
      prepare(d);
    }
  }
}

// How far apart the cores lie, where that matters: 1 where they share a cache.
template <class T>
double StackRun<T>::distance() const {
  const int most = num_threads();
  if (most == 1 || !worth_a_thread(describe(0, 0, steps_), 1)) return 1;
  return std::max(1.0, round_trip(most) / kNearRoundTrip);
}

// Threads that this work occupies with profit.
template <class T>
int StackRun<T>::useful(double distance) const {
  const Config& c = config();
  const int most = num_threads(), directions = static_cast<int>(c.directions());
  int count = 1;
  for (long layer = 0; layer < c.layers; ++layer) {
    const Direction<T> d = describe(layer, 0, steps_);
    const int each = useful_threads(d, std::max(1, most / directions), distance);
    count = std::max(count, directions == 2 && worth_a_thread(d, distance) ? std::min(most, 2 * each) : each);
  }
  return count;
}

// Threads that work on a direction together.
template <class T>
int StackRun<T>::group_size(long direction) const {
  if (config().directions() == 1 || threads_ == 1) return threads_;
  return direction == 0 ? threads_ / 2 : threads_ - threads_ / 2;
}

// Zeros behind each sample's end.
template <class T>
void StackRun<T>::zero_padding(Team& team, const View<T>& y, long width) {
  if (!y.data || !arguments_.lengths) return;
  const Range own = share(arguments_.batch, team.rank(), team.size());
  for (long n = own.first; n < own.last; ++n)
    for (long t = arguments_.lengths[n]; t < arguments_.time; ++t)
      std::fill_n(y.data + n * y.row + t * y.step, width, T(0));
}

template <class T>
bool StackRun<T>::run_layers(const Poll& poll) {
  const Config& c = config();
  return run_team(threads(), poll, [&](Team& team) {
    for (long layer = 0; layer < c.layers; ++layer) {
      const bool last = layer == c.layers - 1;
      zero_padding(team, at(layer, 0).front().y, c.directions() * c.recurrent());
      each_direction(team, [&](Team& group, long direction) {
        Parts& parts = at(layer, direction);
        each_part(group, parts, [&](Team& own, std::size_t part) { recurra::forward(own, parts[part]); });
      });
      if (!team.meet()) return;
      if (!merges() || (last && !arguments_.sequences)) continue;
      const View<T> y = last ? arguments_.sequence(arguments_.y, c.output())
                             : View<T>{outputs_[static_cast<std::size_t>(layer)].data(), c.output(),
                                       arguments_.batch * c.output(), 1};
      merge_outputs(team, layer, y);
      if (!team.meet()) return;
    }
  });
}

template <class T>
bool StackRun<T>::forward_again(const T* x, T* y, const Poll& poll) {
  arguments_.y = y;
  if (threads_ > 1) working_ = std::min(threads_, useful(distance()));
  const long layers = config().layers, recurrent = config().recurrent();
  for (long direction = 0; direction < config().directions(); ++direction) {
    for (Direction<T>& d : at(0, direction)) d.x.data = x;
    if (merges()) continue;
    for (Direction<T>& d : at(layers - 1, direction)) d.y.data = y + direction * recurrent;
  }
  return run_layers(poll);
}

template <class T>
bool StackRun<T>::forward(const Poll& poll) {
  const Config& c = config();
  if (!run_layers(poll)) return false;
  if (!arguments_.sequences) merge_last();
  for (Buffer<T>& output : outputs_) output = Buffer<T>();  // with training, copies are kept where they are needed
  if (!(training_ && c.merge == Merge::kMultiply))
    for (Buffer<T>& apart : apart_) apart = Buffer<T>();
  return true;
}

namespace {

template <class T>
void merge_row(Merge merge, const T* a, const T* b, T* out, long width) {
  switch (merge) {
    case Merge::kSum:
      for (long j = 0; j < width; ++j) out[j] = a[j] + b[j];
      break;
    case Merge::kMultiply:
      for (long j = 0; j < width; ++j) out[j] = a[j] * b[j];
      break;
    case Merge::kAverage:
      for (long j = 0; j < width; ++j) out[j] = (a[j] + b[j]) * T(0.5);
      break;
    case Merge::kConcat:
      std::copy_n(a, width, out);
      std::copy_n(b, width, out + width);
  }
}

}  // namespace

template <class T>
void StackRun<T>::merge_outputs(Team& team, long layer, const View<T>& y) {
  const long recurrent = config().recurrent(), batch = arguments_.batch;
  const T* apart = apart_[static_cast<std::size_t>(layer)].data();
  const Range own = share(time_rows(), team.rank(), team.size());
  for (long i = own.first; i < own.last; ++i) {
    const T* row = apart + i * 2 * recurrent;
    merge_row(config().merge, row, row + recurrent, y.data + i % batch * y.row + i / batch * y.step, recurrent);
  }
}

// y (N, O) from the final states of the last layer.
template <class T>
void StackRun<T>::merge_last() {
  const Config& c = config();
  const long recurrent = c.recurrent(), batch = arguments_.batch, top = (c.layers - 1) * c.directions();
  const T* a = arguments_.hn + top * batch * recurrent;
  if (training_ && merges()) {
    last_ = Buffer<T>(static_cast<std::size_t>(2 * batch * recurrent));
    std::copy_n(a, 2 * batch * recurrent, last_.data());
  }
  for (long n = 0; n < batch; ++n, a += recurrent) {
    T* out = arguments_.y + n * c.output();
    if (c.bidirectional) {
      merge_row(c.merge, a, a + batch * recurrent, out, recurrent);
    } else {
      std::copy_n(a, recurrent, out);
    }
  }
}

#define RECURRA_INSTANTIATE(T)                                                                        \
  template StackRun<T>::StackRun(std::shared_ptr<Plan<T>>, const T*, const StackArguments<T>&, bool); \
  template bool StackRun<T>::forward(const Poll&);                                                    \
  template bool StackRun<T>::forward_again(const T*, T*, const Poll&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
