// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/plan/share.h"
#include "core/scan/batch_reader.h"
#include "core/scan/lane_set.h"

namespace fast_axolotl {

/// The batches of one worker's share of a planned epoch, in their order.
class PlanReader {
 public:
  /// Starts behind the `given` batches that this worker gave before.
  PlanReader(PlannedSource source, const Share& share, int64_t given, ScanOptions scan);

  /// What a wait ended with: a batch, the end (see Batch), or the time (nothing).
  Result<std::optional<Batch>> Next(std::chrono::milliseconds timeout);

 private:
  const std::shared_ptr<const Plan> plan_;
  const Share share_;
  LaneSet lanes_;
  int64_t given_;
};

}  // namespace fast_axolotl
