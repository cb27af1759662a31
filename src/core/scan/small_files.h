// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "arrow/record_batch.h"
#include "core/index/dataset.h"
#include "core/output/batch.h"

namespace fast_axolotl {

/// The rows of several files, decoded as one, and where among them each file begins.
struct JoinedRows {
  std::shared_ptr<arrow::RecordBatch> rows;  // null: there are none
  std::vector<FileStart> starts;
};

/// How many files from `first` on may be worth joining, by their names and sizes, at most
/// `most`; at least one.
size_t CountJoinable(const Dataset& dataset, size_t first, size_t most);

/// Decodes small files of lines behind each other: with few rows to each, preparing to
/// read a file takes longer than reading it. Nothing where that cannot be, or where
/// anything is wrong with one of them: read one by one, they give the good rows and the
/// error in their order.
std::optional<JoinedRows> JoinFiles(const Dataset& dataset, size_t first, size_t count,
                                    const ReadOptions& options);

}  // namespace fast_axolotl
