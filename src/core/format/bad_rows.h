// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/record_batch.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// A row that could not be read, or several that were lost together.
///
/// Where bad rows are left out they keep their places until a batch has been cut, so that
/// what makes a batch does not depend on what is damaged. Until then they are null rows
/// of a record batch that says in a hidden column what is wrong with them.
struct BadRow {
  static constexpr int64_t kUnknown = -1;

  int64_t at = 0;    // the first of them, among all rows that were decoded together
  int64_t rows = 1;  // kUnknown: they could not be counted
  int64_t line = kUnknown;    // of the file, from 1, in text formats
  int64_t offset = kUnknown;  // in the (decompressed) file, in bytes
  std::string reason;
  std::string text;  // of the row, as far as it is kept; may be any bytes

  /// How many places they take among the rows.
  int64_t places() const { return std::max<int64_t>(rows, 1); }
};

/// Behind the reason of damage that nothing is read behind.
inline const std::string kRestIsLost = "; what follows in this file is lost";

/// Of a bad row's text this much is kept, in bytes.
constexpr size_t kMaxBadText = 4096;

/// A bad row for the error that it would be; the path in front is taken off its message.
BadRow MakeBadRow(int64_t at, const Status& error, const std::string& path,
                  std::string_view text = {});

/// Damage that was met when a file was indexed, of which could not be told how many rows
/// it took. It is no part of the index, but for its place, which is that of one row.
struct Damage {
  int64_t row = 0;  // places of the file before it
  std::string reason;
};

/// The damage that an error stands for; `then` says what becomes of what is behind it.
Damage MakeDamage(int64_t row, const Status& error, const std::string& path,
                  const std::string& then = kRestIsLost);

/// Whether an error is one of the data, which may be passed over, and not of the machine:
/// a disk that fails, memory that is short, a file that has gone.
bool IsOfData(const Status& error);

/// Puts null rows into their places among the good `rows`, with the hidden column.
/// `bad` ascends.
Result<std::shared_ptr<arrow::RecordBatch>> WithBadRows(
    const std::shared_ptr<arrow::RecordBatch>& rows, const std::vector<BadRow>& bad);

/// The rows but those at `left_out`, which ascend.
Result<std::shared_ptr<arrow::RecordBatch>> WithoutRows(
    const arrow::RecordBatch& rows, const std::vector<int64_t>& left_out);

/// The index of the hidden column in a schema, or -1: all rows are good.
int BadRowsIndex(const arrow::Schema& schema);

/// What the hidden column says of a bad row: all but the file and the row, which are
/// known only where the row comes out.
std::string HiddenText(const BadRow& bad);

/// What the hidden column says of a bad row, as an object of JSON: of which file it is,
/// and which row of it, from 1. Empty for the second and later ones of several that were
/// lost together.
std::string BadRowJson(const std::string& path, int64_t row, std::string_view hidden);

}  // namespace fast_axolotl
