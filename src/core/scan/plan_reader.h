// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "core/plan/share.h"
#include "core/scan/batch_reader.h"
#include "core/scan/lane_reader.h"

namespace fast_axolotl {

/// The batches of one worker's share of a planned epoch, in their order.
class PlanReader {
 public:
  /// Starts behind the `given` batches that this worker gave before.
  PlanReader(PlannedSource source, const Share& share, int64_t given, ScanOptions scan);

  /// What a wait ended with: a batch, the end (a batch of no rows), or the time (nothing).
  Result<std::optional<Batch>> Next(std::chrono::milliseconds timeout);

 private:
  LaneReader& LaneAt(int64_t lane, int64_t number);

  const PlannedSource source_;
  const Share share_;
  ScanOptions lane_scan_;
  int64_t given_;
  std::map<int64_t, std::unique_ptr<LaneReader>> lanes_;
};

}  // namespace fast_axolotl
