// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/record_batch.h"

namespace parquet {
class RowGroupReader;
namespace arrow {
struct SchemaField;
}
}  // namespace parquet

namespace fast_axolotl {

/// Reads a column of lists of numbers from a row group, `batch_rows` rows at a time; null
/// for any other column, which is for Arrow. Arrow's own reader passes over the levels of
/// each value several times, which for lists of tokens costs more than their values do.
std::unique_ptr<arrow::RecordBatchReader> MakeListReader(
    parquet::RowGroupReader& row_group, const parquet::arrow::SchemaField& column,
    int64_t batch_rows);

}  // namespace fast_axolotl
