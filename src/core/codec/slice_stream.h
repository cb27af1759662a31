// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/io/interfaces.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// `size` bytes of `stream`, after `skip` others, which are read and dropped. The stream
/// may end before that.
Result<std::shared_ptr<arrow::io::InputStream>> SliceStream(
    std::shared_ptr<arrow::io::InputStream> stream, int64_t skip, int64_t size);

}  // namespace fast_axolotl
