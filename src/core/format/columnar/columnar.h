// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "core/format/columnar/budget.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/options.h"

namespace fast_axolotl {

/// What the formats share that hold Arrow columns: Parquet and Arrow IPC.

/// The schema of a file, its columns' names made unique. Names that are not UTF-8 are an
/// IOError: no caller could ask for such a column.
Result<std::shared_ptr<arrow::Schema>> ColumnsOf(const arrow::Schema& schema);

/// The columns of a file that are to be read.
struct Projection {
  std::vector<int> indices;        // in the file's schema
  std::vector<std::string> names;  // unique names, for each index
};
Projection MakeProjection(const arrow::Schema& schema, const ReadOptions& options);

/// The rows of a batch that was read with `projection`, under their unique names and with
/// the types the caller fixed. `first_row` is the batch's first row in the file.
Decoded Finish(const arrow::RecordBatch& batch, const Projection& projection,
               const ReadOptions& options, const std::string& path, int64_t first_row);

/// The `good` rows, which ended well, and `rows` rows behind them that cannot be read:
/// these are an error, or bad rows where such are kept.
Decoded Lost(Decoded good, const Status& error, int64_t rows, const ReadOptions& options,
             const std::string& path);

/// Refuses a footer that is too long before it is read: readers take many times its size
/// for it. Its length, in four bytes, stands before the magic bytes at the file's end.
Status CheckFooter(arrow::io::RandomAccessFile& file, int64_t magic_bytes,
                   const Input& input);

}  // namespace fast_axolotl
