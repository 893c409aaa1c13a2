// A table of rows: gathered forward, added into backward. The cost depends on the rows named, not on those there are.
#pragma once
#include <cstdint>

namespace recurra {

// table: [any, width]; indices: [count], within the table; y: [count, width]. Arrays are contiguous.
template <class T>
void embedding(long count, long width, const int64_t* indices, const T* table, T* y);

// dtable[indices[i]] += dy[i], in order of i for every element, so that the bits do not depend on the threads.
// dy: [count, width]; dtable: [any, width].
template <class T>
void embedding_backward(long count, long width, const int64_t* indices, const T* dy, T* dtable);

}  // namespace recurra
