// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type.h"
#include "core/common/error.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/options.h"
#include "core/source/file.h"

namespace fast_axolotl {

/// A number of rows; an estimate unless `exact`.
struct RowCount {
  int64_t rows = 0;
  bool exact = true;
};

/// The files of a dataset, in order, and the columns a sample of them shows. Immutable to
/// its users, who may share it between threads.
class Dataset {
 public:
  /// Looks at the first file and at up to 15 more at equal steps of the list. `format`
  /// null: each file tells. A column in `options.columns` that none of them has is
  /// Invalid, unless the caller fixed its type. `keep_begun`: a pass over all rows as
  /// they come follows, and goes on from what was decoded for the sample.
  /// `num_threads`: so many files are sampled at a time.
  static Result<std::shared_ptr<Dataset>> Open(std::vector<File> files,
                                               const Format* format, ReadOptions options,
                                               bool keep_begun = false,
                                               int num_threads = 1);

  const std::vector<File>& files() const { return files_; }
  /// The columns to be read, those of the sample in their order, with stable types.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  /// The format that the caller named; null: each file tells.
  const Format* format() const { return format_; }
  /// How to read: what was passed to Open, and the sample.
  const ReadOptions& options() const { return options_; }

  /// A file and how to read it, found out at the first call.
  Result<Input> input(size_t file) const;

  /// The pass over the first file that its sample began, for the one that asks first;
  /// null where there is none. `options`: what it will be read with.
  BegunPass TakeBegun(size_t file, const ReadOptions& options) const;

  /// The rows of all files, as far as footers or complete samples tell.
  Result<RowCount> CountRows() const;

 private:
  Dataset(std::vector<File> files, const Format* format, ReadOptions options)
      : files_(std::move(files)),
        format_(format),
        options_(std::move(options)),
        inputs_(files_.size()),
        samples_(files_.size()) {}

  // A sampled file; without a format where it could not be read.
  struct SampledFile {
    size_t file = 0;
    const Format* format = nullptr;
    Status unread;
  };

  Result<const Format*> SampleOf(size_t file);
  Result<std::vector<SampledFile>> SampleFiles(int num_threads);
  Result<std::shared_ptr<arrow::Schema>> FooterOf(size_t file) const;
  Result<int64_t> FooterRows(size_t file) const;
  Status TakeSample(int num_threads);
  Status FindColumns(arrow::FieldVector* fields);

  const std::vector<File> files_;
  const Format* const format_;
  ReadOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
  mutable std::mutex mutex_;  // guards inputs_ and begun_
  mutable BegunPass begun_;   // of the first file
  mutable std::vector<std::optional<Input>> inputs_;
  std::vector<std::optional<Sample>> samples_;
  std::mutex spool_mutex_;  // held to sample what has to be decompressed for that
};

}  // namespace fast_axolotl
