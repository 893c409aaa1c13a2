// Products of two matrices for each sample of a batch, as attention takes them.
#pragma once
#include "base/team.h"

namespace recurra {

// c[n] = a[n] b[n] for n of `batch`, all contiguous. The sums go along the depth in order, so that the bits depend on
// nothing else.
template <class T>
struct Products {
  long batch, rows, depth, columns;
  const T* a;       // [batch, rows, depth]
  const T* b;       // [batch, depth, columns]
  bool transposed;  // or [batch, columns, depth]
  T* c;             // [batch, rows, columns]
};
// False when it was stopped.
template <class T>
bool products(const Products<T>& p, const Poll& poll);

}  // namespace recurra
