// SPDX-License-Identifier: Apache-2.0
#include "core/format/csv/cell_kind.h"

#include <charconv>
#include <limits>
#include <system_error>

#include "core/common/number.h"

namespace fast_axolotl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// What stands behind the digits at the start of `text`.
std::string_view SkipDigits(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && IsDigit(text[n])) ++n;
  return text.substr(n);
}

bool HasLeadingZero(std::string_view unsigned_text) {
  return unsigned_text.size() > 1 && unsigned_text[0] == '0' && IsDigit(unsigned_text[1]);
}

// [-] (digits [. [digits]] | . digits) [e [+|-] digits], without leading zeros.
bool IsDecimal(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || HasLeadingZero(text)) return false;
  std::string_view rest = SkipDigits(text);
  bool digits = rest.size() < text.size();
  if (rest.starts_with('.')) {
    const std::string_view fraction = rest.substr(1);
    rest = SkipDigits(fraction);
    digits = digits || rest.size() < fraction.size();
  }
  if (!digits) return false;
  if (rest.starts_with('e') || rest.starts_with('E')) {
    rest.remove_prefix(1);
    if (rest.starts_with('+') || rest.starts_with('-')) rest.remove_prefix(1);
    const std::string_view exponent = rest;
    rest = SkipDigits(exponent);
    if (rest.size() == exponent.size()) return false;
  }
  return rest.empty();
}

}  // namespace

bool ParseBool(std::string_view text, bool* value) {
  *value = text == "true";
  return *value || text == "false";
}

bool ParseInt64(std::string_view text, int64_t* value) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || HasLeadingZero(digits) || text == "-0") return false;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseDouble(std::string_view text, double* value) {
  if (IsDecimal(text)) {
    *value = ToDouble(text);
    return true;
  }
  const bool negative = text.starts_with('-');
  const std::string_view word = negative ? text.substr(1) : text;
  if (word == "inf" || word == "Infinity") {
    *value = negative ? -std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::infinity();
    return true;
  }
  if (text == "NaN" || text == "nan") {
    *value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  return false;
}

CellKind KindOfCell(std::string_view text) {
  bool boolean;
  int64_t integer;
  double real;
  if (ParseBool(text, &boolean)) return CellKind::kBool;
  if (ParseInt64(text, &integer)) return CellKind::kInt64;
  // Digits alone that are no int64 are an integer beyond 64 bits, or no number's
  // spelling.
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (SkipDigits(digits).empty()) return CellKind::kString;
  return ParseDouble(text, &real) ? CellKind::kDouble : CellKind::kString;
}

}  // namespace fast_axolotl
