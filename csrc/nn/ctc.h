// Connectionist temporal classification (Graves et al. 2006): loss, gradient, and decoding by prefix beam search.
//
// N samples, T steps, C classes of which one is the blank, L labels at most. Arrays are contiguous. Everything is
// computed in double; results do not depend on the number of threads.
#pragma once
#include <cstdint>

#include "base/team.h"

namespace recurra {

template <class T>
struct Ctc {
  long batch, time, classes, most_labels;
  long blank;
  const T* logits;               // [N, T, C]
  const int64_t* labels;         // [N, L]: the first label_lengths[n] count; classes but the blank
  const int64_t* label_lengths;  // [N], from 0 to L
  const int64_t* lengths;        // [N], from 0 to T
  double* loss;                  // out: [N], -log p(labels); infinity where it is 0, for example of too few steps
  T* dy;                         // out: [N, T, C], gradient of each sample's own loss, 0 where that is infinite;
                                 // or null: not wanted
};

// False when stopped by `poll`.
template <class T>
bool ctc_loss(const Ctc<T>& ctc, const Poll& poll);

template <class T>
struct CtcSearch {
  long batch, time, classes;
  long blank;
  long width;              // prefixes kept after each step
  long paths;              // of which these many best ones come out, at most width
  const T* logits;         // [N, T, C]
  const int64_t* lengths;  // [N], from 0 to T
  int64_t* decoded;        // out: [paths, N, T], -1 behind a path's end
  double* scores;          // out: [N, paths], log p of the alignments kept; -inf where there is no such path
};

// Prefix beam search (Graves 2012, algorithm 1; Hannun et al. 2014). Ties go to the prefix found first: better prefixes
// of the step before come first, then smaller classes. False when stopped by `poll`.
template <class T>
bool ctc_search(const CtcSearch<T>& search, const Poll& poll);

}  // namespace recurra
