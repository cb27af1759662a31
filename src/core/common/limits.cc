// SPDX-License-Identifier: Apache-2.0
#include "core/common/limits.h"

#include <algorithm>

namespace fast_axolotl {
namespace {

// Beyond any file, and small enough for sums of a few.
constexpr int64_t kAny = int64_t{1} << 60;
// Offsets of columns and of rows in a block have 32 bits.
constexpr int64_t kMaxRow = (int64_t{1} << 31) - 1;
// The parser recurses, and a thread's stack may have no more than 512 KiB (macOS).
constexpr int64_t kMaxDepth = 1024;

constexpr NamedLimit kLimits[] = {
    {"row_bytes", &Limits::row_bytes, kMaxRow},
    {"json_depth", &Limits::json_depth, kMaxDepth},
    {"expansion", &Limits::expansion, kAny},
    {"decoded_bytes", &Limits::decoded_bytes, kAny},
    {"columns", &Limits::columns, int64_t{1} << 24},
    {"metadata_bytes", &Limits::metadata_bytes, kMaxRow},
};

}  // namespace

int64_t Limits::Expanded(int64_t compressed) const {
  return std::max(compressed > kAny / expansion ? kAny : compressed * expansion,
                  kFreeExpansion);
}

std::span<const NamedLimit> AllLimits() { return kLimits; }

std::string RaiseLimit(const Limits& limits, std::string_view name) {
  for (const NamedLimit& limit : kLimits) {
    if (limit.name == name && limits.*limit.value >= limit.most) return "";
  }
  return "; if the data are right, allow more with limits={\"" + std::string(name) +
         "\": ...}";
}

}  // namespace fast_axolotl
