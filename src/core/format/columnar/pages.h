// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/common/limits.h"
#include "parquet/file_reader.h"

namespace fast_axolotl {

/// The same file, with pages that cannot ask for more memory than their column chunk's
/// bytes may become under `limits`: libparquet allocates whatever a page's header says,
/// and no checksum covers that. `file_size` in bytes.
std::unique_ptr<parquet::ParquetFileReader::Contents> LimitPages(
    std::unique_ptr<parquet::ParquetFileReader::Contents> file, const Limits& limits,
    int64_t file_size);

}  // namespace fast_axolotl
