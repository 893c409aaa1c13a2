// Linear-chain conditional random fields (Lafferty et al. 2001): negative log-likelihood, its gradient, the best path.
//
// N samples, T steps, K labels. potentials: [N, T, K, K]; element (t, i, j) is the score of going from label i to label
// j at step t, that of j there included. Of step 0 row 0 alone is read: its j is the score of starting with label j.
// Arrays are contiguous. Everything is computed in double; results do not depend on the number of threads.
#pragma once
#include <cstdint>

#include "base/team.h"

namespace recurra {

template <class T>
struct Crf {
  long batch, time, labels;
  const T* potentials;     // [N, T, K, K]
  const int64_t* path;     // [N, T]: labels from 0 to K - 1 in the first lengths[n] steps
  const int64_t* lengths;  // [N], from 0 to T
  double* loss;            // out: [N], log of the sum over all paths of exp(score), minus the score of the path
  T* dy;                   // out: [N, T, K, K], gradient of each sample's own loss, 0 behind its end; null: not wanted
};

// Forward-backward. False when stopped by `poll`.
template <class T>
bool crf_loss(const Crf<T>& crf, const Poll& poll);

template <class T>
struct CrfSearch {
  long batch, time, labels;
  const T* potentials;     // [N, T, K, K]
  const int64_t* lengths;  // [N], from 0 to T
  int64_t* paths;          // out: [N, T], -1 behind the end
  double* scores;          // out: [N], 0 of an empty sequence
};

// Viterbi (1967). Of equal paths the one whose last labels, seen from the end, are smallest. False when stopped by
// `poll`.
template <class T>
bool crf_search(const CrfSearch<T>& search, const Poll& poll);

}  // namespace recurra
