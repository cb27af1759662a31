// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/format/format.h"

namespace fast_axolotl {

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
      leaves_out_ |= files_[file]->leaves_out();
    }
  }

  size_t files() const { return files_.size(); }
  const std::shared_ptr<const FileIndex>& file(size_t i) const { return files_[i]; }
  /// All fragments, in the order of the files and of the rows in them.
  const std::vector<Entry>& entries() const { return entries_; }
  int64_t rows() const { return rows_; }
  /// Whether something was found to be unreadable beforehand, and is left out.
  bool leaves_out() const { return leaves_out_; }

 private:
  const std::vector<std::shared_ptr<const FileIndex>> files_;
  std::vector<Entry> entries_;
  int64_t rows_ = 0;
  bool leaves_out_ = false;
};

}  // namespace fast_axolotl
