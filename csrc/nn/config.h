// What a recurrent layer is: its cell, sizes and variants, and where each parameter lies in the flat weight vector.
//
// T steps, N batch, I input, H hidden, R recurrent size (projection, else H), G gates, L layers, D directions, O
// output.
#pragma once
#include <string>
#include <vector>

#include "base/activation.h"
#include "kernels/table.h"

namespace recurra {

enum class Merge { kConcat, kSum, kMultiply, kAverage };

struct Config {
  CellKind cell = kLstm;
  long input = 1, hidden = 1, layers = 1;
  bool bidirectional = false;
  Merge merge = Merge::kConcat;
  bool go_backwards = false;
  bool bias = true;
  long projection = 0;  // 0: none
  bool peepholes = false, coupled = false, layer_norm = false;
  Activation activation, gate_activation, output_activation;
  double clip = 0, cell_clip = 0;
  double dropout = 0, interlayer_dropout = 0, recurrent_dropout = 0;
  double zone_h = 0, zone_c = 0;

  long directions() const { return bidirectional ? 2 : 1; }
  long gates() const { return cell == kRnn ? 1 : cell == kLstm ? (coupled ? 3 : 4) : 3; }
  long recurrent() const { return projection > 0 ? projection : hidden; }
  long output() const { return bidirectional && merge == Merge::kConcat ? 2 * recurrent() : recurrent(); }
  long layer_input(long layer) const { return layer == 0 ? input : output(); }
  // Default activations and no variant inside the cell: the fused kernels serve it.
  bool plain() const {
    return cell != kGruBefore && activation.kind == ActivationKind::kTanh &&
           (cell == kRnn || gate_activation.kind == ActivationKind::kSigmoid) &&
           (cell != kLstm || output_activation.kind == ActivationKind::kTanh) && clip == 0 && cell_clip == 0 &&
           zone_c == 0 && !peepholes && !coupled && !(layer_norm && cell == kLstm);
  }
};

struct Parameter {
  std::string name;  // PyTorch's: weight_ih_l0, weight_hh_l0_reverse, ...
  std::vector<long> shape;
  long offset;  // into the flat weight vector, in elements
  long size() const;
};

// The parameters of one layer and direction; null entries are absent.
struct ParameterOffsets {
  long weight_ih = -1, weight_hh = -1, bias_ih = -1, bias_hh = -1, weight_hr = -1, weight_ph = -1;
  long weight_ln_ih = -1, weight_ln_hh = -1, weight_ln_c = -1, bias_ln_c = -1;
};

struct Layout {
  std::vector<Parameter> parameters;
  std::vector<ParameterOffsets> offsets;  // [L * D]
  long size = 0;
};

Layout layout_of(const Config& config);

// Throws std::invalid_argument, worded `argument: expected X, got Y`, when the numbers make no sense.
void check(const Config& config);

}  // namespace recurra
