// Reading safetensors from memory.
#include "runtime/safetensors.h"

#include <cstring>

#include "runtime/error.h"

namespace recurra {
namespace {

recurra_status damaged(const char* file, const char* what) {
  return fail(RECURRA_BAD_FILE, "%s: expected a safetensors file, got %s", file, what);
}

struct Dtype {
  const char* name;
  std::size_t size;
};
constexpr Dtype kDtypes[] = {{"F32", 4}, {"F64", 8}, {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F16", 2}, {"BF16", 2},
                             {"U16", 2}, {"I16", 2}, {"U32", 4},  {"I32", 4}, {"U64", 8}, {"I64", 8}};

constexpr std::size_t kLeastEntry = 40;  // characters of {"dtype":"U8","shape":[],"data_offsets":[0,0]}, nearly

}  // namespace

recurra_status Tensors::parse(const char* what, const char* data, std::size_t size) {
  if (size < 8) return damaged(what, "fewer than 8 bytes");
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(data[i]);
  if (length > size - 8) return damaged(what, "a header longer than the file");
  Json header;
  if (!Json::parse(data + 8, static_cast<std::size_t>(length), &header) || !header.is_object())
    return damaged(what, "a header that is no JSON object");
  long most = 0;
  for (JsonEntries entries(header); entries.next(); ++most)
    if (!entries.value.is_object()) return damaged(what, "an entry that is no JSON object");
  if (static_cast<std::size_t>(most) > 1 + length / kLeastEntry) return damaged(what, "entries without shape or place");
  if (!entries_block_.take(static_cast<std::size_t>(most) * sizeof(TensorEntry)))
    return fail(RECURRA_NO_MEMORY, "%s: expected memory for %ld entries, got none", what, most);
  entries_ = reinterpret_cast<TensorEntry*>(entries_block_.data());
  for (JsonEntries entries(header); entries.next();) {
    if (entries.key.says("__metadata__")) {
      metadata_ = entries.value;
      continue;
    }
    const recurra_status status =
        add(what, entries.key, entries.value, data + 8 + length, size - 8 - static_cast<std::size_t>(length));
    if (status != RECURRA_OK) return status;
  }
  std::size_t held = 0;
  for (long i = 0; i < count_; ++i) held += entries_[i].size;
  if (held != size - 8 - length) return damaged(what, "arrays with holes between them, or on each other");
  return RECURRA_OK;
}

recurra_status Tensors::add(const char* what, Json name, Json value, const char* data, std::size_t size) {
  TensorEntry entry{};
  entry.name = name, entry.dtype = value["dtype"], entry.shape = value["shape"];
  std::size_t item = 0;
  for (const Dtype& known : kDtypes)
    if (entry.dtype.says(known.name)) item = known.size;
  if (item == 0) return damaged(what, "an array of an unknown dtype");
  if (!entry.shape.is_array()) return damaged(what, "an array without a shape");
  std::size_t count = item;
  for (JsonEntries axes(entry.shape); axes.next();) {
    long length;
    if (!axes.value.get(&length) || length < 0 ||
        __builtin_mul_overflow(count, static_cast<std::size_t>(length), &count))
      return damaged(what, "a shape that is no list of sizes");
  }
  long offsets[2] = {0, 0};
  int given = 0;
  for (JsonEntries places(value["data_offsets"]); places.next(); ++given)
    if (given >= 2 || !places.value.get(&offsets[given])) return damaged(what, "offsets that are no two numbers");
  if (given != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || static_cast<std::size_t>(offsets[1]) > size)
    return damaged(what, "an array outside the file");
  entry.data = data + offsets[0];
  entry.size = static_cast<std::size_t>(offsets[1] - offsets[0]);
  if (count != entry.size) return damaged(what, "an array whose bytes are not those of its shape");
  entries_[count_++] = entry;
  return RECURRA_OK;
}

TensorEntry* Tensors::find(const char* name) {
  for (long i = 0; i < count_; ++i)
    if (entries_[i].name.says(name)) return &entries_[i];
  return nullptr;
}

}  // namespace recurra
