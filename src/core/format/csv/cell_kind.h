// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace fast_axolotl {

/// What a CSV cell's text can be read as without losing any of it.
enum class CellKind : uint8_t { kBool, kInt64, kDouble, kString };

/// bool: true and false, so written. int64: a number's own spelling, with
/// no leading zero, plus sign or blank, in range. double: such a number with a fraction
/// or an exponent, and NaN, inf, -inf. Everything else is a string, an integer of more
/// than 64 bits among them.
CellKind KindOfCell(std::string_view text);

/// The value of a cell as a kind; false if the text is not of that kind. An integer is a
/// double too.
bool ParseBool(std::string_view text, bool* value);
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseDouble(std::string_view text, double* value);

}  // namespace fast_axolotl
