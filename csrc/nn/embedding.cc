// Threads share the positions of a gather, but the columns of an addition: each element then has one thread, which
// meets its terms in order.
#include "nn/embedding.h"

#include <algorithm>

#include "base/team.h"
#include "base/threads.h"
#include "kernels/dispatch.h"

namespace recurra {
namespace {

constexpr long kGrain = 1 << 15;  // elements a thread should have at least: some microseconds of work
constexpr long kColumns = 32;  // columns a thread should have at least: whole cache lines, and long enough to add fast

int team_size(long elements, long most) {
  return static_cast<int>(std::max(1l, std::min({static_cast<long>(num_threads()), elements / kGrain, most})));
}

}  // namespace

template <class T>
void embedding(long count, long width, const int64_t* indices, const T* table, T* y) {
  run_team(team_size(count * width, count), Poll(), [&](Team& team) {
    const Range range = share(count, team.rank(), team.size());
    for (long i = range.first; i < range.last; ++i) std::copy_n(table + indices[i] * width, width, y + i * width);
  });
}

template <class T>
void embedding_backward(long count, long width, const int64_t* indices, const T* dy, T* dtable) {
  const long blocks = (width + kColumns - 1) / kColumns;
  run_team(team_size(count * width, blocks), Poll(), [&](Team& team) {
    const Range range = share(blocks, team.rank(), team.size());
    const long first = range.first * kColumns;
    const long some = std::min(range.last * kColumns, width) - first;
    for (long i = 0; i < count; ++i)
      kernels<T>().train.axpy(some, T(1), dy + i * width + first, dtable + indices[i] * width + first);
  });
}

#define RECURRA_INSTANTIATE(T)                                       \
  template void embedding(long, long, const int64_t*, const T*, T*); \
  template void embedding_backward(long, long, const int64_t*, const T*, T*);

RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
