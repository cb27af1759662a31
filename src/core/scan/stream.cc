// SPDX-License-Identifier: Apache-2.0
#include "core/scan/stream.h"

#include "arrow/util/byte_size.h"

namespace fast_axolotl {

int64_t BytesOf(const Decoded& decoded) {
  return decoded.rows ? arrow::util::TotalBufferSize(*decoded.rows) : 0;
}

}  // namespace fast_axolotl
