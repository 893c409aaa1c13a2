// The sequences are laid one behind another, so that one product serves all of them: rows that reach from one into the
// next are dropped. A single one that lies right in memory is read where it is.
#include "nn/convolution.h"

#include <algorithm>

#include "nn/train.h"

namespace recurra {
namespace {

// One sequence [size, channels] into contiguous memory.
template <class T>
void copy_sequence(const View<const T>& x, long row, long size, long channels, T* to) {
  const T* const from = x.data + row * x.row;
  if (x.element == 1 && x.step == channels) {
    std::copy_n(from, size * channels, to);
  } else if (x.element == 1 || channels == 1) {
    for (long t = 0; t < size; ++t) std::copy_n(from + t * x.step, channels, to + t * channels);
  } else {
    for (long t = 0; t < size; ++t)
      for (long c = 0; c < channels; ++c) to[t * channels + c] = from[t * x.step + c * x.element];
  }
}

}  // namespace

template <class T>
bool PackedConvolution<T>::run(long batch, long size, const View<const T>& x, long low, long high,
                               const Activation& activation, T* y, const Poll& poll) const {
  const long padded = low + size + high, count = places(padded);
  if (batch == 0 || count <= 0) return true;
  const bool lies_right =
      batch == 1 && padded == size && (x.step == channels_ || size == 1) && (x.element == 1 || channels_ == 1);
  const long pitch = (padded + stride_ - 1) / stride_;  // rows from one sequence to the next
  const long length = pitch * stride_ * channels_;
  Buffer<T> wide(static_cast<std::size_t>(lies_right ? 0 : batch * length));
  for (long n = 0; n < batch && !lies_right; ++n) {
    T* const to = wide.data() + n * length;
    std::fill_n(to, low * channels_, T(0));
    copy_sequence(x, n, size, channels_, to + low * channels_);
    std::fill(to + (low + size) * channels_, to + length, T(0));
  }
  const long rows = (batch - 1) * pitch + count;
  Buffer<T> apart(static_cast<std::size_t>(batch == 1 ? 0 : rows * outputs()));
  T* const product = batch == 1 ? y : apart.data();
  if (!linear_.run(rows, lies_right ? x.data : wide.data(), stride_ * channels_, product, poll)) return false;
  for (long n = 0; n < batch && batch > 1; ++n)
    std::copy_n(product + n * pitch * outputs(), count * outputs(), y + n * count * outputs());
  if (activation.kind != ActivationKind::kIdentity) apply_activation(activation, batch * count * outputs(), y, y);
  return true;
}

template class PackedConvolution<float>;
template class PackedConvolution<double>;

}  // namespace recurra
