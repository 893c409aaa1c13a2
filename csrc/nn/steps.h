// Who is active when: rows sorted by length, so that the active rows of every processing step are a prefix.
#pragma once
#include <cstdint>
#include <vector>

namespace recurra {

struct Steps {
  long count = 0;            // processing steps: the largest length
  long batch = 0;            // N
  bool ragged = false;       // lengths differ, or are shorter than the array
  std::vector<long> order;   // [N]: the batch row at each sorted position, longest first
  std::vector<long> length;  // [N], sorted
  std::vector<long> rows;    // [count + 1]: active rows of each step, non-increasing; rows[count] = 0
  std::vector<long> offset;  // [count + 1]: active rows of all steps before

  // First row of the state after `step` steps in a series that stores only active rows; the initial state has all N.
  long state(long step) const { return step == 0 ? 0 : batch + offset[static_cast<std::size_t>(step - 1)]; }
  long states() const { return batch + offset.back(); }
};

// lengths: [N], each from 0 to `steps`; null: all are `steps`.
Steps make_steps(long batch, long steps, const std::int64_t* lengths);

// Where parts of a batch begin that have about as many active steps each, given all sorted lengths: [parts + 1].
std::vector<long> row_bounds(const std::vector<long>& lengths, bool ragged, long parts);

// The batch in such parts.
std::vector<Steps> parted(const Steps& all, int parts);

}  // namespace recurra
