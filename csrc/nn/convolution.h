// A convolution over one axis on the dense layer's products: its rows are overlapping stretches of the sequence.
#pragma once
#include "base/activation.h"
#include "nn/direction.h"
#include "nn/linear.h"

namespace recurra {

// Weights packed once: safe to run from several threads.
template <class T>
class PackedConvolution {
 public:
  using Number = T;
  // weight: [outputs, taps, channels], bias: [outputs] or null; read here and never again.
  PackedConvolution(const T* weight, const T* bias, long channels, long outputs, long taps, long stride)
      : linear_(weight, bias, taps * channels, outputs), channels_(channels), taps_(taps), stride_(stride) {}

  // Places of the window on a sequence with its padding: 0 or less where it is too short.
  long places(long padded) const { return padded < taps_ ? 0 : (padded - taps_) / stride_ + 1; }

  // x: [batch, size, channels], any strides; `low` zeros before each sequence, `high` behind it.
  // y: [batch, places, outputs], contiguous.
  bool run(long batch, long size, const View<const T>& x, long low, long high, const Activation& activation, T* y,
           const Poll& poll) const;

  long channels() const { return channels_; }
  long outputs() const { return linear_.outputs(); }
  long taps() const { return taps_; }

 private:
  PackedLinear<T> linear_;
  long channels_, taps_, stride_;
};

}  // namespace recurra
