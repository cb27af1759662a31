// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace fast_axolotl {

/// The double nearest to a decimal number, whose syntax the caller has checked: like
/// Python's float(), infinity or zero beyond the range, whatever the locale.
double ToDouble(std::string_view decimal);

}  // namespace fast_axolotl
