// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace fast_axolotl {

// The version of the package, as pyproject.toml has it.
std::string_view Version();

}  // namespace fast_axolotl
