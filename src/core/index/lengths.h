// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace fast_axolotl {

/// How many items the lists of one column have: of each file, of each of its rows.
struct RowLengths {
  std::vector<std::vector<uint32_t>> files;
};

}  // namespace fast_axolotl
