// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arrow/record_batch.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// What RecordBatch::ValidateFull does, faster for columns of strings.
Status ValidateBatch(const arrow::RecordBatch& batch);

/// What libparquet leaves open of a batch that it decoded: the lengths of buffers, and
/// where the indices of a dictionary point to.
Status ValidateDecoded(const arrow::RecordBatch& batch);

}  // namespace fast_axolotl
