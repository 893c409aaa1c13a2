// Sorting rows by length.
#include "nn/steps.h"

#include <algorithm>
#include <numeric>

namespace recurra {
namespace {

// Fills in what follows from batch, order and length.
void count_rows(Steps& s) {
  s.rows.assign(static_cast<std::size_t>(s.count) + 1, 0);
  long active = s.batch;
  for (long step = 0; step < s.count; ++step) {
    while (active > 0 && s.length[static_cast<std::size_t>(active - 1)] <= step) --active;
    s.rows[static_cast<std::size_t>(step)] = active;
  }
  s.offset.assign(s.rows.size(), 0);
  std::partial_sum(s.rows.begin(), s.rows.end() - 1, s.offset.begin() + 1);
}

}  // namespace

Steps make_steps(long batch, long steps, const std::int64_t* lengths) {
  Steps s;
  s.batch = batch;
  s.count = batch > 0 ? steps : 0;
  s.order.resize(static_cast<std::size_t>(batch));
  std::iota(s.order.begin(), s.order.end(), 0l);
  s.length.assign(static_cast<std::size_t>(batch), steps);
  if (lengths) {
    s.ragged = std::any_of(lengths, lengths + batch, [&](std::int64_t n) { return n != steps; });
    if (s.ragged) {
      std::stable_sort(s.order.begin(), s.order.end(), [&](long a, long b) { return lengths[a] > lengths[b]; });
      for (std::size_t i = 0; i < s.length.size(); ++i) s.length[i] = static_cast<long>(lengths[s.order[i]]);
      s.count = s.length.empty() ? 0 : s.length.front();
    }
  }
  count_rows(s);
  return s;
}

std::vector<Steps> parted(const Steps& all, int parts) {
  std::vector<Steps> result(static_cast<std::size_t>(parts));
  const long total = std::accumulate(all.length.begin(), all.length.end(), 0l);
  long row = 0, before = 0;
  for (int part = 0; part < parts; ++part) {
    Steps& s = result[static_cast<std::size_t>(part)];
    const long first = row, end = part + 1 == parts ? all.batch : all.batch * (part + 1) / parts;
    const long share = total * (part + 1) / parts;
    while (row < all.batch && (all.ragged && part + 1 < parts ? before < share : row < end))
      before += all.length[static_cast<std::size_t>(row++)];
    s.order.assign(all.order.begin() + first, all.order.begin() + row);
    s.length.assign(all.length.begin() + first, all.length.begin() + row);
    s.batch = row - first, s.ragged = all.ragged;
    s.count = s.length.empty() ? 0 : s.length.front();
    count_rows(s);
  }
  return result;
}

}  // namespace recurra
