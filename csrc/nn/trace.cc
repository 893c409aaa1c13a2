// What a forward pass kept for its backward pass, unpacked into the caller's order.
#include <algorithm>

#include "nn/gate_products.h"
#include "nn/stack.h"

namespace recurra {
namespace {

constexpr long kOneMinusFirst = -1;  // the forget gate of a coupled cell: 1 - i

// The slots of the gates in PyTorch's order; a plain cell has none: its h is all there is.
Columns gate_slots(const Config& c) {
  if (c.cell == kRnn) return {};
  if (c.cell != kLstm) return {0, {1, 2, 0}};
  return c.coupled ? Columns(0, {0, kOneMinusFirst, 1, 2}) : Columns(0, {0, 1, 2, 3});
}

// One gate of one row: [H].
template <class T>
void unpack(Direction<T>& d, long step, long row, long slot, T* to) {
  const Geometry& g = d.g;
  const long rows = d.laid_rows(step);
  for (long panel = 0; panel < g.panels; ++panel) {
    const long unit = panel * g.lanes, count = std::min(g.lanes, g.hidden - unit);
    const long wide = panel < g.whole() ? g.lanes : g.tail;
    const T* from = gate_at(g, d.gates_at(step), rows, panel, row) + std::max(0l, slot) * wide;
    if (slot != kOneMinusFirst) {
      std::copy_n(from, count, to + unit);
    } else {
      for (long j = 0; j < count; ++j) to[unit + j] = T(1) - from[j];
    }
  }
}

}  // namespace

template <class T>
bool StackRun<T>::trace(const StackTrace<T>& out, const Poll& poll) {
  const Config& c = config();
  const Columns slots = gate_slots(c);
  return run_team(threads(), poll, [&](Team& team) {
    for (std::size_t index = 0; index < directions_.size(); ++index) {
      const long first = static_cast<long>(index) * time_rows();
      const Range own = share(arguments_.batch, team.rank(), team.size());
      long before = 0;  // rows of the parts before
      for (Direction<T>& d : directions_[index]) {
        const long batch = d.steps->batch;
        for (long row = std::max(0l, own.first - before); row < std::min(batch, own.last - before); ++row) {
          if (!team.go_on()) return;
          for (long step = 0; step < d.length(row); ++step) {
            const long at = first + d.batch_row(row) * arguments_.time + d.output_time(row, step);
            std::copy_n(d.h_at(step + 1) + row * d.padded_recurrent, d.recurrent, out.h + at * d.recurrent);
            if (out.c) std::copy_n(d.c_at(step + 1) + row * d.g.padded(), c.hidden, out.c + at * c.hidden);
            for (long gate = 0; gate < slots.count; ++gate)
              unpack(d, step, row, slots.gates[gate], out.gates + (at * slots.count + gate) * c.hidden);
          }
        }
        before += batch;
      }
    }
  });
}

template bool StackRun<float>::trace(const StackTrace<float>&, const Poll&);
template bool StackRun<double>::trace(const StackTrace<double>&, const Poll&);

}  // namespace recurra
