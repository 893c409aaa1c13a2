// Memory of a direction, and how its work is shared out.
#include "nn/direction.h"

#include <unistd.h>

#include <algorithm>

#include "nn/random.h"

namespace recurra {
namespace {

// Bytes of the second-level cache of one core.
long second_level_cache() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return size;
#endif
  return 512l << 10;
}

constexpr double kFar = 2;                // distance from which threads with a row each do not meet at every step
constexpr long kWeightsOfARow = 150'000;  // bytes, below which a thread reads them all in the time of a meeting
constexpr long kFewRows = 8;     // below, the weight gradients are summed over the whole batch at once (decision 0025)
constexpr long kFarWeights = 8;  // second-level caches of weights, to be read from afar once a step, not by each
constexpr double kStepFlopsForUnits = 0.8e5;  // of a step, from which sharing its units pays where cores are near
constexpr double kHeavyStepFlops = 2e7;       // looking at the clock costs nothing beside such a step
constexpr double kFlopsWorthAThread = 7.5e5;  // waking a second thread costs about a microsecond

// Counted as if a batch had two rows at least: reading the weights takes as long as two rows' arithmetic.
template <class T>
double step_flops(const Direction<T>& d) {
  return 2.0 * static_cast<double>(d.config->gates() * d.g.hidden) * static_cast<double>(d.recurrent + d.input) *
         static_cast<double>(std::max(2l, d.steps->batch));
}

double flops_worth_a_thread(double distance) { return kFlopsWorthAThread * (0.9 + distance / 10); }

// Unit vectors that a thread takes together: what one register tile of the backward product computes, forward fewer.
template <class T>
long together(const Direction<T>& d) {
  return d.training || d.g.row_major ? 4 : 2;
}

// Threads that can have units of their own: the last one may have half of the others'.
template <class T>
long units_apart(const Direction<T>& d) {
  return (d.g.panels + together(d) / 2) / together(d);
}

// Far apart, training and plain RNNs lose more by every meeting, and read more from each other beside their arithmetic.
template <class T>
bool dear(const Direction<T>& d, double distance) {
  return distance >= kFar && (d.training || d.g.row_major);
}

// What a step must be worth before the threads meet after it.
template <class T>
double flops_worth_a_meeting(const Direction<T>& d, double distance) {
  return kStepFlopsForUnits * distance * (dear(d, distance) ? 1.3 : 1);
}

// Splitting by units needs a cell that looks at its own units alone.
template <class T>
bool can_split_units(const Direction<T>& d, double distance) {
  const Config& c = *d.config;
  return c.plain() && !c.layer_norm && !c.projection && !d.zones_h() && !(d.sampling && c.recurrent_dropout > 0) &&
         units_apart(d) >= 2 && step_flops(d) >= flops_worth_a_meeting(d, distance);
}

// Steps whose gates fill a quarter of the second-level cache, at most 64.
template <class T>
long window_of(const Direction<T>& d) {
  const long bytes = std::max(1l, d.g.step(d.steps->batch) * static_cast<long>(sizeof(T)));
  return std::clamp(second_level_cache() / 2 / bytes, 4l, 64l);
}

template <class T>
void prepare_normal(NormalSeries<T>& series, long rows, long row_size) {
  series.normal = Buffer<T>(static_cast<std::size_t>(rows * row_size));
  series.deviation = Buffer<T>(static_cast<std::size_t>(2 * rows));
}

template <class T>
void prepare_variants(Direction<T>& d, long step_rows, long state_rows) {
  const Config& c = *d.config;
  const Geometry& g = d.g;
  const long batch = d.steps->batch;
  if (c.projection) d.output = Buffer<T>(static_cast<std::size_t>(step_rows * g.padded()));
  if (c.cell == kGruBefore) d.reset_h = Buffer<T>(static_cast<std::size_t>(step_rows * g.padded()));
  if (d.sampling && c.recurrent_dropout > 0) {
    d.mask = zeros<T>(batch * d.padded_recurrent);
    d.masked_h = Buffer<T>(static_cast<std::size_t>(state_rows * d.padded_recurrent));
  }
  const auto zone = [&](double rate, long row_size) {
    Buffer<T> b = zeros<T>((d.sampling ? step_rows : batch) * row_size);
    if (!d.sampling) std::fill(b.data(), b.data() + batch * row_size, static_cast<T>(rate));
    return b;
  };
  if (c.zone_h > 0) d.zone_h = zone(c.zone_h, d.padded_recurrent);
  if (c.zone_c > 0) d.zone_c = zone(c.zone_c, g.padded());
  if (d.lstm() && !d.plain()) d.fresh = zeros<T>(batch * g.padded());
  if (c.layer_norm) {
    prepare_normal(d.normal_in, step_rows, g.panels * g.in.slots() * g.lanes);
    prepare_normal(d.normal_rec, step_rows, g.panels * g.rec.slots() * g.lanes);
    if (g.late.slots()) prepare_normal(d.normal_late, step_rows, g.panels * g.late.slots() * g.lanes);
    if (d.lstm()) prepare_normal(d.normal_c, step_rows, g.padded());
  }
  if (d.sampling && c.dropout > 0) {
    d.dropout_mask = Buffer<T>(static_cast<std::size_t>(batch * d.input));
    for (long row = 0; row < batch; ++row)
      dropout_row(d.dropout_mask.data() + row * d.input, static_cast<int>(d.input), c.dropout, d.seed, kDropout,
                  d.layer, 0, 0, d.batch_row(row));
  }
}

}  // namespace

template <class T>
bool worth_a_thread(const Direction<T>& d, double distance) {
  return step_flops(d) * static_cast<double>(d.steps->count) >= flops_worth_a_thread(distance) / 2;
}

template <class T>
int useful_threads(const Direction<T>& d, int threads, double distance) {
  const double flops = step_flops(d) * static_cast<double>(d.steps->count);
  const double more = !dear(d, distance) ? 1 : d.steps->batch < kFewRows ? 2.5 : 2.2;
  const double worth = flops / (flops_worth_a_thread(distance) * more);
  if (worth < 2) return 1;
  const long most = can_split_units(d, distance) ? std::max(d.steps->batch, units_apart(d)) : d.steps->batch;
  return static_cast<int>(std::min({static_cast<double>(threads), worth, static_cast<double>(std::max(1l, most))}));
}

template <class T>
bool split_by_units(const Direction<T>& d, int threads, double distance) {
  if (threads == 1 || threads > units_apart(d) || !can_split_units(d, distance)) return false;
  const long rows = d.steps->batch / threads, cache = second_level_cache();
  const long weight_bytes = d.config->gates() * d.g.hidden * d.recurrent * static_cast<long>(sizeof(T));
  switch (rows) {
    case 0:
      return true;
    case 1:
      return (distance < kFar && weight_bytes > kWeightsOfARow) || weight_bytes > cache / 2;
    case 2:
      return weight_bytes > cache / 2;
    default:
      return weight_bytes > cache && (rows < 32 || weight_bytes > kFarWeights * cache);
  }
}

template <class T>
Part part_of(const Direction<T>& d, const Team& group) {
  const long panels = d.g.panels;
  if (d.sharers == 1 || group.size() == 1) return {0, panels, false};
  const long each = together(d);
  const Range r = share((panels + each - 1) / each, group.rank(), group.size());
  return {std::min(panels, r.first * each), std::min(panels, r.last * each), true};
}

template <class T>
void prepare(Direction<T>& d) {
  const Geometry& g = d.g;
  constexpr long kPage = static_cast<long>(kApart / sizeof(T));
  const long batch = d.steps->batch;
  d.window = window_of(d);
  d.heavy = step_flops(d) >= kHeavyStepFlops;
  const long step_rows = d.training ? d.steps->offset.back() : std::min(d.window, std::max(1l, d.steps->count)) * batch;
  const long state_rows = d.training ? d.steps->states() : 2 * batch;
  const auto series = [&](long size, long& apart) {
    if (d.sharers == 1 || d.training) return Buffer<T>(static_cast<std::size_t>(size));
    apart = padded_to(size, kPage) + kPage;
    return Buffer<T>(static_cast<std::size_t>(d.sharers * apart));
  };
  d.gates = series(g.step(step_rows), d.gates_apart);
  d.h = Buffer<T>(static_cast<std::size_t>(state_rows * d.padded_recurrent));
  if (d.lstm()) d.c = series(state_rows * g.padded(), d.c_apart);
  const bool dropped = d.sampling && (d.config->dropout > 0 || (d.config->interlayer_dropout > 0 && d.layer > 0));
  if (d.training || d.steps->ragged || dropped || d.x.element != 1)
    d.x_copy = Buffer<T>(static_cast<std::size_t>(step_rows * d.input));
  prepare_variants(d, step_rows, state_rows);
}

#define RECURRA_INSTANTIATE(T)                                    \
  template bool worth_a_thread(const Direction<T>&, double);      \
  template int useful_threads(const Direction<T>&, int, double);  \
  template bool split_by_units(const Direction<T>&, int, double); \
  template Part part_of(const Direction<T>&, const Team&);        \
  template void prepare(Direction<T>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
