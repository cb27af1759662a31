// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <limits>
#include <string_view>
#include <type_traits>

namespace fast_axolotl {

/// Whether a float of the type `To` holds the integer exactly: its digits, zeros at the
/// end left out, are no more than those of the float.
template <std::floating_point To, std::integral From>
constexpr bool IsExact(From value) {
  using Digits = std::make_unsigned_t<From>;
  const auto digits = static_cast<Digits>(
      value < 0 ? Digits{0} - static_cast<Digits>(value) : static_cast<Digits>(value));
  return digits == 0 || std::bit_width(digits) - std::countr_zero(digits) <=
                            std::numeric_limits<To>::digits;
}

/// The double nearest to a decimal number, whose syntax the caller has checked: like
/// Python's float(), infinity or zero beyond the range, whatever the locale.
double ToDouble(std::string_view decimal);

}  // namespace fast_axolotl
