// SPDX-License-Identifier: Apache-2.0
#include "bindings/unicode.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/common/text.h"

namespace fast_axolotl {
namespace {

using Bytes = uint8_t __attribute__((vector_size(16)));
using Signed = int8_t __attribute__((vector_size(16)));
constexpr size_t kStep = sizeof(Bytes);

// A step of characters.
template <typename Char>
struct WideOf;
template <>
struct WideOf<uint8_t> {
  using Type = Bytes;
};
template <>
struct WideOf<uint16_t> {
  using Type = uint16_t __attribute__((vector_size(kStep * 2)));
};
template <>
struct WideOf<uint32_t> {
  using Type = uint32_t __attribute__((vector_size(kStep * 4)));
};
template <typename Char>
using Wide = typename WideOf<Char>::Type;

Bytes Load(const uint8_t* p) {
  Bytes bytes;
  std::memcpy(&bytes, p, kStep);
  return bytes;
}

// How many ASCII characters the step at `p` begins with.
size_t AsciiPrefix(const uint8_t* p) {
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t kHighBits = 0x8080808080808080u;
  uint64_t words[2];
  std::memcpy(words, p, kStep);
  const uint64_t low = words[0] & kHighBits;
  const uint64_t high = words[1] & kHighBits;
  if ((low | high) == 0) return kStep;
  return static_cast<size_t>(low ? std::countr_zero(low) : 64 + std::countr_zero(high)) /
         8;
}

// What a string needs to be allocated.
struct Size {
  size_t characters = 0;
  uint8_t widest = 0;  // its largest byte, which in UTF-8 tells how wide characters are
};

Size Measure(const uint8_t* p, size_t size) {
  Size found;
  Bytes widest{};
  size_t i = 0;
  while (i + kStep <= size) {
    // Of each sixteenth byte, as many as a byte can count.
    constexpr size_t kMost = 255;
    Bytes starts{};
    for (size_t step = 0; step < kMost && i + kStep <= size; ++step, i += kStep) {
      const Bytes bytes = Load(p + i);
      widest = bytes > widest ? bytes : widest;
      // All bytes but 0x80 to 0xBF, which are the lowest numbers with a sign.
      starts -= reinterpret_cast<Bytes>(reinterpret_cast<Signed>(bytes) > int8_t{-65});
    }
    for (size_t lane = 0; lane < kStep; ++lane) found.characters += starts[lane];
  }
  for (size_t lane = 0; lane < kStep; ++lane) {
    found.widest = std::max(found.widest, uint8_t{widest[lane]});
  }
  for (; i < size; ++i) {
    found.widest = std::max(found.widest, p[i]);
    found.characters += static_cast<int8_t>(p[i]) > -65;
  }
  return found;
}

// Writes the characters of valid UTF-8, none of which is wider than `Char`; there is room
// for just these.
template <typename Char>
void Decode(const uint8_t* p, const uint8_t* end, Char* out, const Char* out_end) {
  constexpr auto kRoom = static_cast<ptrdiff_t>(kStep);
  while (p < end) {
    if (out_end - out >= kRoom) {  // so there are as many bytes
      // What is written beyond the ASCII characters is written over.
      const auto wide = __builtin_convertvector(Load(p), Wide<Char>);
      std::memcpy(out, &wide, sizeof wide);
      const size_t ascii = AsciiPrefix(p);
      p += ascii;
      out += ascii;
      if (ascii == kStep) continue;
    }
    while (p < end && *p < 0x80) *out++ = *p++;
    // Such characters come in runs.
    while (p < end && *p >= 0x80) {
      const auto low = [&](int i) { return static_cast<uint32_t>(p[i] & 0x3F); };
      uint32_t character;
      if (sizeof(Char) == 1 || *p < 0xE0) {
        character = (*p & 0x1Fu) << 6 | low(1);
        p += 2;
      } else if (sizeof(Char) == 2 || *p < 0xF0) {
        character = (*p & 0x0Fu) << 12 | low(1) << 6 | low(2);
        p += 3;
      } else {
        character = (*p & 0x07u) << 18 | low(1) << 12 | low(2) << 6 | low(3);
        p += 4;
      }
      *out++ = static_cast<Char>(character);
    }
  }
}

}  // namespace

PyObject* NewUnicode(std::string_view text, const char* errors) {
  const auto size = static_cast<Py_ssize_t>(text.size());
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const Size found = Measure(p, text.size());
  // Python keeps one object for each short string of one character: its decoder finds
  // it, and says what is wrong with invalid text.
  if (found.characters < 2 ||
      (found.widest >= 0x80 && ValidUtf8Prefix(text) < text.size())) {
    return PyUnicode_DecodeUTF8(text.data(), size, errors);
  }
  const auto length = static_cast<Py_ssize_t>(found.characters);
  const bool ascii = found.widest < 0x80;
  // The lead bytes of U+0100 and of U+10000.
  const bool one = found.widest < 0xC4;
  const bool two = found.widest < 0xF0;
  PyObject* string = PyUnicode_New(length, ascii ? 0x7F
                                           : one ? 0xFF
                                           : two ? 0xFFFF
                                                 : 0x10FFFF);
  if (string == nullptr) return nullptr;
  const auto fill = [&](auto* out) { Decode(p, p + size, out, out + length); };
  if (ascii) {
    std::memcpy(PyUnicode_1BYTE_DATA(string), p, text.size());
  } else if (one) {
    fill(PyUnicode_1BYTE_DATA(string));
  } else if (two) {
    fill(PyUnicode_2BYTE_DATA(string));
  } else {
    fill(PyUnicode_4BYTE_DATA(string));
  }
  return string;
}

}  // namespace fast_axolotl
