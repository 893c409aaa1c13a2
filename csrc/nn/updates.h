// Optimizer steps on stretches of the parameters. Large ones are shared out over threads; results do not depend on how.
// Instantiated for float and double.
#pragma once
#include <cstdint>

#include "kernels/updates_table.h"

namespace recurra {

// Rows of arrays [.., width]: ascending, each once.
struct RowList {
  const int64_t* rows;
  long count, width;
};

// A whole stretch, u.count elements.
template <class T>
void apply_update(Rule rule, const Update<T>& u);

// The listed rows of arrays [.., width]; u.count is not read.
template <class T>
void apply_update(Rule rule, const Update<T>& u, const RowList& list);

// In double, rounded the same way for any number of threads.
template <class T>
double sum_of_squares(long count, const T* x);
template <class T>
double sum_of_squares(const T* x, const RowList& list);

}  // namespace recurra
