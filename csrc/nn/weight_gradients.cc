// Gradients of the weights: products over all steps and rows, deferred until every gate gradient is there.
//
// The batch falls into a few groups of rows, the packed gradients into pieces (matrix, panel, features). A thread sums
// up the pieces of a group or two, whose rows it wrote itself, in blocks of about 256 rows; then the groups' sums are
// added up in pairs, and go home to the caller's flat gradient. Groups and blocks depend on the batch alone, so the
// bits do not depend on the number of threads.
#include <algorithm>
#include <numeric>
#include <vector>

#include "nn/weight_terms.h"

namespace recurra {
namespace {

constexpr long kBlockRows = kMostParts;  // of a reduction: its right-hand side stays in the first-level cache
constexpr long kPieceFeatures = 24;      // a whole number of register tiles
constexpr long kMostGroups = 8;          // a power of two
constexpr long kTogether = 128l << 10;   // numbers in a few pieces, which the second-level cache holds

template <class T>
class WeightGradients {
  // What one thread computes: features [first, last) of a panel, whose sums lie at `packed`, `row` a feature.
  struct Piece {
    const Term<T>* term;
    long panel, first, last, row;
    T* packed;
    long before;  // the size of all pieces before it
    long size() const { return (last - first) * row; }
  };
  using Pieces = std::vector<Piece>;

 public:
  WeightGradients(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out)
      : parts_(parts), terms_(parts, out), d_(parts.front()), k_(*d_.kernels), totals_(out.front().packed.data()) {
    std::vector<long> lengths;
    for (const Direction<T>& d : parts_) {
      lengths.insert(lengths.end(), d.steps->length.begin(), d.steps->length.end());
      steps_ = std::max(steps_, d.steps->count);
    }
    const long rows = std::accumulate(lengths.begin(), lengths.end(), 0l);
    read_ = rows * (d_.g.slots * d_.g.hidden + d_.input + d_.recurrent);
    groups_ = group_count();
    bounds_ = row_bounds(lengths, d_.steps->ragged, groups_);
  }

  void run(Team& team) {
    const Pieces all = pieces(team.size());
    if (groups_ == 1 ? finish_each(team, all) : sum_groups(team, all) && add_groups(team, all)) {
      if (team.rank() == 0) terms_.add_row_sums();
    }
  }

  // Elements of the packed gradients of all groups.
  long packed_size() const { return groups_ * group_size(); }

 private:
  // Numbers from one group's sums to the next one's, a page apart.
  long group_size() const {
    long size = static_cast<long>(kApart / sizeof(T));
    for (const Term<T>& t : terms_.all()) size += t.rows() * (t.total_vectors + t.tail_vectors) * d_.g.lanes;
    return size;
  }

  // As many as leave little to add up: each reads a number for each of its sums and each group, or two where the sums
  // take memory that counts. Of the layer and the batch, whatever the threads.
  long group_count() const {
    const long sums = d_.g.slots * d_.g.hidden * (d_.input + d_.recurrent);
    const auto pays = [&](long groups) {
      return groups <= kMostGroups && groups * groups * groups <= terms_.batch() &&
             groups * groups * sums * (sums > kTogether ? 2 : 1) <= read_;
    };
    long groups = 1;
    while (pays(2 * groups)) groups *= 2;
    return groups;
  }

  // All pieces of the first group, panel by panel: whole panels where there are enough of them.
  Pieces pieces(int threads) const {
    long most = 0;
    for (const Term<T>& t : terms_.all()) most = std::max(most, t.panels());
    const bool whole = most * groups_ >= 2 * threads;
    Pieces all;
    long before = 0;
    for (long panel = 0; panel < most; ++panel) {
      for (const Term<T>& t : terms_.all()) {
        if (panel >= t.panels()) continue;
        const long row = t.vectors_of(panel) * d_.g.lanes, features = whole ? t.rows() : kPieceFeatures;
        for (long first = 0; first < t.rows(); first += features) {
          all.push_back({&t, panel, first, std::min(first + features, t.rows()), row, totals_ + before, before});
          before += all.back().size();
        }
      }
    }
    return all;
  }

  // Who has a piece of a group, where `groups` groups of pieces are shared out in turn.
  static int owner(const Team& team, const Pieces& all, const Piece& p, long group, long groups) {
    const long total = all.back().before + all.back().size();
    return static_cast<int>((2 * (group * total + p.before) + p.size()) * team.size() / (2 * groups * total));
  }

  // One group: each thread takes its pieces all the way home, a few at a time, all through the same memory. Where one
  // block has all rows it stays in the second-level cache; of more blocks each comes from afar for every few, so these
  // are many, but small beside what they are summed from.
  bool finish_each(Team& team, const Pieces& all) {
    const long most = steps_ <= together(0) ? kTogether : std::max(kTogether, read_ / (8 * team.size()));
    Pieces few;
    T* room = nullptr;
    long size = 0;
    for (const Piece& p : all) {
      if (owner(team, all, p, 0, 1) != team.rank()) continue;
      if (size > 0 && size + p.size() > most) {
        if (!finish(team, few)) return false;
        few.clear(), size = 0;
      }
      if (!room) room = p.packed;
      few.push_back(p), few.back().packed = room + size;
      size += p.size();
    }
    return finish(team, few);
  }

  bool finish(Team& team, const Pieces& few) {
    if (!sum(team, 0, few)) return false;
    for (const Piece& p : few) unpack(p);
    return true;
  }

  bool sum_groups(Team& team, const Pieces& all) {
    for (long group = 0; group < groups_; ++group) {
      Pieces own;
      for (const Piece& p : all)
        if (owner(team, all, p, group, groups_) == team.rank()) own.push_back(p), own.back().packed = at(p, group);
      if (!sum(team, group, own)) return false;
    }
    add_alone(team, all, 0, groups_);
    return team.meet();
  }

  bool add_groups(Team& team, const Pieces& all) {
    for (const Piece& p : all) {
      if (owner(team, all, p, 0, 1) != team.rank()) continue;
      if (!team.go_on()) return false;
      add_pairs(p, 0, groups_, [&](long first, long count) { return alone(team, all, first, count); });
      unpack(p);
    }
    return true;
  }

  T* at(const Piece& p, long group) const { return p.packed + group * group_size(); }

  // Whether one thread has every piece of the groups [first, first + count).
  bool alone(const Team& team, const Pieces& all, long first, long count) const {
    return owner(team, all, all.front(), first, groups_) == owner(team, all, all.back(), first + count - 1, groups_);
  }

  // Adds up what this thread can before it meets the others.
  void add_alone(const Team& team, const Pieces& all, long first, long count) {
    if (!alone(team, all, first, count)) {
      if (count == 1) return;
      add_alone(team, all, first, count / 2);
      add_alone(team, all, first + count / 2, count / 2);
    } else if (owner(team, all, all.front(), first, groups_) == team.rank()) {
      for (const Piece& p : all) add_pairs(p, first, count, [](long, long) { return false; });
    }
  }

  // Adds the sums of `count` groups in pairs, and the pairs' in pairs, into the first's; not those that are `done`.
  template <class Done>
  void add_pairs(const Piece& p, long first, long count, const Done& done) {
    if (count == 1 || done(first, count)) return;
    add_pairs(p, first, count / 2, done);
    add_pairs(p, first + count / 2, count / 2, done);
    T* to = at(p, first);
    const T* from = at(p, first + count / 2);
    for (long i = 0; i < p.size(); ++i) to[i] += from[i];
  }

  // The sums of some pieces of a group. False when the call was stopped.
  bool sum(Team& team, long group, const Pieces& own) {
    for (const Piece& p : own) std::fill_n(p.packed, p.size(), T(0));
    for (long step = 0; step < steps_ && !own.empty(); step += together(group)) {
      if (!team.go_on()) return false;
      for (const Term<T>& t : terms_.all()) {
        const Block block(*this, t, group, step);
        for (const Piece& p : own)
          if (p.term == &t) block.add(k_, p);
      }
    }
    return true;
  }

  long first_row(long group) const { return bounds_[static_cast<std::size_t>(group)]; }

  // Steps of a block.
  long together(long group) const {
    return std::max(1l, kBlockRows / std::max(1l, first_row(group + 1) - first_row(group)));
  }

  // The rows of a group in a few steps, as they lie in the parts of the batch.
  struct Block {
    const Term<T>& term;
    long count = 0;
    long rows[kBlockRows], first[kBlockRows], panel[kBlockRows];  // rows, the first of them, and numbers a panel
    const T *left[kBlockRows], *right[kBlockRows];

    Block(WeightGradients& w, const Term<T>& t, long group, long step) : term(t) {
      const long end = std::min(w.steps_, step + w.together(group));
      const bool single = w.terms_.single_row();
      for (long s = step; s < (single ? step + 1 : end); ++s) {
        long before = 0;  // rows of the parts before
        for (std::size_t part = 0; part < w.parts_.size(); before += w.parts_[part++].steps->batch) {
          const long active = s < w.parts_[part].steps->count ? w.parts_[part].rows(s) : 0;
          const long row = std::max(0l, w.first_row(group) - before);
          const long last = std::min(active, w.first_row(group + 1) - before);
          if (row >= last) continue;
          rows[count] = single ? end - step : last - row, first[count] = row;
          panel[count] = t.panel_size + t.panel_rows * active;
          left[count] = t.features ? t.left(part, s) + row * t.left_row : nullptr;
          right[count++] = t.right(part, s);
        }
      }
    }

    void add(const Kernels<T>& k, const Piece& piece) const {
      const bool whole = piece.panel < term.whole();
      const long row = whole ? term.right_row : term.tail_row, slot = whole ? term.slot : 0;
      const T *a[kBlockRows], *b[kBlockRows];
      for (long i = 0; i < count; ++i) {
        a[i] = left[i] + piece.first;
        b[i] = right[i] + piece.panel * panel[i] + first[i] * row + slot;
      }
      Reduction<T> p{};
      p.columns = piece.last - piece.first, p.vectors = term.vectors_of(piece.panel), p.blocks = count;
      p.rows = rows, p.a = a, p.a_row = term.left_row, p.b = b, p.b_row = row;
      p.c = piece.packed, p.c_row = piece.row;
      term.features ? k.reduce(p) : k.sum_rows(p);
    }
  };

  void unpack(const Piece& p) const {
    p.term->unpack(p.packed, p.first, p.last, p.panel * p.term->vectors * d_.g.lanes, p.row);
  }

  std::vector<Direction<T>>& parts_;
  WeightTerms<T> terms_;
  Direction<T>& d_;  // the first part: sizes are those of all
  const Kernels<T>& k_;
  T* totals_;
  long steps_ = 0;  // of all parts
  long read_ = 0;   // numbers that the sums are made of
  long groups_ = 1;
  std::vector<long> bounds_;  // [groups + 1]: first row of each, in the order of the batch
};

}  // namespace

template <class T>
void prepare_weight_gradients(std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out) {
  out.front().packed = Buffer<T>(static_cast<std::size_t>(WeightGradients<T>(parts, out).packed_size()));
}

template <class T>
void weight_gradients(Team& group, std::vector<Direction<T>>& parts, std::vector<DirectionGradients<T>>& out) {
  WeightGradients<T>(parts, out).run(group);
}

#define RECURRA_INSTANTIATE(T)                                                                             \
  template void prepare_weight_gradients(std::vector<Direction<T>>&, std::vector<DirectionGradients<T>>&); \
  template void weight_gradients(Team&, std::vector<Direction<T>>&, std::vector<DirectionGradients<T>>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
