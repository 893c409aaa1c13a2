// Products, activations, tables and the handling of series.
#include "runtime/layer_ops.h"

#include <cstring>

namespace recurra {
namespace {

template <class T>
void copy(const T* from, long count, T* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
}
template <class T>
void zero(T* at, long count) {
  std::memset(at, 0, static_cast<std::size_t>(count) * sizeof(T));
}

template <class Derived, class T>
const Derived& as(const Op<T>& op) {
  return static_cast<const Derived&>(op);
}

}  // namespace

template <class T>
void multiply(const InferenceKernels<T>& k, const Packed<T>& w, const T* bias, long outputs, long rows, const T* a,
              long a_row, T* c, long c_row) {
  if (w.vectors == 0) {
    k.dots({rows, w.depth, outputs, a, a_row, w.data, bias, c, c_row});
    return;
  }
  Product<T> p{};
  p.rows = rows, p.vectors = w.vectors, p.panel_vectors = w.panel_vectors, p.blocks = 1, p.depth = w.depth;
  p.a = a, p.a_row = a_row, p.b = w.data, p.b_panel = w.panel_size();
  p.c = c, p.c_row = c_row, p.c_panel = w.panel_vectors * w.lanes;
  p.start = bias, p.start_row = 0, p.start_panel = p.c_panel;
  k.multiply(p);
}

template <class T>
void run_dense(const Op<T>& op, const Frame<T>& frame) {
  const auto& dense = as<DenseOp<T>>(op);
  if (dense.weights.vectors == 0 && frame.rows == 1 && frame.steps == 1) {  // what most streams end with: no strides
    op.k->dots({1, dense.weights.depth, op.out_width, op.input(frame, 0, frame.row0), 0, dense.weights.data, dense.bias,
                op.output(frame, 0, frame.row0), 0});
    return;
  }
  each_stretch(op, frame, [&](long step, long row, long rows) {
    multiply(*op.k, dense.weights, dense.bias, op.out_width, rows, op.input(frame, step, row), op.in_row(frame),
             op.output(frame, step, row), padded_width<T>(op.out_width));
  });
}

template <class T>
void run_activation(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = as<ActivationOp<T>>(op);
  each_row(op, frame, [&](const T* x, T* y) { op.k->activate(own.activation, op.out_width, x, y); });
}

template <class T>
void run_softmax(const Op<T>& op, const Frame<T>& frame) {
  each_row(op, frame, [&](const T* x, T* y) { op.k->softmax(1, op.out_width, x, y); });
}

template <class T>
void run_relu(const Op<T>& op, const Frame<T>& frame) {
  const auto& relu = as<ReluOp<T>>(op);
  each_row(op, frame, [&](const T* x, T* y) {
    for (long j = 0; j < op.out_width; ++j) {
      const T below = relu.slope != 0 ? relu.slope * (x[j] - relu.threshold) : T(0);
      const T value = x[j] > relu.threshold ? x[j] : below;
      y[j] = relu.bounded && x[j] >= relu.most ? relu.most : value;
    }
  });
}

template <class T>
void run_embedding(const Op<T>& op, const Frame<T>& frame) {
  const long width = padded_width<T>(op.out_width);
  for (long step = 0; step < frame.steps; ++step)
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row) {
      const int64_t index = frame.indices[step * frame.x_step + row * frame.x_row];
      copy(as<EmbeddingOp<T>>(op).table + index * width, width, op.output(frame, step, row));
    }
}

template <class T>
void run_affine(const Op<T>& op, const Frame<T>& frame) {
  const auto& own = as<AffineOp<T>>(op);
  each_row(op, frame, [&](const T* x, T* y) {
    for (long j = 0; j < op.out_width; ++j) {
      const T shift = own.shift[own.one ? 0 : j], factor = own.factor[own.one ? 0 : j];
      T value = own.kind == Affine::kBatch    ? (x[j] - shift) * factor
                : own.kind == Affine::kDivide ? (x[j] - shift) / factor
                                              : x[j] * factor + shift;
      if (own.gamma) value *= own.gamma[j];
      if (own.beta) value += own.beta[j];
      y[j] = value;
    }
  });
}

template <class T>
void run_mask(const Op<T>& op, const Frame<T>& frame) {
  const T value = as<MaskOp<T>>(op).value;
  each_row(op, frame, [&](const T* x, T* y) {
    bool counts = false;
    for (long j = 0; j < op.out_width; ++j) counts = counts || x[j] != value;
    if (counts) {
      copy(x, op.out_width, y);
    } else {
      zero(y, op.out_width);
    }
  });
}

template <class T>
void run_silence(const Op<T>& op, const Frame<T>& frame) {
  for (long step = 0; step < frame.steps; ++step)
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row) {
      if (frame.counts(step, row)) {
        copy(op.input(frame, step, row), op.out_width, op.output(frame, step, row));
      } else {
        zero(op.output(frame, step, row), op.out_width);
      }
    }
}

template <class T>
void run_reverse(const Op<T>& op, const Frame<T>& frame) {
  for (long row = frame.row0; row < frame.row0 + frame.rows; ++row) {
    const long length = frame.lengths ? static_cast<long>(frame.lengths[row]) : frame.steps;
    for (long step = 0; step < frame.steps; ++step) {
      T* y = op.output(frame, step, row);
      if (step < length) {
        copy(op.input(frame, length - 1 - step, row), op.out_width, y);
      } else {
        zero(y, op.out_width);
      }
    }
  }
}

template <class T>
void run_conv(const Op<T>& op, const Frame<T>& frame) {
  const auto& conv = as<ConvOp<T>>(op);
  const long channels = op.in_width, per_group = channels / conv.groups, filters = op.out_width / conv.groups;
  const long kept = (conv.span() - 1) * channels, wide = padded_width<T>(filters);
  T* gathered = frame.scratch + frame.rows * conv.gathered;
  T* product = frame.scratch + frame.rows * conv.product;
  for (long step = 0; step < frame.steps; ++step)
    for (long row = frame.row0; row < frame.row0 + frame.rows; ++row) {
      T* y = op.output(frame, step, row);
      if (!frame.counts(step, row)) {
        zero(y, op.out_width);
        continue;
      }
      const T* x = op.input(frame, step, row);
      T* window = frame.states + frame.batch * conv.window + row * padded_width<T>(kept);
      for (long group = 0; group < conv.groups; ++group) {
        for (long tap = 0; tap < conv.taps; ++tap) {
          const T* from = tap == conv.taps - 1 ? x : window + tap * conv.dilation * channels;
          copy(from + group * per_group, per_group, gathered + tap * per_group);
        }
        multiply(*op.k, conv.weights[group], conv.bias + group * wide, filters, 1, gathered, 0, product, wide);
        copy(product, filters, y + group * filters);
      }
      if (kept == 0) continue;
      std::memmove(window, window + channels, static_cast<std::size_t>(kept - channels) * sizeof(T));
      copy(x, channels, window + kept - channels);
    }
}

#define RECURRA_INSTANTIATE(T)                                                                                   \
  template void multiply(const InferenceKernels<T>&, const Packed<T>&, const T*, long, long, const T*, long, T*, \
                         long);                                                                                  \
  template void run_dense(const Op<T>&, const Frame<T>&);                                                        \
  template void run_activation(const Op<T>&, const Frame<T>&);                                                   \
  template void run_softmax(const Op<T>&, const Frame<T>&);                                                      \
  template void run_relu(const Op<T>&, const Frame<T>&);                                                         \
  template void run_embedding(const Op<T>&, const Frame<T>&);                                                    \
  template void run_affine(const Op<T>&, const Frame<T>&);                                                       \
  template void run_mask(const Op<T>&, const Frame<T>&);                                                         \
  template void run_silence(const Op<T>&, const Frame<T>&);                                                      \
  template void run_reverse(const Op<T>&, const Frame<T>&);                                                      \
  template void run_conv(const Op<T>&, const Frame<T>&);
RECURRA_INSTANTIATE(float)
RECURRA_INSTANTIATE(double)

}  // namespace recurra
