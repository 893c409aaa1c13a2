// What the builders of both number types share: how far a model has been laid out.
#pragma once
#include "runtime/loading.h"
#include "runtime/program.h"

namespace recurra {

constexpr long kMostLayers = 4096;
constexpr long kMostWidth = 1l << 31;

// Rows that one operation gives and others read.
struct Series {
  long place = kInput;  // its offset
  long width = 0;       // real numbers of a row
  bool steps = true;    // a row for every step; else one for the whole sequence, of its last step
  bool state = false;   // these are states as the last step left them: `place` is their offset, not yet copied
  long row = 0;         // and their rows lie so far apart
};

struct Plan {
  explicit Plan(const recurra_allocator& allocator) : more(allocator), given(allocator), states(allocator) {}

  Series here;         // what the next operation reads: at first a layer's first input, then what the last one gave
  List<Series> more;   // the further inputs of a layer that joins several, not read yet
  List<Series> given;  // what layers gave beside `here`: final states
  List<StateEntry> states;
  long series_numbers = 0, state_numbers = 0, scratch_numbers = 0, gates_numbers = 0;
  long area_numbers = 0, area_step_numbers = 0;
  bool whole = false;        // some layer needs whole sequences
  bool needs_steps = false;  // some layer makes no sense without steps

  // x, and those that read it. All must see the same: numbers or integers, with padding or without.
  bool flat = false;  // x is (batch, features), which are taken for steps
  long inputs = 1;    // its real numbers of a row
  long number_readers = 0, integer_readers = 0, masked_readers = 0;
  long vocabulary = 0;       // of the smallest Embedding among them
  bool masks_zero = false;   // 0 is padding, says an Embedding
  bool masks_value = false;  // or mask_value, says a Masking
  double mask_value = 0;

  // The layers as the model tells of them.
  recurra_layer_info* layers = nullptr;
  long layer_count = 0;
  long layer = 0;            // which of them is being added
  std::size_t repeated = 0;  // bytes that layers which are called again added

  long axes(const Series& of) const { return of.steps && !flat ? 3 : 2; }
};

}  // namespace recurra
