// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/record_batch.h"
#include "core/common/error.h"

namespace parquet {
class RowGroupReader;
namespace arrow {
struct SchemaField;
}
}  // namespace parquet

namespace fast_axolotl {

/// Whether MakeListReader can read the column: a list of numbers, not nested in anything.
bool IsPlainListColumn(const parquet::arrow::SchemaField& column);

/// Reads such a column of a row group, `batch_rows` rows at a time. Arrow's own reader
/// passes over the levels of each value several times, which for lists of tokens costs
/// more than their values do.
Result<std::unique_ptr<arrow::RecordBatchReader>> MakeListReader(
    parquet::RowGroupReader& row_group, const parquet::arrow::SchemaField& column,
    int64_t batch_rows);

}  // namespace fast_axolotl
