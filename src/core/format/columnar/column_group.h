// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "arrow/record_batch.h"
#include "core/common/error.h"
#include "core/common/limits.h"

namespace fast_axolotl {

/// Decoded bytes of one batch of a row group, about.
inline constexpr int64_t kBatchBytes = int64_t{4} << 20;

/// Columns of a Parquet row group that are read one after the other, batch by batch.
/// Whoever needs a batch of theirs reads all up to it, so that several threads can each
/// be at another group.
class ColumnGroup {
 public:
  /// `positions`: where the columns stand among all that are read; `rows`: of the row
  /// group; `batch_rows`: of each batch but the last.
  ColumnGroup(std::unique_ptr<arrow::RecordBatchReader> reader,
              std::vector<size_t> positions, int64_t rows, int64_t batch_rows,
              const Limits& limits);

  /// Puts the columns of batch number `batch` into their places. Each batch is taken
  /// once. False, unless `wait`, if another thread is at these columns.
  Result<bool> Take(int64_t batch, bool wait, arrow::ArrayVector* columns);

  /// Whether this is the batch that could not be read, for another reason than its size.
  bool FailedAt(int64_t batch);

  /// Reads a batch before `end` that will be needed next, if there is one and no other
  /// thread is at these columns.
  bool ReadAhead(int64_t end);

 private:
  void ReadOne();
  Result<std::shared_ptr<arrow::RecordBatch>> Read();

  std::mutex mutex_;  // guards all that is not const
  const std::unique_ptr<arrow::RecordBatchReader> reader_;
  const Limits limits_;
  const std::vector<size_t> positions_;
  const int64_t rows_;
  const int64_t batch_rows_;
  int64_t next_ = 0;                          // the batch to read next
  std::shared_ptr<arrow::RecordBatch> rest_;  // rows of it that were read
  std::map<int64_t, std::shared_ptr<arrow::RecordBatch>> waiting_;  // read, not taken
  Status failure_;
  bool refused_ = false;  // it would take too much memory
};

}  // namespace fast_axolotl
