// Prefix beam search: prefixes are nodes of a tree, each with the probabilities that it ends in a blank or in its
// label.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "nn/ctc.h"
#include "nn/log_space.h"
#include "nn/samples.h"

namespace recurra {
namespace {

double log_add(double a, double b) {
  const double largest = std::max(a, b);
  return largest == kLogZero ? kLogZero : largest + std::log1p(std::exp(std::min(a, b) - largest));
}

struct Node {
  long parent;
  int64_t label;  // -1: the root
};

struct Prefix {
  long node;
  double in_blank, in_label;  // log probabilities
  double total() const { return log_add(in_blank, in_label); }
};

// A prefix that stays (child_label -1), or one that grows by a class and is not in the beam.
struct Candidate {
  double total;
  long from;  // place in the beam
  int64_t child_label;
};

class Search {
 public:
  Search(long classes, long blank, long width) : classes_(classes), blank_(blank), width_(width), row_(size(classes)) {}

  void start() {
    nodes_.assign(1, {-1, -1});
    children_.clear();
    beam_.assign(1, {0, 0.0, kLogZero});
  }

  template <class T>
  void step(const T* logits) {
    for (long k = 0; k < classes_; ++k) row_[size(k)] = static_cast<double>(logits[k]);
    const double normaliser = log_sum(classes_, row_.data());
    for (long k = 0; k < classes_; ++k) row_[size(k)] = static_cast<double>(logits[k]) - normaliser;
    stay();
    list_candidates();
    keep_best();
  }

  const std::vector<Prefix>& beam() const { return beam_; }

  // Writes the labels of a node, at most `time` of them; behind them stays what was there.
  void write(long node, int64_t* out) const {
    long length = 0;
    for (long i = node; nodes_[size(i)].label >= 0; i = nodes_[size(i)].parent) ++length;
    for (long i = node; nodes_[size(i)].label >= 0; i = nodes_[size(i)].parent) out[--length] = nodes_[size(i)].label;
  }

 private:
  static std::size_t size(long i) { return static_cast<std::size_t>(i); }
  uint64_t key(long node, int64_t label) const {
    return static_cast<uint64_t>(node) * static_cast<uint64_t>(classes_) + static_cast<uint64_t>(label);
  }
  // Of prefix p growing by k: after p's own last label only a blank makes a second one of it.
  double growth(const Prefix& p, double total, int64_t k) const {
    return (nodes_[size(p.node)].label == k ? p.in_blank : total) + row_[size(k)];
  }

  // Prefixes of the beam as they are after the step, whether they stay or are grown into from their parents.
  void stay() {
    place_.clear();
    for (std::size_t i = 0; i < beam_.size(); ++i) place_[beam_[i].node] = i;
    stayed_.clear();
    for (const Prefix& p : beam_) {
      const Node& node = nodes_[size(p.node)];
      Prefix next{p.node, p.total() + row_[size(blank_)], kLogZero};
      if (node.label >= 0) {
        next.in_label = p.in_label + row_[size(node.label)];
        const auto parent = place_.find(node.parent);
        if (parent != place_.end()) {
          const Prefix& from = beam_[parent->second];
          next.in_label = log_add(next.in_label, growth(from, from.total(), node.label));
        }
      }
      stayed_.push_back(next);
    }
  }

  void list_candidates() {
    candidates_.clear();
    for (std::size_t i = 0; i < beam_.size(); ++i) {
      const double total = beam_[i].total();
      candidates_.push_back({stayed_[i].total(), static_cast<long>(i), -1});
      for (long k = 0; k < classes_; ++k) {
        if (k == blank_) continue;
        const auto child = children_.find(key(beam_[i].node, k));
        if (child != children_.end() && place_.count(child->second)) continue;  // in the beam, counted by stay()
        candidates_.push_back({growth(beam_[i], total, k), static_cast<long>(i), k});
      }
    }
  }

  void keep_best() {
    const std::size_t kept = std::min(candidates_.size(), size(width_));
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept), candidates_.end(),
                      [](const Candidate& a, const Candidate& b) {
                        if (a.total != b.total) return a.total > b.total;
                        return a.from != b.from ? a.from < b.from : a.child_label < b.child_label;
                      });
    next_.clear();
    for (std::size_t i = 0; i < kept; ++i) {
      const Candidate& c = candidates_[i];
      if (c.total == kLogZero && i > 0) break;
      if (c.child_label < 0)
        next_.push_back(stayed_[size(c.from)]);
      else
        next_.push_back({child_of(beam_[size(c.from)].node, c.child_label), kLogZero, c.total});
    }
    std::swap(beam_, next_);
  }

  long child_of(long node, int64_t label) {
    const auto [found, fresh] = children_.try_emplace(key(node, label), static_cast<long>(nodes_.size()));
    if (fresh) nodes_.push_back({node, label});
    return found->second;
  }

  long classes_, blank_, width_;
  std::vector<double> row_;  // [C], log probabilities of the step
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, long> children_;  // (node, label) to node
  std::unordered_map<long, std::size_t> place_;  // node to place in the beam
  std::vector<Prefix> beam_, stayed_, next_;     // beam_: best first
  std::vector<Candidate> candidates_;
};

}  // namespace

template <class T>
bool ctc_search(const CtcSearch<T>& c, const Poll& poll) {
  std::fill(c.decoded, c.decoded + c.paths * c.batch * c.time, int64_t(-1));
  std::fill(c.scores, c.scores + c.batch * c.paths, kLogZero);
  const auto make = [&] { return Search(c.classes, c.blank, c.width); };
  const long work = 4 * c.time * c.classes * c.width;
  return for_samples(c.batch, work, poll, make, [&](Team& team, Search& search, long n) {
    search.start();
    for (long t = 0; t < c.lengths[n] && team.go_on(); ++t) search.step(c.logits + (n * c.time + t) * c.classes);
    const long found = std::min(c.paths, static_cast<long>(search.beam().size()));
    for (long i = 0; i < found; ++i) {
      const Prefix& prefix = search.beam()[static_cast<std::size_t>(i)];
      search.write(prefix.node, c.decoded + (i * c.batch + n) * c.time);
      c.scores[n * c.paths + i] = prefix.total();
    }
  });
}

template bool ctc_search(const CtcSearch<float>&, const Poll&);
template bool ctc_search(const CtcSearch<double>&, const Poll&);

}  // namespace recurra
