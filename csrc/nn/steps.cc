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

std::vector<long> row_bounds(const std::vector<long>& lengths, bool ragged, long parts) {
  const long total = std::accumulate(lengths.begin(), lengths.end(), 0l), batch = static_cast<long>(lengths.size());
  std::vector<long> bounds{0};
  long row = 0, before = 0;
  for (long part = 1; part < parts; ++part) {
    while (row < batch && (ragged ? before < total * part / parts : row < batch * part / parts))
      before += lengths[static_cast<std::size_t>(row++)];
    bounds.push_back(row);
  }
  bounds.push_back(batch);
  return bounds;
}

std::vector<Steps> parted(const Steps& all, int parts) {
  const std::vector<long> bounds = row_bounds(all.length, all.ragged, parts);
  std::vector<Steps> result(static_cast<std::size_t>(parts));
  for (std::size_t part = 0; part < result.size(); ++part) {
    Steps& s = result[part];
    const long first = bounds[part], last = bounds[part + 1];
    s.order.assign(all.order.begin() + first, all.order.begin() + last);
    s.length.assign(all.length.begin() + first, all.length.begin() + last);
    s.batch = last - first, s.ragged = all.ragged;
    s.count = s.length.empty() ? 0 : s.length.front();
    count_rows(s);
  }
  return result;
}

}  // namespace recurra
