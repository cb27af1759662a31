// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "core/common/error.h"

namespace fast_axolotl {

// Throws the Python exception that a Status stands for (see core/common/error.h). The one
// place where a Status becomes an exception. The GIL must be held.
[[noreturn]] void Throw(const Status& status);

inline void Check(const Status& status) {
  if (!status.ok()) Throw(status);
}

template <typename T>
T ValueOf(Result<T> result) {
  if (!result.ok()) Throw(result.status());
  return std::move(result).ValueUnsafe();
}

}  // namespace fast_axolotl
