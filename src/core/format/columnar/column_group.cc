// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/column_group.h"

#include <algorithm>
#include <utility>

#include "core/format/columnar/budget.h"
#include "core/format/columnar/caught.h"
#include "core/format/columnar/validate.h"

namespace fast_axolotl {

ColumnGroup::ColumnGroup(std::unique_ptr<arrow::RecordBatchReader> reader,
                         std::vector<size_t> positions, int64_t rows, int64_t batch_rows,
                         const Limits& limits)
    : reader_(std::move(reader)),
      limits_(limits),
      positions_(std::move(positions)),
      rows_(rows),
      batch_rows_(batch_rows) {}

Result<bool> ColumnGroup::Take(int64_t batch, bool wait, arrow::ArrayVector* columns) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (wait) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return false;
  }
  while (failure_.ok() && next_ <= batch) ReadOne();
  const auto found = waiting_.find(batch);
  if (found == waiting_.end()) {
    return failure_.ok() ? Status::IOError("the batch was taken before") : failure_;
  }
  for (size_t i = 0; i < positions_.size(); ++i) {
    (*columns)[positions_[i]] = found->second->column(static_cast<int>(i));
  }
  waiting_.erase(found);
  return true;
}

bool ColumnGroup::FailedAt(int64_t batch) {
  const std::lock_guard lock(mutex_);
  return !failure_.ok() && !refused_ && next_ == batch;
}

bool ColumnGroup::ReadAhead(int64_t end) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || !failure_.ok() || next_ >= end) return false;
  ReadOne();
  return true;
}

void ColumnGroup::ReadOne() {
  // Runs of one value, and a dictionary's, become any amount of data.
  DecodeBudget budget(std::max(limits_.row_bytes, 16 * kBatchBytes));
  auto read = Caught([&] { return Read(); });
  refused_ = budget.refused() > 0;
  if (refused_) {
    failure_ = Status::IOError("the next rows take at least ", budget.refused(),
                               " bytes of memory, and the limit of a row is ",
                               limits_.row_bytes, RaiseLimit(limits_, "row_bytes"));
  } else if (read.ok()) {
    waiting_.emplace(next_, std::move(*read));
    ++next_;
  } else {
    failure_ = read.status();
  }
}

// The next batch, whole: Arrow's reader may give it in pieces.
Result<std::shared_ptr<arrow::RecordBatch>> ColumnGroup::Read() {
  const int64_t begin = next_ * batch_rows_;
  const int64_t wanted = std::min(batch_rows_, rows_ - begin);
  arrow::RecordBatchVector pieces;
  int64_t found = 0;
  while (found < wanted) {
    if (!rest_) ARROW_RETURN_NOT_OK(reader_->ReadNext(&rest_));
    if (!rest_) {
      return Status::IOError("expected ", rows_, " rows in this row group, found ",
                             begin + found);
    }
    ARROW_RETURN_NOT_OK(ValidateDecoded(*rest_));
    const int64_t taken = std::min(wanted - found, rest_->num_rows());
    pieces.push_back(rest_->Slice(0, taken));
    rest_ = taken < rest_->num_rows() ? rest_->Slice(taken) : nullptr;
    found += taken;
  }
  if (pieces.size() == 1) return pieces[0];
  return arrow::ConcatenateRecordBatches(pieces, DecodePool());
}

}  // namespace fast_axolotl
