// Backward over the stack: the layers in reverse.
#include <algorithm>
#include <cstring>

#include "nn/stack.h"

namespace recurra {
namespace {

// The gradients of both directions' outputs from that of their merge.
template <class T>
void split_row(Merge merge, const T* dy, const T* a, const T* b, T* da, T* db, long width) {
  switch (merge) {
    case Merge::kSum:
      for (long j = 0; j < width; ++j) da[j] = db[j] = dy[j];
      break;
    case Merge::kMultiply:
      for (long j = 0; j < width; ++j) da[j] = dy[j] * b[j], db[j] = dy[j] * a[j];
      break;
    case Merge::kAverage:
      for (long j = 0; j < width; ++j) da[j] = db[j] = dy[j] * T(0.5);
      break;
    case Merge::kConcat:
      std::copy_n(dy, width, da);
      std::copy_n(dy + width, width, db);
  }
}

}  // namespace

template <class T>
void StackRun<T>::split_gradients(Team& team, long layer, const View<const T>& dy, T* split) {
  const long recurrent = config().recurrent(), batch = arguments_.batch;
  const T* apart = apart_[static_cast<std::size_t>(layer)].data();
  const Range own = share(time_rows(), team.rank(), team.size());
  std::vector<T> row(static_cast<std::size_t>(recurrent));
  for (long i = own.first; i < own.last; ++i) {
    const T* from = dy.data + i % batch * dy.row + i / batch * dy.step;
    for (long j = 0; j < recurrent; ++j) row[static_cast<std::size_t>(j)] = from[j * dy.element];
    T* to = split + i * 2 * recurrent;
    const T* a = apart ? apart + i * 2 * recurrent : nullptr;
    split_row(config().merge, row.data(), a, a ? a + recurrent : nullptr, to, to + recurrent, recurrent);
  }
}

// What a backward pass overwrites.
template <class T>
std::vector<Buffer<T>*> StackRun<T>::overwritten() {
  std::vector<Buffer<T>*> all;
  for (Parts& parts : directions_)
    for (Direction<T>& d : parts)
      for (Buffer<T>* b :
           {&d.gates, &d.normal_in.normal, &d.normal_rec.normal, &d.normal_late.normal, &d.normal_c.normal})
        if (b->data()) all.push_back(b);
  return all;
}

template <class T>
std::vector<Buffer<T>> StackRun<T>::save() {
  std::vector<Buffer<T>> saved;
  for (const Buffer<T>* b : overwritten()) {
    saved.emplace_back(b->size());
    std::memcpy(saved.back().data(), b->data(), b->size() * sizeof(T));
  }
  return saved;
}

template <class T>
void StackRun<T>::restore(std::vector<Buffer<T>>& saved) {
  const std::vector<Buffer<T>*> all = overwritten();
  for (std::size_t i = 0; i < all.size(); ++i) *all[i] = std::move(saved[i]);
}

template <class T>
bool StackRun<T>::backward(const StackGradients<T>& given, bool keep, const Poll& poll) {
  const Config& c = config();
  const long batch = arguments_.batch, recurrent = c.recurrent(), directions = c.directions(), top = c.layers - 1;
  std::vector<Buffer<T>> saved;
  if (keep) saved = save();

  // The last output counts into the final states of the top layer.
  Buffer<T> last;
  if (!arguments_.sequences && given.dy) {
    last = zeros<T>(directions * batch * recurrent);
    for (long n = 0; n < batch; ++n) {
      const T* a = last_.data() ? last_.data() + n * recurrent : nullptr;
      T* to = last.data() + n * recurrent;
      if (c.bidirectional) {
        split_row(c.merge, given.dy + n * c.output(), a, a ? a + batch * recurrent : nullptr, to,
                  to + batch * recurrent, recurrent);
      } else {
        std::copy_n(given.dy + n * recurrent, recurrent, to);
      }
    }
    if (given.dhn) {
      const T* dhn = given.dhn + top * directions * batch * recurrent;
      for (long i = 0; i < directions * batch * recurrent; ++i) last.data()[i] += dhn[i];
    }
  }

  // dx of each layer's directions, (T, N, I); a single direction of layer 0 and the first of two write to the caller's
  // array.
  using Gradients = std::vector<DirectionGradients<T>>;  // one for each part
  std::vector<Gradients> gradients(directions_.size());
  std::vector<Buffer<T>> dx(directions_.size());
  Buffer<T> split;
  if (merges()) split = Buffer<T>(static_cast<std::size_t>(time_rows() * 2 * recurrent));
  for (long layer = 0; layer < c.layers; ++layer) {
    for (long direction = 0; direction < directions; ++direction) {
      const long i = layer * directions + direction;
      Parts& parts = at(layer, direction);
      Gradients& out = gradients[static_cast<std::size_t>(i)];
      const long input = c.layer_input(layer);
      View<T> to;
      if (layer == 0 && direction == 0 && given.dx) {
        to = arguments_.sequence(given.dx, input);
        if (steps_.ragged) std::fill_n(given.dx, time_rows() * input, T(0));
      } else if (layer > 0 || given.dx) {
        Buffer<T>& own = dx[static_cast<std::size_t>(i)];
        own = steps_.ragged ? zeros<T>(time_rows() * input) : Buffer<T>(static_cast<std::size_t>(time_rows() * input));
        to = {own.data(), input, batch * input, 1};
      }
      for (Direction<T>& d : parts) {
        DirectionGradients<T>& o = out.emplace_back();
        o.weights = given.weights, o.offsets = &plan_->layout().offsets[static_cast<std::size_t>(i)];
        o.dx = to;
        o.dhn = given.dhn ? given.dhn + i * batch * recurrent : nullptr;
        if (last.data() && layer == top) o.dhn = last.data() + direction * batch * recurrent;
        o.dh0 = given.dh0 ? given.dh0 + i * batch * recurrent : nullptr;
        if (given.dh) {
          const long sample = arguments_.time * recurrent;
          o.total_dh = {given.dh + i * batch * sample, sample, recurrent, 1};
        }
        if (d.lstm()) {
          o.dcn = given.dcn ? given.dcn + i * batch * c.hidden : nullptr;
          o.dc0 = given.dc0 ? given.dc0 + i * batch * c.hidden : nullptr;
        }
        prepare(d, o);
      }
      if (given.weights) prepare_weight_gradients(parts, out);
    }
  }

  const bool done = run_team(threads(), poll, [&](Team& team) {
    View<const T> dy = arguments_.sequences ? given.dy_view : View<const T>{};
    for (long layer = top; layer >= 0; --layer) {
      const auto of = [&](long direction) -> Gradients& {
        return gradients[static_cast<std::size_t>(layer * directions + direction)];
      };
      View<const T> apart = dy;
      if (dy.data && merges()) {
        split_gradients(team, layer, dy, split.data());
        apart = {split.data(), 2 * recurrent, batch * 2 * recurrent, 1};
        if (!team.meet()) return;
      }
      each_direction(team, [&](Team& group, long direction) {
        Parts& parts = at(layer, direction);
        Gradients& out = of(direction);
        View<const T> own = apart;
        if (own.data) own.data += direction * recurrent * own.element;
        if (group.rank() == 0)
          for (DirectionGradients<T>& o : out) o.dy = own;
        if (!group.meet()) return;
        each_part(group, parts, [&](Team& few, std::size_t part) { recurra::backward(few, parts[part], out[part]); });
        if (!given.weights || !group.meet()) return;
        weight_gradients(group, parts, out);
      });
      if (!team.meet()) return;
      const DirectionGradients<T>& o = of(0).front();
      if (directions == 2 && o.dx.data) {
        const View<T> other = of(1).front().dx;
        const Range own = share(time_rows(), team.rank(), team.size());
        const long width = c.layer_input(layer);
        for (long i = own.first; i < own.last; ++i) {
          T* to = o.dx.data + i % batch * o.dx.row + i / batch * o.dx.step;
          const T* from = other.data + i % batch * other.row + i / batch * other.step;
          for (long j = 0; j < width; ++j) to[j] += from[j];
        }
        if (!team.meet()) return;
      }
      dy = {o.dx.data, o.dx.row, o.dx.step, 1};
    }
  });
  if (keep) restore(saved);
  return done;
}

#define RECURRA_INSTANTIATE(T) template bool StackRun<T>::backward(const StackGradients<T>&, bool, const Poll&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
