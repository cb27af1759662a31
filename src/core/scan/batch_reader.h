// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/scan/scan.h"

namespace fast_axolotl {

/// Consecutive rows of a dataset, in pieces that each come from one file.
struct Batch {
  std::vector<Piece> pieces;
  int64_t rows = 0;
};

/// Which batches a reader is to give: every `step`-th, from number `first` on. The rows
/// of the others are decoded and dropped.
struct BatchShare {
  int64_t first = 0;
  int64_t step = 1;
};

/// Cuts the rows of a scan into batches of `batch_size` rows, over all borders of files
/// and fragments. Only the last batch, or the one before an error, is shorter.
class BatchReader {
 public:
  BatchReader(std::unique_ptr<Scan> scan, int64_t batch_size, BatchShare share)
      : scan_(std::move(scan)), batch_size_(batch_size), share_(share) {}

  /// What a wait ended with: a batch, the end (a batch of no rows), or the time
  /// (nothing). An error comes after all rows before it, and again at every later call.
  Result<std::optional<Batch>> Next(std::chrono::milliseconds timeout);

  void Close() { scan_->Close(); }

 private:
  Result<bool> Fill(std::chrono::milliseconds timeout);

  const std::unique_ptr<Scan> scan_;
  const int64_t batch_size_;
  const BatchShare share_;
  Batch next_;          // the batch being filled
  Piece rest_;          // of the last piece: what the next batch begins with
  int64_t number_ = 0;  // of `next_`
  bool ended_ = false;
  Status failure_;
};

}  // namespace fast_axolotl
