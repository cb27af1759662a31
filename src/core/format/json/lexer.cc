// SPDX-License-Identifier: Apache-2.0
#include "core/format/json/lexer.h"

#include <charconv>
#include <cstring>
#include <limits>
#include <string>
#include <system_error>

#include "core/common/number.h"

namespace fast_axolotl::json {
namespace {

// The value of four hexadecimal digits, or -1.
int Hex4(const char* p) {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = p[i];
    int digit;
    if (IsDigit(c)) {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else {
      return -1;
    }
    value = value * 16 + digit;
  }
  return value;
}

char* PutCodePoint(char* out, uint32_t c) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xC0 | (c >> 6));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xE0 | (c >> 12));
    *out++ = static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out++ = static_cast<char>(0xF0 | (c >> 18));
    *out++ = static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    *out++ = static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  }
  return out;
}

bool IsHighSurrogate(int c) { return c >= 0xD800 && c <= 0xDBFF; }
bool IsLowSurrogate(int c) { return c >= 0xDC00 && c <= 0xDFFF; }

char SimpleEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

// Skips the rest of a number that has a fraction or an exponent; `p` is behind its
// integer part.
const char* ScanFraction(const char* p, Fault* fault) {
  if (*p == '.') {
    ++p;
    if (!IsDigit(*p)) return fault->Set(p, "a digit after the decimal point");
    while (IsDigit(*p)) ++p;
  }
  if (*p == 'e' || *p == 'E') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!IsDigit(*p)) return fault->Set(p, "a digit in the exponent");
    while (IsDigit(*p)) ++p;
  }
  return p;
}

const char* CheckEscapes(const StringToken& token, Fault* fault) {
  for (const char* p = token.begin; p < token.end;) {
    p = static_cast<const char*>(std::memchr(p, '\\', token.end - p));
    if (!p) break;
    if (p[1] == 'u') {
      if (Hex4(p + 2) < 0) return fault->Set(p, "four hexadecimal digits after \\u");
      p += 6;
    } else {
      if (SimpleEscape(p[1]) == '\0') return fault->Set(p, "a valid escape");
      p += 2;
    }
  }
  return token.end;
}

}  // namespace

char* Unescape(const StringToken& token, char* out, bool* lone, Fault* fault) {
  const char* p = token.begin;
  while (p < token.end) {
    const auto* escape = static_cast<const char*>(std::memchr(p, '\\', token.end - p));
    const char* stop = escape ? escape : token.end;
    std::memmove(out, p, stop - p);
    out += stop - p;
    if (!escape) break;
    p = escape;
    if (p[1] != 'u') {
      const char c = SimpleEscape(p[1]);
      if (c == '\0') {
        fault->Set(p, "a valid escape");
        return nullptr;
      }
      *out++ = c;
      p += 2;
      continue;
    }
    // A short run of digits ends at the quote, which is no digit: never past the token.
    const int unit = Hex4(p + 2);
    if (unit < 0) {
      fault->Set(p, "four hexadecimal digits after \\u");
      return nullptr;
    }
    p += 6;
    uint32_t code_point = static_cast<uint32_t>(unit);
    if (IsHighSurrogate(unit) && p[0] == '\\' && p[1] == 'u') {
      const int low = Hex4(p + 2);
      if (IsLowSurrogate(low)) {
        code_point = 0x10000u + ((static_cast<uint32_t>(unit) - 0xD800u) << 10) +
                     (static_cast<uint32_t>(low) - 0xDC00u);
        p += 6;
      }
    }
    if (code_point >= 0xD800 && code_point <= 0xDFFF) *lone = true;
    out = PutCodePoint(out, code_point);
  }
  return out;
}

const char* ScanNumber(const char* p, Number* number, Fault* fault) {
  const char* const begin = p;
  const bool negative = *p == '-';
  p += negative;
  if (*p == 'I' && negative) {
    if (std::strncmp(p, "Infinity", 8) != 0) return fault->Set(p, "a number");
    number->kind = Number::kDouble;
    number->real = -std::numeric_limits<double>::infinity();
    return p + 8;
  }
  if (!IsDigit(*p)) return fault->Set(p, "a digit");
  const char* const digits = p;
  uint64_t value = 0;
  while (IsDigit(*p)) value = value * 10 + static_cast<uint64_t>(*p++ - '0');
  if (*digits == '0' && p - digits > 1) {
    return fault->Set(digits + 1, "no digit after a leading zero");
  }
  if (*p != '.' && *p != 'e' && *p != 'E') {
    number->kind = Number::kInt64;
    if (p - digits <= 18) {
      number->integer =
          negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
    } else if (std::from_chars(begin, p, number->integer).ec != std::errc()) {
      number->kind = Number::kBigInt;
    }
    return p;
  }
  p = ScanFraction(p, fault);
  if (!p) return nullptr;
  number->kind = Number::kDouble;
  number->real = ToDouble({begin, static_cast<size_t>(p - begin)});
  return p;
}

const char* ScanLiteral(const char* p, Literal* literal, Fault* fault) {
  static constexpr struct {
    std::string_view word;
    Literal literal;
  } kLiterals[] = {{"null", Literal::kNull},
                   {"true", Literal::kTrue},
                   {"false", Literal::kFalse},
                   {"NaN", Literal::kNaN},
                   {"Infinity", Literal::kInfinity}};
  for (const auto& known : kLiterals) {
    // strncmp stops at the text's zero byte.
    if (std::strncmp(p, known.word.data(), known.word.size()) == 0) {
      *literal = known.literal;
      return p + known.word.size();
    }
  }
  return fault->Set(p, "a value");
}

const char* SkipValue(const char* p, int depth, Fault* fault) {
  StringToken token;
  if (*p == '"') {
    p = ScanString(p + 1, &token, fault);
    if (p && token.escaped && !CheckEscapes(token, fault)) return nullptr;
    return p;
  }
  if (IsDigit(*p) || *p == '-') {
    Number number;
    return ScanNumber(p, &number, fault);
  }
  if (*p != '[' && *p != '{') {
    Literal literal;
    return ScanLiteral(p, &literal, fault);
  }
  if (depth >= fault->max_depth) return fault->TooDeep(p);
  const bool object = *p == '{';
  const char close = object ? '}' : ']';
  p = SkipSpace(p + 1);
  if (*p == close) return p + 1;
  for (;;) {
    if (object) {
      if (*p != '"') return fault->Set(p, "a quoted key");
      p = ScanString(p + 1, &token, fault);
      if (!p || (token.escaped && !CheckEscapes(token, fault))) return nullptr;
      p = SkipSpace(p);
      if (*p != ':') return fault->Set(p, "':' after a key");
      p = SkipSpace(p + 1);
    }
    p = SkipValue(p, depth + 1, fault);
    if (!p) return nullptr;
    p = SkipSpace(p);
    if (*p == close) return p + 1;
    if (*p != ',') {
      return fault->Set(p, object ? "',' or '}' in an object" : "',' or ']' in an array");
    }
    p = SkipSpace(p + 1);
  }
}

}  // namespace fast_axolotl::json
