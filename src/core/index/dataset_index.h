// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/format/format.h"

namespace fast_axolotl {

/// What is left out of a dataset's files because it was found to be unreadable
/// beforehand, as a number that tells it from anything else.
class LeftOut {
 public:
  void Add(size_t file, const FileIndex& index) {
    if (!index.leaves_out()) return;
    Add(static_cast<int64_t>(file));
    Add(static_cast<int64_t>(index.bad.size()));
    for (const int64_t row : index.bad) Add(row);
    for (const Damage& damage : index.damages) Add(damage.row);
  }

  /// In hexadecimal digits; empty where nothing is left out.
  std::string ToString() const;

 private:
  void Add(int64_t number);

  uint64_t hash_ = 0;
};

/// The fragments of all files of a dataset, with their rows.
class DatasetIndex {
 public:
  struct Entry {
    size_t file = 0;
    Fragment fragment;
  };

  explicit DatasetIndex(std::vector<std::shared_ptr<const FileIndex>> files)
      : files_(std::move(files)) {
    for (size_t file = 0; file < files_.size(); ++file) {
      for (const Fragment& fragment : files_[file]->fragments) {
        entries_.push_back({file, fragment});
        rows_ += fragment.rows;
      }
      left_out_.Add(file, *files_[file]);
    }
  }

  size_t files() const { return files_.size(); }
  const std::shared_ptr<const FileIndex>& file(size_t i) const { return files_[i]; }
  /// All fragments, in the order of the files and of the rows in them.
  const std::vector<Entry>& entries() const { return entries_; }
  int64_t rows() const { return rows_; }
  const LeftOut& left_out() const { return left_out_; }

 private:
  const std::vector<std::shared_ptr<const FileIndex>> files_;
  std::vector<Entry> entries_;
  int64_t rows_ = 0;
  LeftOut left_out_;
};

}  // namespace fast_axolotl
