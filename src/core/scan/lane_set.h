// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "core/scan/lane_reader.h"

namespace fast_axolotl {

/// The lanes that one reader goes through, each read on from where it was left.
class LaneSet {
 public:
  /// `lanes`: how many of the plan's lanes will be read; threads and read-ahead are
  /// shared out among them.
  LaneSet(PlannedSource source, int64_t lanes, ScanOptions scan);

  /// The `number`-th batch of a lane, or nothing if the time ended first. Going back in a
  /// lane is possible and opens it anew.
  Result<std::optional<Batch>> Next(int64_t lane, int64_t number,
                                    std::chrono::milliseconds timeout);

 private:
  Result<Batch> Replacement(int64_t lane, int64_t number);

  const PlannedSource source_;
  ScanOptions scan_;
  std::map<int64_t, std::unique_ptr<LaneReader>> lanes_;
  std::map<int64_t, Batch> last_;  // of each lane, where it may replace the next one
};

}  // namespace fast_axolotl
