// Parameter layout and checks of a recurrent layer.
#include "nn/config.h"

#include <stdexcept>

namespace recurra {

long Parameter::size() const {
  long size = 1;
  for (const long n : shape) size *= n;
  return size;
}

Layout layout_of(const Config& c) {
  Layout layout;
  std::string suffix;
  const auto add = [&](const char* name, std::vector<long> shape) {
    layout.parameters.push_back({name + suffix, std::move(shape), layout.size});
    layout.size += layout.parameters.back().size();
    return layout.parameters.back().offset;
  };
  const long rows = c.gates() * c.hidden;
  for (long layer = 0; layer < c.layers; ++layer) {
    for (long direction = 0; direction < c.directions(); ++direction) {
      suffix = "_l" + std::to_string(layer) + (direction ? "_reverse" : "");
      ParameterOffsets o;
      o.weight_ih = add("weight_ih", {rows, c.layer_input(layer)});
      o.weight_hh = add("weight_hh", {rows, c.recurrent()});
      if (c.bias) {
        o.bias_ih = add("bias_ih", {rows});
        o.bias_hh = add("bias_hh", {rows});
      }
      if (c.projection) o.weight_hr = add("weight_hr", {c.projection, c.hidden});
      if (c.peepholes) o.weight_ph = add("weight_ph", {(c.coupled ? 2 : 3) * c.hidden});
      if (c.layer_norm) {
        o.weight_ln_ih = add("weight_ln_ih", {rows});
        o.weight_ln_hh = add("weight_ln_hh", {rows});
        if (c.cell == kLstm) {
          o.weight_ln_c = add("weight_ln_c", {c.hidden});
          o.bias_ln_c = add("bias_ln_c", {c.hidden});
        }
      }
      layout.offsets.push_back(o);
    }
  }
  return layout;
}

void check(const Config& c) {
  const auto require = [](bool good, const std::string& message) {
    if (!good) throw std::invalid_argument(message);
  };
  const auto at_least = [&](const char* name, long value, long least) {
    require(value >= least && value <= (1l << 31), std::string(name) + ": expected an integer from " +
                                                       std::to_string(least) + ", got " + std::to_string(value));
  };
  at_least("input_size", c.input, 1);
  at_least("hidden_size", c.hidden, 1);
  at_least("num_layers", c.layers, 1);
  at_least("proj_size", c.projection, 0);
  require(c.projection <= c.hidden, "proj_size: expected an integer from 0 to hidden_size " + std::to_string(c.hidden) +
                                        ", got " + std::to_string(c.projection));
  require(
      c.cell == kLstm || !(c.projection || c.peepholes || c.coupled || c.cell_clip != 0 || c.zone_c != 0),
      "cell: expected lstm with proj_size, use_peepholes, input_forget, cell_clip or a cell zoneout, got another cell");
  require(!(c.go_backwards && c.bidirectional), "go_backwards: expected False with bidirectional=True, got True");
  for (const double clip : {c.clip, c.cell_clip})
    require(clip >= 0, "clip: expected a number from 0 (none), got " + std::to_string(clip));
  for (const double rate : {c.dropout, c.interlayer_dropout, c.recurrent_dropout, c.zone_h, c.zone_c})
    require(rate >= 0 && rate <= 1, "rate: expected a number in [0, 1], got " + std::to_string(rate));
}

}  // namespace recurra
