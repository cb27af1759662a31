// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "arrow/record_batch.h"
#include "core/common/error.h"
#include "parquet/arrow/reader.h"

namespace fast_axolotl {

/// A column of a row group, from its first row on.
struct ColumnSteps {
  std::shared_ptr<parquet::arrow::FileReader> file;  // whose batch size is the next step
  std::shared_ptr<arrow::RecordBatchReader> rows;
};
using OpenColumn = std::function<Result<ColumnSteps>()>;

/// Rows of a column, and how they ended.
struct GoodRows {
  std::shared_ptr<arrow::Array> values;
  Status end;
};

/// Reads rows `[begin, begin + count)` of a column in which there is a fault, up to it:
/// in small steps, then row by row in the step that failed. The column is opened anew for
/// each of the two, and what is before `begin` is decoded again, `step` rows at a time.
GoodRows ReadGoodRows(const OpenColumn& open, int64_t begin, int64_t count, int64_t step);

}  // namespace fast_axolotl
