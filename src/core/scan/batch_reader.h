// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/output/batch.h"
#include "core/scan/scan.h"

namespace fast_axolotl {

/// Cuts the rows of a scan into batches of `batch_size` rows, over all borders of files
/// and fragments. Only the last batch, or the one before an error, is shorter.
class BatchReader {
 public:
  /// `dataset`: whose bad rows are to be left out of the batches they fall into; null
  /// where none are kept.
  BatchReader(std::unique_ptr<Scan> scan, int64_t batch_size,
              std::shared_ptr<const Dataset> dataset = nullptr)
      : scan_(std::move(scan)), batch_size_(batch_size), dataset_(std::move(dataset)) {}

  /// What a wait ended with: a batch, the end (see Batch), or the time (nothing). An
  /// error comes after all rows before it, and again at every later call.
  Result<std::optional<Batch>> Next(std::chrono::milliseconds timeout);

 private:
  Result<bool> Fill(std::chrono::milliseconds timeout);

  const std::unique_ptr<Scan> scan_;
  const int64_t batch_size_;
  const std::shared_ptr<const Dataset> dataset_;
  Batch next_;  // the batch being filled
  Piece rest_;  // of the last piece: what the next batch begins with
  bool ended_ = false;
  Status failure_;
};

}  // namespace fast_axolotl
