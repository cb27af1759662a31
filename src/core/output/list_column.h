// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "arrow/type.h"
#include "core/common/error.h"
#include "core/output/batch.h"
#include "core/output/sequences.h"

namespace fast_axolotl {

/// Whether a column is one of lists of numbers or truth values, which `ListColumn` reads.
bool IsListOfNumbers(const arrow::DataType& type);

/// A list column's rows in the order of the batch, where they lie; a null list is empty,
/// truth values are 0 and 1. Invalid where an item is null; `*row` is its row.
Result<Sequences> ListColumn(const Batch& batch, const std::string& name, int64_t* row);

}  // namespace fast_axolotl
