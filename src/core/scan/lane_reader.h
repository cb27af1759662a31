// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/plan/plan.h"
#include "core/scan/batch_reader.h"
#include "core/scan/scan.h"

namespace fast_axolotl {

/// What a lane's rows are read from.
struct PlannedSource {
  std::shared_ptr<const Dataset> dataset;
  std::shared_ptr<const DatasetIndex> index;
  std::shared_ptr<const Plan> plan;
  ReadOptions options;
  /// Shuffled rows are taken a window at a time, for outputs that do not gather them from
  /// where they were decoded.
  bool take = false;
  /// A batch none of whose rows can be read is replaced by another one of its lane, so
  /// that all ranks give as many.
  bool replace = false;
};

/// The batches of one lane of a plan, from any of them on. Only the fragments that the
/// window of the first batch and those after it need are decoded.
class LaneReader {
 public:
  /// Starts at the lane's `number`-th batch.
  LaneReader(PlannedSource source, int64_t lane, int64_t number, ScanOptions scan);

  /// The number, in the lane, of the batch that comes next.
  int64_t number() const { return number_; }

  /// Passes over the next batch.
  void Skip() { ++number_; }

  /// What a wait ended with: the batch, or the time (nothing). There must be a next
  /// batch.
  Result<std::optional<Batch>> Next(std::chrono::milliseconds timeout);

 private:
  Result<bool> Load(int64_t window, std::chrono::milliseconds timeout);
  Status Order(int64_t window);
  Result<Batch> Shuffled(int64_t begin, int64_t end);
  Batch InOrder(int64_t begin, int64_t end) const;

  const PlannedSource source_;
  const int64_t lane_;
  int64_t window_rows_;  // of the windows that are held at a time
  int64_t number_;
  std::unique_ptr<Scan> scan_;
  int64_t next_row_;                  // of the lane, that the scan gives next
  bool ended_ = false;                // the scan has nothing more
  std::vector<Piece> held_;           // rows of the lane that may still be needed
  std::vector<int64_t> held_begins_;  // the lane's row that each of them begins with
  int64_t ordered_window_ = -1;
  std::vector<Piece> ordered_;  // its rows, by places in the window, which ascend
};

}  // namespace fast_axolotl
