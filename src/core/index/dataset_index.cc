// SPDX-License-Identifier: Apache-2.0
#include "core/index/dataset_index.h"

#include <cstdio>

namespace fast_axolotl {

// FNV-1a, eight bytes at a time.
void LeftOut::Add(int64_t number) {
  constexpr uint64_t kOffset = 14695981039346656037u;
  constexpr uint64_t kPrime = 1099511628211u;
  if (hash_ == 0) hash_ = kOffset;
  hash_ = (hash_ ^ static_cast<uint64_t>(number)) * kPrime;
  hash_ ^= hash_ >> 32;
}

std::string LeftOut::ToString() const {
  if (hash_ == 0) return "";
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
  return text;
}

}  // namespace fast_axolotl
