// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <optional>

#include "core/output/output.h"

namespace fast_axolotl {

// What is made of batches.
struct Output {
  enum class Kind { kPython, kNumpy, kTorch, kArrow };

  Kind kind = Kind::kPython;
  std::optional<PadOptions> pad;
  std::optional<PackColumns> pack;

  // Whether batches are dicts of lists, of whatever types their rows have.
  bool as_lists() const { return kind == Kind::kPython && !pack; }
  // Whether shuffled rows are best taken before. Padding and packing copy them from where
  // they were decoded.
  bool takes_rows() const { return !pad && !pack; }
};

}  // namespace fast_axolotl
