// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "core/common/error.h"
#include "core/common/limits.h"
#include "core/source/file.h"

namespace fast_axolotl {

/// How a CSV file is written where RFC 4180 leaves a choice.
struct CsvOptions {
  /// The byte between cells; 0 means a tab in `.tsv` files and a comma elsewhere.
  char delimiter = 0;
  /// Whether the first row holds the column names; they are `column_<i>` otherwise.
  bool header = true;
};

/// Columns that no sample showed and that were left out, as they are met on any thread.
class LateColumns {
 public:
  void Add(const std::string& name);
  /// Those that were met since the last call.
  std::vector<std::string> Take();

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
  std::vector<std::string> new_;
};

/// What to read of each file, and as what.
struct ReadOptions {
  /// Only these columns; those that a file lacks are left out of its batches.
  std::optional<std::vector<std::string>> columns;
  /// Types that the caller fixed, by column name; null where none is.
  std::shared_ptr<arrow::Schema> types;
  /// The columns that sampling found. CSV takes its kinds from here.
  std::shared_ptr<arrow::Schema> sampled;
  /// The columns that all rows must come out with; null where each block has what its
  /// rows have.
  std::shared_ptr<arrow::Schema> stable;
  /// Where columns that `stable` lacks are noted down.
  std::shared_ptr<LateColumns> late;
  CsvOptions csv;
  Limits limits;
  std::shared_ptr<ByteCounter> counter;
  /// Whether indexing a compressed file also finds where it can be read from; finding
  /// that takes longer than reading.
  bool restart_points = true;
  /// How many threads one file may be indexed with.
  int index_threads = 1;
  /// Rows that cannot be read become bad rows, in their places (see bad_rows.h), instead
  /// of an error that ends the pass.
  bool keep_bad_rows = false;
  /// The field that the caller fixed for a column, or null.
  std::shared_ptr<arrow::Field> FixedField(const std::string& column) const;
  /// The field that all rows must come out with, be it the caller's or the sample's.
  std::shared_ptr<arrow::Field> WantedField(const std::string& column) const;
  /// Whether a column is to be read.
  bool Wants(const std::string& column) const;
};

/// An IOError that names `path` where `bytes` of metadata are more than `limits` allow.
Status CheckMetadata(int64_t bytes, const Limits& limits, const std::string& path);

/// An IOError that names `path` where there are more columns than `limits` allow.
Status CheckColumns(int64_t columns, const Limits& limits, const std::string& path);

/// Stored with a field whose strings are JSON values in text form: Python gets the
/// values, other outputs get `arrow.json`.
std::shared_ptr<arrow::Field> JsonField(const std::string& name);
bool IsJsonField(const arrow::Field& field);

/// The same where all values are numbers of both kinds, or lists of such: each is carried
/// as it stands, and the column as a whole is of `type`, double or list<double>.
std::shared_ptr<arrow::Field> JsonNumberField(const std::string& name,
                                              const arrow::DataType& type);
/// The type of the column as a whole; null where it is of no simple one.
std::shared_ptr<arrow::DataType> TypeOfJsonField(const arrow::Field& field);

/// A hidden bool column that says which rows have the key `name` at all, stored beside a
/// column that the sample did not show: a batch has such a key only if a row of it does.
std::shared_ptr<arrow::Field> PresenceField(const std::string& name);
bool IsPresenceField(const arrow::Field& field);
/// The index of the presence column of `name` in a schema, or -1.
int PresenceIndex(const arrow::Schema& schema, const std::string& name);

}  // namespace fast_axolotl
