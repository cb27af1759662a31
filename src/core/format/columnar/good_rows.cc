// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/good_rows.h"

#include <algorithm>
#include <utility>

#include "arrow/array/concatenate.h"
#include "core/format/columnar/caught.h"
#include "core/format/columnar/columnar.h"
#include "core/format/columnar/validate.h"

namespace fast_axolotl {
namespace {

// Small steps there are in all the rows that are read.
constexpr int64_t kSteps = 256;

// Reads so many rows, or none.
Status ReadStep(const ColumnSteps& column, int64_t rows, arrow::ArrayVector* values) {
  arrow::ArrayVector read;
  while (rows > 0) {
    column.file->set_batch_size(rows);
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(column.rows->ReadNext(&batch));
    if (!batch) return Status::IOError("rows are missing in this row group");
    ARROW_RETURN_NOT_OK(ValidateDecoded(*batch));
    rows -= batch->num_rows();
    read.push_back(batch->column(0));
  }
  values->insert(values->end(), read.begin(), read.end());
  return Status::OK();
}

// Reads on to `end`, so many rows at a time.
Status ReadTo(const ColumnSteps& column, int64_t* row, int64_t end, int64_t step,
              arrow::ArrayVector* values) {
  while (*row < end) {
    const int64_t rows = std::min(step, end - *row);
    ARROW_RETURN_NOT_OK(ReadStep(column, rows, values));
    *row += rows;
  }
  return Status::OK();
}

}  // namespace

GoodRows ReadGoodRows(const OpenColumn& open, int64_t begin, int64_t count,
                      int64_t step) {
  arrow::ArrayVector values;
  const int64_t small = std::max<int64_t>(count / kSteps, 1);
  // Up to where the rows are good, and up to where to look for the fault.
  int64_t good = begin;
  int64_t end = begin + count;
  const auto read = [&](int64_t fine) -> Status {
    ARROW_ASSIGN_OR_RAISE(const ColumnSteps column, open());
    arrow::ArrayVector passed_over;
    for (int64_t row = 0; row < begin; passed_over.clear()) {
      const int64_t next = std::min(begin, row + step);
      ARROW_RETURN_NOT_OK(ReadTo(column, &row, next, step, &passed_over));
    }
    arrow::ArrayVector again;
    int64_t row = begin;
    ARROW_RETURN_NOT_OK(ReadTo(column, &row, good, step, &again));
    values = std::move(again);
    return ReadTo(column, &good, end, fine, &values);
  };
  GoodRows found;
  found.end = Caught([&] { return read(small); });
  if (!found.end.ok() && small > 1) {
    end = std::min(end, good + small);
    const Status finer = Caught([&] { return read(1); });
    if (!finer.ok()) found.end = finer;
  }
  if (values.empty()) return found;
  auto joined = Guarded([&] { return arrow::Concatenate(values, DecodePool()); });
  if (!joined.ok()) return {nullptr, joined.status()};
  found.values = std::move(*joined);
  return found;
}

}  // namespace fast_axolotl
