// JSON read in place: a value is a stretch of a text that was checked once as a whole. Nothing is allocated, so a text
// can demand no more memory than it has bytes. Format: RFC 8259.
#pragma once
#include <cstddef>

namespace recurra {

constexpr int kJsonDepth = 64;  // arrays and objects within each other

class Json {
 public:
  Json() = default;  // a value that is not there
  Json(const char* begin, const char* end) : begin_(begin), end_(end) {}

  // Checks `size` bytes of text as one value; false when they are none, or nested too deeply.
  static bool parse(const char* text, std::size_t size, Json* value);

  const char* begin() const { return begin_; }
  const char* end() const { return end_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
  bool present() const { return begin_ != nullptr; }
  bool is_object() const { return present() && *begin_ == '{'; }
  bool is_array() const { return present() && *begin_ == '['; }
  bool is_string() const { return present() && *begin_ == '"'; }
  bool is_null() const { return present() && *begin_ == 'n'; }
  bool is_number() const { return present() && (*begin_ == '-' || (*begin_ >= '0' && *begin_ <= '9')); }

  // The value of a key of an object; not there when this is no object or has no such key.
  Json operator[](const char* key) const;

  // Each returns false, and leaves *out alone, when the value is of another kind.
  bool get(bool* out) const;
  bool get(double* out) const;  // correctly rounded for up to 19 digits and exponents to +-27
  bool get(long* out) const;    // integers alone, also written 3.0

  // Whether this is a string and says `text` (ASCII).
  bool says(const char* text) const;

  // Writes a string as UTF-8 with a final zero, cut where it must; returns its whole length, and 0 for no string.
  std::size_t text(char* out, std::size_t capacity) const;

 private:
  const char* begin_ = nullptr;
  const char* end_ = nullptr;
};

// The entries of an array or object, in order: for (JsonEntries e(value); e.next();) use(e.key, e.value);
class JsonEntries {
 public:
  explicit JsonEntries(Json container);
  bool next();

  Json key, value;  // key: of an object

 private:
  const char* at_ = nullptr;
  bool object_ = false;
};

}  // namespace recurra
