// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/index/dataset.h"
#include "core/scan/opened_files.h"
#include "core/scan/stream.h"

namespace fast_axolotl {

/// Makes streams of files that are read front to back; any thread may call it. Small
/// files are read at once, many of them in one go where that can be.
class StreamOpener {
 public:
  /// `opened` must outlive it. Each of `num_threads` is to have some of the files.
  StreamOpener(std::shared_ptr<const Dataset> dataset, ReadOptions options,
               int num_threads, const OpenedFiles& opened);

  /// How many files, from this one on, to open in one go.
  size_t RunFrom(size_t file) const;

  /// The streams of `count` files: one for each fragment, one for several files that were
  /// joined, or one for each file that is to be opened by itself.
  Result<std::vector<std::shared_ptr<Stream>>> Open(size_t first, size_t count);

 private:
  Result<std::vector<std::shared_ptr<Stream>>> OpenFragments(size_t file) const;
  std::vector<std::shared_ptr<Stream>> OpenRun(size_t first, size_t count);

  const std::shared_ptr<const Dataset> dataset_;
  const ReadOptions options_;
  const size_t num_threads_;
  const OpenedFiles& opened_;
  std::atomic<int64_t> runs_ = 0;         // of files that were to be joined
  std::atomic<int64_t> failed_runs_ = 0;  // of those, read one by one
};

}  // namespace fast_axolotl
