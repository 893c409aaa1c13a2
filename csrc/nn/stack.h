// Several layers and directions in one call: one parallel region forward, one backward.
#pragma once
#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "nn/direction.h"
#include "nn/plan.h"

namespace recurra {

// The caller's arrays of a forward pass. N, T, L, D, I, H, R, O as in nn/config.h; all but x contiguous.
template <class T>
struct StackArguments {
  long batch = 0, time = 0;
  View<const T> x;                        // (N, T, I)
  const T* h0 = nullptr;                  // (L * D, N, R); null: zero
  const T* c0 = nullptr;                  // (L * D, N, H); null: zero
  const std::int64_t* lengths = nullptr;  // (N); null: all T
  bool sequences = true;
  bool unchanged = false;  // the weights are those of this plan's last pass
  bool sampling = false;   // dropout and zoneout are drawn
  std::uint64_t seed = 0;
  bool lasting = false;     // to run again and again: how many threads do is decided each time
  bool time_major = false;  // the sequences y, and dx of a backward pass, lie as (T, N, *)
  T* y = nullptr;           // (N, T, O) or (N, O)
  T* hn = nullptr;          // (L * D, N, R)
  T* cn = nullptr;          // (L * D, N, H), LSTM only

  // A sequence of the caller, of `width` numbers a step.
  View<T> sequence(T* data, long width) const {
    return time_major ? View<T>{data, width, batch * width, 1} : View<T>{data, time * width, width, 1};
  }
};

template <class T>
struct StackGradients {
  const T* dy = nullptr;  // (N, T, O) of any strides, or (N, O) contiguous
  View<const T> dy_view;
  const T* dhn = nullptr;
  const T* dcn = nullptr;
  T* dx = nullptr;       // (N, T, I) contiguous; null: not wanted
  T* dh0 = nullptr;      // (L * D, N, R)
  T* dc0 = nullptr;      // (L * D, N, H)
  T* weights = nullptr;  // flat: added to; null: not wanted
  T* dh = nullptr;       // (L * D, N, T, R): the whole gradient of every h; padding is not touched; null: not wanted
};

// Where trace() writes; zeroed by the caller, so that steps behind a sample's end are 0.
template <class T>
struct StackTrace {
  T* h = nullptr;      // (L * D, N, T, R), each h at the time of its output
  T* c = nullptr;      // (L * D, N, T, H), LSTM only
  T* gates = nullptr;  // (L * D, N, T, Q, H): i f g o of an LSTM (also where f = 1 - i), r z n of a GRU; RNN: Q = 0
};

// One pass over one batch. Kept alive, with training, as the tape of its backward pass.
template <class T>
class StackRun {
 public:
  StackRun(std::shared_ptr<Plan<T>> plan, const T* weights, const StackArguments<T>& arguments, bool training);

  // False when stopped by `poll`.
  bool forward(const Poll& poll);
  // The same pass over another contiguous input, into another output, in the memory of the first. Not with training.
  bool forward_again(const T* x, T* y, const Poll& poll);
  // Uses up what forward saved, unless `keep`.
  bool backward(const StackGradients<T>& gradients, bool keep, const Poll& poll);
  // Copies what forward saved. With training, and before a backward pass that used it up.
  bool trace(const StackTrace<T>& out, const Poll& poll);

  const Config& config() const { return plan_->config(); }
  long parameter_count() const { return plan_->layout().size; }
  const StackArguments<T>& arguments() const { return arguments_; }

 private:
  using Parts = std::vector<Direction<T>>;
  Parts& at(long layer, long direction) {
    return directions_[static_cast<std::size_t>(layer * config().directions() + direction)];
  }
  Direction<T> describe(long layer, long direction, const Steps& steps) const;
  double distance() const;
  int useful(double distance) const;
  int group_size(long direction) const;
  int threads() const { return std::min(working_, num_threads()); }
  View<T> output_of(long layer);
  bool merges() const { return config().bidirectional && config().merge != Merge::kConcat; }
  long time_rows() const { return arguments_.batch * arguments_.time; }
  void prepare_layer(long layer);
  bool run_layers(const Poll& poll);
  // Calls f(group, direction): each direction by a half of the team, or one after the other by all of it.
  template <class F>
  void each_direction(Team& team, const F& f) {
    const long directions = config().directions();
    if (directions == 2 && team.size() >= 2) {
      const int half = team.size() / 2, mine = team.rank() < half ? 0 : 1;
      Team group = mine == 0 ? team.part(0, half, &barriers_[0]) : team.part(half, team.size() - half, &barriers_[1]);
      f(group, mine);
      return;
    }
    for (long direction = 0; direction < directions; ++direction) f(team, direction);
  }
  // Calls f(group, part): each thread for its share of the parts, or all for the only one.
  template <class F>
  static void each_part(Team& group, const Parts& parts, const F& f) {
    if (parts.front().sharers > 1 && group.size() > 1) {
      f(group, std::size_t{0});
      return;
    }
    Team alone = group.part(group.rank(), 1, nullptr);
    const Range own = share(static_cast<long>(parts.size()), group.rank(), group.size());
    for (long part = own.first; part < own.last; ++part) f(alone, static_cast<std::size_t>(part));
  }
  void zero_padding(Team& team, const View<T>& y, long width);
  void merge_outputs(Team& team, long layer, const View<T>& y);
  void merge_last();
  void split_gradients(Team& team, long layer, const View<const T>& dy, T* split);
  std::vector<Buffer<T>> save();
  void restore(std::vector<Buffer<T>>& saved);
  std::vector<Buffer<T>*> overwritten();

  std::shared_ptr<Plan<T>> plan_;
  std::shared_ptr<const PackedWeights<T>> weights_;
  StackArguments<T> arguments_;
  bool training_;
  Steps steps_;
  double distance_ = 1;             // of the cores
  int threads_ = 1;                 // that the work is laid out for
  int working_ = 1;                 // that do it
  std::vector<Steps> parted_[2];    // the batch as the threads of each direction share it; empty: one has it all
  std::vector<Parts> directions_;   // [L * D]; one part where threads share the units
  std::vector<Buffer<T>> outputs_;  // [L - 1]: (T, N, O) between layers
  std::vector<Buffer<T>> apart_;    // [L]: (T, N, 2 R), the directions before they are merged
  Buffer<T> last_;  // (2, N, R), with training: the final states that were multiplied into the last output
  Barrier barriers_[2];
};

}  // namespace recurra
