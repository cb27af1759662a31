// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// The tokens of JSON as Python's json module reads them: RFC 8259 and NaN, Infinity,
// -Infinity, integers of any size, lone surrogates.
//
// Every function takes a pointer into text that is valid UTF-8, is followed by
// Block::kPadding zero bytes and may hold no other zero byte outside a row: a zero byte
// is valid nowhere in JSON, so it stops every loop. Functions return the first byte
// behind the token, or null after describing the fault.

namespace fast_axolotl::json {

/// Deeper nesting is always a fault: it would overflow the stack.
inline constexpr int kMaxDepth = 1024;

/// Where parsing failed and what would have been right there.
struct Fault {
  const char* at = nullptr;
  const char* expected = nullptr;
  /// Of the limit that was exceeded, if that is the fault.
  const char* limit = nullptr;
  /// The row is not to blame: there was no memory for it.
  bool out_of_memory = false;
  /// Deeper nesting is a fault, too.
  int max_depth = kMaxDepth;

  const char* Set(const char* where, const char* what) {
    at = where;
    expected = what;
    return nullptr;
  }
  const char* Exceed(const char* where, const char* what, const char* name) {
    limit = name;
    return Set(where, what);
  }
  const char* TooDeep(const char* where) {
    return Exceed(where, "fewer levels of nesting", "json_depth");
  }
};

inline bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') <= 9; }

inline const char* SkipSpace(const char* p) {
  while (IsSpace(*p)) ++p;
  return p;
}

/// The inside of a string, as it stands in the text.
struct StringToken {
  const char* begin = nullptr;
  const char* end = nullptr;
  bool escaped = false;  // there is a backslash in it

  std::string_view raw() const { return {begin, static_cast<size_t>(end - begin)}; }
};

/// The first quote, backslash or control character from `p` on.
inline const char* FindStringSpecial(const char* p) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1F);
  for (;; p += 16) {
    // May read past the text's zero byte, never past its padding.
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(text, last_control), text);
    const __m128i hit = _mm_or_si128(
        control,
        _mm_or_si128(_mm_cmpeq_epi8(text, quote), _mm_cmpeq_epi8(text, backslash)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(hit));
    if (mask != 0) return p + __builtin_ctz(mask);
  }
#else
  while (*p != '"' && *p != '\\' && static_cast<unsigned char>(*p) > 0x1F) ++p;
  return p;
#endif
}

/// Reads a string; `p` is behind its opening quote. Escapes are not looked at.
inline const char* ScanString(const char* p, StringToken* token, Fault* fault) {
  token->begin = p;
  token->escaped = false;
  for (;;) {
    p = FindStringSpecial(p);
    if (*p == '"') {
      token->end = p;
      return p + 1;
    }
    if (*p != '\\') {
      return fault->Set(p, *p == '\0' ? "the closing quote of a string"
                                      : "no control character in a string");
    }
    token->escaped = true;
    if (p[1] == '\0') return fault->Set(p + 1, "an escaped character");
    p += 2;
  }
}

/// Replaces the escapes of a string. `out` needs room for `token.raw().size()` bytes;
/// returns the end of what was written, or null. A surrogate that stands alone comes out
/// as its three-byte form (WTF-8), which is not UTF-8: `*lone` is set then.
char* Unescape(const StringToken& token, char* out, bool* lone, Fault* fault);

/// A number's value.
struct Number {
  enum Kind { kInt64, kBigInt, kDouble } kind = kInt64;
  int64_t integer = 0;
  double real = 0;
};

/// Reads a number, or -Infinity; `p` is at its first character, a digit or a minus.
const char* ScanNumber(const char* p, Number* number, Fault* fault);

/// Reads `null`, `true`, `false`, `NaN` or `Infinity`.
enum class Literal { kNull, kTrue, kFalse, kNaN, kInfinity };
const char* ScanLiteral(const char* p, Literal* literal, Fault* fault);

/// Walks over any value without keeping it. `p` is at its first character.
const char* SkipValue(const char* p, int depth, Fault* fault);

}  // namespace fast_axolotl::json
