// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "core/common/error.h"

namespace fast_axolotl {

/// Calls `body` for each number below `count`, in rising order, on so many threads (at
/// least one) while this one waits and looks at CheckStop; on this one where none can be
/// started or would be safe. Returns the error of the lowest number; after one, no more
/// are begun.
Status ForEach(size_t count, int num_threads, const std::function<Status(size_t)>& body);

}  // namespace fast_axolotl
