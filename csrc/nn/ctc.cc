// The forward-backward algorithm of CTC in log space.
//
// A path visits the S = 2 L + 1 states blank, label 1, blank, label 2, ..., blank; a step stays, goes on by one, or
// skips a blank between two different labels.
#include "nn/ctc.h"

#include <vector>

#include "nn/log_space.h"
#include "nn/samples.h"

namespace recurra {
namespace {

struct Workspace {
  std::vector<double> alpha;       // [T, S], log probability of all paths to a state, its own step included
  std::vector<double> beta;        // [S + 2], of all paths from a state to the end, its own step excluded
  std::vector<double> terms;       // [3, S]
  std::vector<double> shift;       // [S + 2]
  std::vector<double> row;         // [C]
  std::vector<double> posterior;   // [C]
  std::vector<double> normaliser;  // [T], log sum exp of a step's logits
  std::vector<int64_t> symbols;    // [S]
  std::vector<char> skips;         // [S + 2], whether a state can be entered past the blank before it
};

template <class T>
class Sample {
 public:
  Sample(const Ctc<T>& ctc, Workspace& work, long n)
      : c_(ctc), w_(work), n_(n), time_(ctc.lengths[n]), states_(2 * ctc.label_lengths[n] + 1) {}

  // False when stopped.
  bool run(Team& team) {
    list_states();
    for (long t = 0; t < time_; ++t) {
      if (!team.go_on()) return false;
      advance(t);
    }
    const double total = total_log_probability();
    c_.loss[n_] = -total;
    if (!c_.dy) return true;
    T* const dy = c_.dy + n_ * c_.time * c_.classes;
    std::fill(dy, dy + c_.time * c_.classes, T(0));
    if (total == kLogZero) return true;
    std::fill(w_.beta.begin(), w_.beta.end(), kLogZero);
    for (long s = std::max(0l, states_ - 2); s < states_; ++s) w_.beta[at(s)] = 0;
    for (long t = time_ - 1; t >= 0; --t) {
      if (!team.go_on()) return false;
      differentiate(t, total, dy + t * c_.classes);
      if (t > 0) retreat(t);
    }
    return true;
  }

 private:
  static std::size_t at(long i) { return static_cast<std::size_t>(i); }
  double* alpha(long t) { return w_.alpha.data() + t * states_; }
  const T* logits(long t) const { return c_.logits + (n_ * c_.time + t) * c_.classes; }
  double log_emission(long t, long s) const {
    return static_cast<double>(logits(t)[w_.symbols[at(s)]]) - w_.normaliser[at(t)];
  }

  void list_states() {
    const int64_t* labels = c_.labels + n_ * c_.most_labels;
    for (long s = 0; s < states_; ++s) {
      w_.symbols[at(s)] = s % 2 ? labels[s / 2] : c_.blank;
      w_.skips[at(s)] = s % 2 && s > 1 && labels[s / 2] != labels[s / 2 - 1];
    }
    w_.skips[at(states_)] = w_.skips[at(states_ + 1)] = 0;
  }

  // Fills alpha of step t from that of t - 1.
  void advance(long t) {
    for (long k = 0; k < c_.classes; ++k) w_.row[at(k)] = static_cast<double>(logits(t)[k]);
    w_.normaliser[at(t)] = log_sum(c_.classes, w_.row.data());
    double* const now = alpha(t);
    if (t == 0) {
      std::fill(now, now + states_, kLogZero);
      for (long s = 0; s < std::min(2l, states_); ++s) now[s] = log_emission(0, s);
      return;
    }
    const double* const before = alpha(t - 1);
    double* const terms = w_.terms.data();
    for (long s = 0; s < states_; ++s) {
      terms[s] = before[s];
      terms[states_ + s] = s > 0 ? before[s - 1] : kLogZero;
      terms[2 * states_ + s] = w_.skips[at(s)] ? before[s - 2] : kLogZero;
    }
    log_sum_rows(3, states_, terms, w_.shift.data(), now);
    for (long s = 0; s < states_; ++s) now[s] += log_emission(t, s);
  }

  double total_log_probability() {
    if (time_ == 0) return states_ == 1 ? 0 : kLogZero;
    const double* const last = alpha(time_ - 1);
    double ends[2] = {last[states_ - 1], states_ > 1 ? last[states_ - 2] : kLogZero};
    return log_sum(2, ends);
  }

  // d loss / d logits = softmax - p(class at t | labels)
  void differentiate(long t, double total, T* dy) {
    double* const p = w_.terms.data();
    for (long s = 0; s < states_; ++s) p[s] = alpha(t)[s] + w_.beta[at(s)] - total;
    exp_all(states_, p);
    std::fill(w_.posterior.begin(), w_.posterior.end(), 0.0);
    for (long s = 0; s < states_; ++s) w_.posterior[at(w_.symbols[at(s)])] += p[s];
    for (long k = 0; k < c_.classes; ++k) w_.row[at(k)] = static_cast<double>(logits(t)[k]) - w_.normaliser[at(t)];
    exp_all(c_.classes, w_.row.data());
    for (long k = 0; k < c_.classes; ++k) dy[k] = static_cast<T>(w_.row[at(k)] - w_.posterior[at(k)]);
  }

  // Turns beta of step t into that of t - 1.
  void retreat(long t) {
    for (long s = 0; s < states_; ++s) w_.beta[at(s)] += log_emission(t, s);
    double* const terms = w_.terms.data();
    for (long s = 0; s < states_; ++s) {  // behind the last state lie two of probability 0
      terms[s] = w_.beta[at(s)];
      terms[states_ + s] = w_.beta[at(s + 1)];
      terms[2 * states_ + s] = w_.skips[at(s + 2)] ? w_.beta[at(s + 2)] : kLogZero;
    }
    log_sum_rows(3, states_, terms, w_.shift.data(), w_.beta.data());
  }

  const Ctc<T>& c_;
  Workspace& w_;
  long n_, time_, states_;
};

}  // namespace

template <class T>
bool ctc_loss(const Ctc<T>& c, const Poll& poll) {
  const std::size_t states = static_cast<std::size_t>(2 * c.most_labels + 1);
  const std::size_t time = static_cast<std::size_t>(c.time), classes = static_cast<std::size_t>(c.classes);
  const auto make = [&] {
    Workspace w;
    w.alpha.resize(time * states);
    w.beta.resize(states + 2);
    w.terms.resize(3 * states);
    w.shift.resize(states + 2);
    w.row.resize(classes);
    w.posterior.resize(classes);
    w.normaliser.resize(time);
    w.symbols.resize(states);
    w.skips.resize(states + 2);
    return w;
  };
  const long work = c.time * (2 * c.classes + 8 * static_cast<long>(states));
  return for_samples(c.batch, work, poll, make,
                     [&](Team& team, Workspace& w, long n) { Sample<T>(c, w, n).run(team); });
}

template bool ctc_loss(const Ctc<float>&, const Poll&);
template bool ctc_loss(const Ctc<double>&, const Poll&);

}  // namespace recurra
