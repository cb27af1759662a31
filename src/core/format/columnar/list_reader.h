// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/record_batch.h"

namespace parquet {
class ArrowReaderProperties;
class RowGroupReader;
namespace arrow {
struct SchemaField;
}
}  // namespace parquet

namespace fast_axolotl {

/// Reads a column of lists of numbers from a row group, and as Arrow's readers do, as
/// many rows at a time as `properties` say at that time; null for any other column, which
/// is for Arrow. Arrow's own reader passes over the levels of each value several times,
/// which for lists of tokens costs more than their values do.
std::unique_ptr<arrow::RecordBatchReader> MakeListReader(
    parquet::RowGroupReader& row_group, const parquet::arrow::SchemaField& column,
    const parquet::ArrowReaderProperties& properties);

}  // namespace fast_axolotl
