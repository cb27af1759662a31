// SPDX-License-Identifier: Apache-2.0
#include "core/common/text.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace fast_axolotl {
namespace {

// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none
// (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF).
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto in = [&](size_t i, unsigned low, unsigned high) {
    return i < text.size() && at(i) >= low && at(i) <= high;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool EndsWithIgnoreCase(std::string_view text, std::string_view suffix) {
  if (text.size() < suffix.size()) return false;
  text.remove_prefix(text.size() - suffix.size());
  return std::equal(text.begin(), text.end(), suffix.begin(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
  });
}

int64_t CountNewlines(std::string_view text) {
  // Sixteen at a time, as a compiler does it of itself only in part: a match is a byte of
  // ones, that is -1, and so many are added up as a byte can count.
  using Bytes = uint8_t __attribute__((vector_size(16)));
  constexpr size_t kMost = 255;
  int64_t count = 0;
  const char* p = text.data();
  size_t left = text.size();
  while (left >= sizeof(Bytes)) {
    Bytes sums{};
    for (size_t i = 0; i < kMost && left >= sizeof(Bytes); ++i) {
      Bytes bytes;
      std::memcpy(&bytes, p, sizeof bytes);
      sums -= reinterpret_cast<Bytes>(bytes == '\n');
      p += sizeof bytes;
      left -= sizeof bytes;
    }
    for (size_t i = 0; i < sizeof sums; ++i) count += sums[i];
  }
  return count + std::count(p, p + left, '\n');
}

int64_t CountLineEnds(std::string_view text) {
  int64_t lines = CountNewlines(text);
  for (size_t at = text.find('\r'); at != std::string_view::npos;
       at = text.find('\r', at + 1)) {
    lines += at + 1 == text.size() || text[at + 1] != '\n';
  }
  return lines;
}

size_t ValidUtf8Prefix(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return text.size();
  size_t i = 0;
  while (i < text.size()) {
    const size_t length = SequenceLength(text.substr(i));
    if (length == 0) break;
    i += length;
  }
  return i;
}

std::string Quoted(std::string_view data, size_t limit) {
  const std::string_view shown = data.substr(0, limit);
  const bool doubles = shown.find('"') != std::string_view::npos;
  const char quote = doubles && shown.find('\'') == std::string_view::npos ? '\'' : '"';
  std::string out(1, quote);
  for (size_t i = 0; i < data.size();) {
    if (i >= limit) return out + quote + "...";
    const size_t length = SequenceLength(data.substr(i));
    const unsigned char c = static_cast<unsigned char>(data[i]);
    if (length == 0 || c < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : escape;
      i += 1;
    } else if (data[i] == quote) {
      out += {'\\', quote};
      i += 1;
    } else {
      out += data.substr(i, length);
      i += length;
    }
  }
  return out + quote;
}

}  // namespace fast_axolotl
