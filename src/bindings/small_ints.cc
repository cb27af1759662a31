// SPDX-License-Identifier: Apache-2.0

#include "bindings/small_ints.h"

#include <algorithm>

namespace fast_axolotl {

// Zeroed memory is not paged in before its block is asked for. The objects live as long
// as the process, like CPython's own small ints.
PyObject* small_ints[kSmallIntEnd - kSmallIntBegin];

PyObject* MakeSmallInts(uint64_t index) {
  constexpr uint64_t kBlock = 1024;
  const uint64_t begin = index / kBlock * kBlock;
  for (uint64_t i = begin; i < begin + kBlock; ++i) {
    if (small_ints[i] != nullptr) continue;
    small_ints[i] = PyLong_FromLongLong(static_cast<int64_t>(i) + kSmallIntBegin);
    if (small_ints[i] == nullptr) return nullptr;
  }
  return small_ints[index];
}

static_assert((kSmallIntEnd - kSmallIntBegin) % 1024 == 0);

}  // namespace fast_axolotl
