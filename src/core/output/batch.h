// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "core/common/error.h"
#include "core/index/dataset.h"

namespace fast_axolotl {

/// Where the rows of a file begin among those of several.
struct FileStart {
  int64_t row = 0;
  size_t file = 0;
};

/// A row of a file, from 0.
struct FileRow {
  size_t file = 0;
  int64_t row = 0;
};

/// Rows of one file, with their place in it; or of several small ones.
struct Piece {
  std::shared_ptr<arrow::RecordBatch> rows;
  size_t file = 0;
  int64_t first_row = 0;  // in the file, from 0
  /// Where only some of `rows` are meant: which, and at which places of the batch they
  /// stand. Both empty: all, behind the piece before.
  std::vector<uint32_t> sources = {};
  std::vector<uint32_t> places = {};
  /// `rows` has been reduced to those that are meant, in their order; `sources` still
  /// says where they stood.
  bool taken = false;
  /// Where the rows are of several files: where each begins, in ascending order.
  /// `first_row` then counts from the start of the first of them. Not of a gathered
  /// piece.
  std::shared_ptr<const std::vector<FileStart>> joined = nullptr;

  bool gathered() const { return !places.empty(); }
  /// The rows that are meant.
  int64_t num_rows() const {
    return gathered() ? static_cast<int64_t>(places.size()) : rows->num_rows();
  }
  /// The row of `rows` that is the i-th that is meant.
  int64_t source(int64_t i) const { return gathered() && !taken ? sources[i] : i; }
  /// Where the i-th row that is meant comes from.
  FileRow origin(int64_t i) const;
  /// Some of the rows that are meant. Their places stay as they are.
  Piece Slice(int64_t from, int64_t count) const;
};

/// Rows of a dataset, in pieces.
struct Batch {
  std::vector<Piece> pieces;
  int64_t rows = 0;
  bool cut = false;  // it is short because of an error, which comes next
  /// Of rows that could not be read and are left out of it: what is known, as objects of
  /// JSON (see BadRowJson), and how many they are. A batch of no rows that left none out
  /// is the end.
  std::vector<std::string> bad = {};
  int64_t skipped = 0;

  bool is_end() const { return rows == 0 && skipped == 0; }

  /// Whether its rows were gathered from many places, and not read one after another.
  bool gathered() const { return !pieces.empty() && pieces[0].gathered(); }
  /// Keeps its first rows only; not of a gathered one.
  void Shorten(int64_t count);
};

/// The piece with `rows` taken.
Result<Piece> Gather(const Piece& piece);

/// The rows in one record batch with the columns of `schema`, which all pieces have.
/// Views the pieces' memory where they are one, copies it where they are several.
Result<std::shared_ptr<arrow::RecordBatch>> Collect(
    const Batch& batch, const std::shared_ptr<arrow::Schema>& schema);

}  // namespace fast_axolotl
