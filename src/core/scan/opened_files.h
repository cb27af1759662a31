// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "core/format/format.h"
#include "core/index/dataset.h"
#include "core/index/dataset_index.h"

namespace fast_axolotl {

/// Opens the files of a dataset for reading; any thread may call it.
class OpenedFiles {
 public:
  /// With an `index`, which may be null, files have its fragments.
  OpenedFiles(std::shared_ptr<const Dataset> dataset,
              std::shared_ptr<const DatasetIndex> index, ReadOptions options);

  /// A file that is read front to back.
  Result<std::shared_ptr<const OpenedFile>> Open(size_t file) const;

  /// A file that may be asked for again, each time for another fragment: what its footer
  /// says is kept at hand.
  Result<std::shared_ptr<const OpenedFile>> OpenKept(size_t file);

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<const DatasetIndex> index_;
  const ReadOptions options_;
  std::mutex mutex_;
  std::map<size_t, std::shared_ptr<const OpenedFile>> kept_;
};

}  // namespace fast_axolotl
