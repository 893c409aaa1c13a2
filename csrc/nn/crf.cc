// Forward-backward and Viterbi over matrices of potentials, in log space.
#include "nn/crf.h"

#include <vector>

#include "nn/log_space.h"
#include "nn/samples.h"

namespace recurra {
namespace {

std::size_t at(long i) { return static_cast<std::size_t>(i); }

struct Workspace {
  std::vector<double> alpha;  // [T, K], log of the sum over all paths that end in a label
  std::vector<double> beta;   // [K], over all that start behind it
  std::vector<double> terms;  // [K, K]
  std::vector<double> shift;  // [K]
};

template <class T>
class Sample {
 public:
  Sample(const Crf<T>& crf, Workspace& work, long n)
      : c_(crf), w_(work), n_(n), time_(crf.lengths[n]), k_(crf.labels), square_(crf.labels * crf.labels) {}

  void run(Team& team) {
    T* const dy = c_.dy ? c_.dy + n_ * c_.time * square_ : nullptr;
    if (dy) std::fill(dy, dy + c_.time * square_, T(0));
    c_.loss[n_] = 0;
    if (time_ == 0) return;
    for (long t = 0; t < time_; ++t) {
      if (!team.go_on()) return;
      advance(t);
    }
    std::copy(alpha(time_ - 1), alpha(time_ - 1) + k_, w_.terms.data());
    const double total = log_sum(k_, w_.terms.data());
    std::fill(w_.beta.begin(), w_.beta.end(), 0.0);
    double score = 0;
    const int64_t* const path = c_.path + n_ * c_.time;
    for (long t = time_ - 1; t >= 0; --t) {
      if (!team.go_on()) return;
      const long place = (t > 0 ? path[t - 1] * k_ : 0) + path[t];
      score += static_cast<double>(potentials(t)[place]);
      if (!dy) continue;
      differentiate(t, total, dy + t * square_);
      dy[t * square_ + place] -= T(1);
      if (t > 0) retreat(t);
    }
    c_.loss[n_] = total - score;
  }

 private:
  double* alpha(long t) { return w_.alpha.data() + t * k_; }
  const T* potentials(long t) const { return c_.potentials + (n_ * c_.time + t) * square_; }

  void advance(long t) {
    const T* const p = potentials(t);
    if (t == 0) {
      for (long j = 0; j < k_; ++j) alpha(0)[j] = static_cast<double>(p[j]);
      return;
    }
    const double* const before = alpha(t - 1);
    for (long i = 0; i < k_; ++i)
      for (long j = 0; j < k_; ++j) w_.terms[at(i * k_ + j)] = before[i] + static_cast<double>(p[i * k_ + j]);
    log_sum_rows(k_, k_, w_.terms.data(), w_.shift.data(), alpha(t));
  }

  // dy = p(i at t - 1, j at t)
  void differentiate(long t, double total, T* dy) {
    const T* const p = potentials(t);
    const long rows = t > 0 ? k_ : 1;
    double* const terms = w_.terms.data();
    for (long i = 0; i < rows; ++i) {
      const double before = (t > 0 ? alpha(t - 1)[i] : 0.0) - total;
      for (long j = 0; j < k_; ++j) terms[i * k_ + j] = before + static_cast<double>(p[i * k_ + j]) + w_.beta[at(j)];
    }
    exp_all(rows * k_, terms);
    for (long i = 0; i < rows * k_; ++i) dy[i] = static_cast<T>(terms[i]);
  }

  // Turns beta of step t into that of t - 1; the terms lie transposed, so that the sums run over rows.
  void retreat(long t) {
    const T* const p = potentials(t);
    for (long j = 0; j < k_; ++j)
      for (long i = 0; i < k_; ++i) w_.terms[at(j * k_ + i)] = static_cast<double>(p[i * k_ + j]) + w_.beta[at(j)];
    log_sum_rows(k_, k_, w_.terms.data(), w_.shift.data(), w_.beta.data());
  }

  const Crf<T>& c_;
  Workspace& w_;
  long n_, time_, k_, square_;
};

struct Trace {
  std::vector<double> best, next;  // [K], scores of the best paths that end in a label
  std::vector<int32_t> from;       // [T, K], the label before
};

template <class T>
void search_sample(const CrfSearch<T>& c, Team& team, Trace& w, long n) {
  const long k = c.labels, length = c.lengths[n];
  int64_t* const path = c.paths + n * c.time;
  std::fill(path, path + c.time, int64_t(-1));
  c.scores[n] = 0;
  if (length == 0) return;
  for (long t = 0; t < length; ++t) {
    if (!team.go_on()) return;
    const T* const p = c.potentials + (n * c.time + t) * k * k;
    int32_t* const from = w.from.data() + t * k;
    for (long j = 0; j < k; ++j) w.next[at(j)] = static_cast<double>(p[j]) + (t > 0 ? w.best[0] : 0.0);
    std::fill(from, from + k, 0);
    for (long i = 1; i < k && t > 0; ++i)
      for (long j = 0; j < k; ++j) {
        const double score = w.best[at(i)] + static_cast<double>(p[i * k + j]);
        if (score > w.next[at(j)]) {
          w.next[at(j)] = score;
          from[j] = static_cast<int32_t>(i);
        }
      }
    std::swap(w.best, w.next);
  }
  path[length - 1] = std::max_element(w.best.begin(), w.best.end()) - w.best.begin();
  c.scores[n] = w.best[at(path[length - 1])];
  for (long t = length - 1; t > 0; --t) path[t - 1] = w.from[at(t * k + path[t])];
}

}  // namespace

template <class T>
bool crf_loss(const Crf<T>& c, const Poll& poll) {
  const std::size_t time = at(c.time), k = at(c.labels);
  const auto make = [&] {
    Workspace w;
    w.alpha.resize(time * k);
    w.beta.resize(k);
    w.terms.resize(k * k);
    w.shift.resize(k);
    return w;
  };
  return for_samples(c.batch, 3 * c.time * c.labels * c.labels, poll, make,
                     [&](Team& team, Workspace& w, long n) { Sample<T>(c, w, n).run(team); });
}

template <class T>
bool crf_search(const CrfSearch<T>& c, const Poll& poll) {
  const std::size_t time = at(c.time), k = at(c.labels);
  const auto make = [&] {
    Trace w;
    w.best.resize(k);
    w.next.resize(k);
    w.from.resize(time * k);
    return w;
  };
  return for_samples(c.batch, c.time * c.labels * c.labels / 4, poll, make,
                     [&](Team& team, Trace& w, long n) { search_sample(c, team, w, n); });
}

#define RECURRA_INSTANTIATE(T)                        \
  template bool crf_loss(const Crf<T>&, const Poll&); \
  template bool crf_search(const CrfSearch<T>&, const Poll&);

RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
