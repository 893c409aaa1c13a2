// A checker, and readers that trust what it let pass.
#include "runtime/json.h"

#include <cstdint>
#include <cstring>

namespace recurra {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

class Checker {
 public:
  Checker(const char* at, const char* end) : at_(at), end_(end) {}

  bool document(Json* value) {
    spaces();
    const char* begin = at_;
    if (!this->value(0)) return false;
    *value = Json(begin, at_);
    spaces();
    return at_ == end_;
  }

 private:
  void spaces() {
    while (at_ < end_ && is_space(*at_)) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(const char* text) {
    const std::size_t length = std::strlen(text);
    if (static_cast<std::size_t>(end_ - at_) < length || std::memcmp(at_, text, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool value(int depth) {
    if (at_ == end_ || depth > kJsonDepth) return false;
    switch (*at_) {
      case '{':
        return container('}', true, depth);
      case '[':
        return container(']', false, depth);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool container(char close, bool object, int depth) {
    ++at_;
    spaces();
    if (take(close)) return true;
    do {
      spaces();
      if (object) {
        if (!string()) return false;
        spaces();
        if (!take(':')) return false;
        spaces();
      }
      if (!value(depth + 1)) return false;
      spaces();
    } while (take(','));
    return take(close);
  }

  bool string() {
    if (!take('"')) return false;
    for (; at_ < end_; ++at_) {
      const char c = *at_;
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }
  // At a backslash; leaves the place at the escape's last character.
  bool escape() {
    if (++at_ == end_) return false;
    if (*at_ != 'u') return *at_ != '\0' && std::strchr("\"\\/bfnrt", *at_) != nullptr;
    for (int i = 0; i < 4; ++i)
      if (++at_ == end_ || hex_digit(*at_) < 0) return false;
    return true;
  }

  bool digits() {
    if (at_ == end_ || !is_digit(*at_)) return false;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return true;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return digits();
  }

  const char* at_;
  const char* end_;
};

// The place behind the value that begins at `at`, in a text that was checked.
const char* skip(const char* at) {
  int depth = 0;
  do {
    if (*at == '"') {
      for (++at; *at != '"'; ++at)
        if (*at == '\\') ++at;
      ++at;
    } else if (*at == '{' || *at == '[') {
      ++depth, ++at;
    } else if (*at == '}' || *at == ']') {
      --depth, ++at;
    } else if (depth == 0) {
      while (is_digit(*at) || (*at >= 'a' && *at <= 'z') || *at == '-' || *at == '+' || *at == '.' || *at == 'E') ++at;
    } else {
      ++at;
    }
  } while (depth > 0);
  return at;
}

// Decodes the characters of a string one by one.
class Characters {
 public:
  explicit Characters(Json string) : at_(string.begin() + 1) {}
  // The next code point, or byte of one that is not escaped; false at the end.
  bool next(uint32_t* code, bool* byte) {
    if (*at_ == '"') return false;
    *byte = *at_ != '\\';
    if (*byte) {
      *code = static_cast<unsigned char>(*at_++);
      return true;
    }
    ++at_;
    const char c = *at_++;
    *code = c == 'u' ? unit() : c == 'b' ? 8 : c == 'f' ? 12 : c == 'n' ? 10 : c == 'r' ? 13 : c == 't' ? 9 : c;
    if (c == 'u' && *code >= 0xD800 && *code < 0xDC00 && at_[0] == '\\' && at_[1] == 'u') {  // a pair of surrogates
      at_ += 2;
      *code = 0x10000 + ((*code - 0xD800) << 10) + (unit() & 0x3FF);
    }
    return true;
  }

 private:
  uint32_t unit() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) code = code * 16 + static_cast<uint32_t>(hex_digit(*at_++));
    return code;
  }
  const char* at_;
};

int utf8(uint32_t code, char* out) {
  if (code < 0x80) return out[0] = static_cast<char>(code), 1;
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  const int heads[] = {0, 0xC0, 0xE0, 0xF0};
  for (int i = more; i > 0; --i, code >>= 6) out[i] = static_cast<char>(0x80 | (code & 0x3F));
  out[0] = static_cast<char>(static_cast<uint32_t>(heads[more]) | code);
  return more + 1;
}

// x * 2^power.
double scaled(double x, int power) {
  for (; power > 1000; power -= 1000) x *= 0x1p1000;
  for (; power < -1000; power += 1000) x *= 0x1p-1000;
  for (const double step = power < 0 ? 0.5 : 2.0; power != 0; power += power < 0 ? 1 : -1) x *= step;
  return x;
}

// value * 2^power, correctly rounded; `more`: value and a little more.
double rounded(unsigned __int128 value, bool more, int power) {
  if (value == 0) return 0;
  for (; value >> 127 == 0; value <<= 1) --power;
  constexpr int kDropped = 73;  // 55 bits stay, two more than a double has; the rest is worth one bit behind them
  const bool rest = value << (128 - kDropped) != 0 || more;
  const uint64_t kept = static_cast<uint64_t>(value >> kDropped) << 1 | (rest ? 1u : 0u);
  return scaled(static_cast<double>(kept), power + kDropped - 1);
}

// digits * 10^exponent.
double decimal(uint64_t digits, int exponent) {
  const int size = exponent < 0 ? -exponent : exponent;
  if (digits == 0 || exponent < -350) return 0;
  if (size > 27) {
    double value = static_cast<double>(digits);
    for (int i = 0; i < size && value < 1e308 && value > 0; ++i) value = exponent < 0 ? value / 10 : value * 10;
    return value;
  }
  uint64_t power = 1;  // 5^27 has 63 bits
  for (int i = 0; i < size; ++i) power *= 5;
  const unsigned __int128 wide = digits;
  if (exponent >= 0) return rounded(wide * power, false, exponent);
  const unsigned __int128 quotient = (wide << 64) / power;
  return rounded(quotient, (wide << 64) % power != 0, exponent - 64);
}

}  // namespace

bool Json::parse(const char* text, std::size_t size, Json* value) { return Checker(text, text + size).document(value); }

JsonEntries::JsonEntries(Json container) {
  if (!container.is_object() && !container.is_array()) return;
  object_ = container.is_object();
  at_ = container.begin() + 1;
}

bool JsonEntries::next() {
  if (!at_) return false;
  while (is_space(*at_) || *at_ == ',') ++at_;
  if (*at_ == '}' || *at_ == ']') {
    at_ = nullptr;
    return false;
  }
  if (object_) {
    const char* end = skip(at_);
    key = Json(at_, end);
    at_ = end;
    while (is_space(*at_) || *at_ == ':') ++at_;
  }
  const char* end = skip(at_);
  value = Json(at_, end);
  at_ = end;
  return true;
}

Json Json::operator[](const char* key) const {
  if (!is_object()) return Json();
  for (JsonEntries entries(*this); entries.next();)
    if (entries.key.says(key)) return entries.value;
  return Json();
}

bool Json::get(bool* out) const {
  if (!present() || (*begin_ != 't' && *begin_ != 'f')) return false;
  *out = *begin_ == 't';
  return true;
}

bool Json::get(double* out) const {
  if (!is_number()) return false;
  const char* at = begin_;
  const bool negative = *at == '-';
  at += negative;
  uint64_t digits = 0;
  int exponent = 0;
  bool fraction = false;
  for (; at < end_ && (is_digit(*at) || *at == '.'); ++at) {
    if (*at == '.') {
      fraction = true;
    } else if (digits < 999999999999999999u) {
      digits = digits * 10 + static_cast<uint64_t>(*at - '0');
      exponent -= fraction;
    } else {
      exponent += !fraction && exponent < 1000;
    }
  }
  if (at < end_) {  // e
    ++at;
    const bool minus = *at == '-';
    at += *at == '-' || *at == '+';
    int written = 0;
    for (; at < end_; ++at) written = written < 10000 ? written * 10 + (*at - '0') : written;
    exponent += minus ? -written : written;
  }
  const double size = decimal(digits, exponent);
  *out = negative ? -size : size;
  return true;
}

bool Json::get(long* out) const {
  double value = 0;
  if (!get(&value) || !(value >= -9e15 && value <= 9e15) || value != static_cast<double>(static_cast<long>(value)))
    return false;
  *out = static_cast<long>(value);
  return true;
}

bool Json::says(const char* text) const {
  if (!is_string()) return false;
  Characters characters(*this);
  uint32_t code;
  bool byte;
  while (characters.next(&code, &byte))
    if (*text == '\0' || code != static_cast<unsigned char>(*text++)) return false;
  return *text == '\0';
}

std::size_t Json::text(char* out, std::size_t capacity) const {
  std::size_t length = 0;
  if (is_string()) {
    Characters characters(*this);
    uint32_t code;
    bool byte;
    while (characters.next(&code, &byte)) {
      char bytes[4];
      if (byte) bytes[0] = static_cast<char>(code);
      const int count = byte ? 1 : utf8(code, bytes);
      for (int i = 0; i < count; ++i, ++length)
        if (length + 1 < capacity) out[length] = bytes[i];
    }
  }
  if (capacity > 0) out[length < capacity ? length : capacity - 1] = '\0';
  return length;
}

}  // namespace recurra
