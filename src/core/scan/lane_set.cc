// SPDX-License-Identifier: Apache-2.0
#include "core/scan/lane_set.h"

#include <algorithm>
#include <utility>

namespace fast_axolotl {
namespace {

// With more lanes than this for each thread, they share the caller's: threads that all
// wait help nobody.
constexpr int64_t kLanesPerThread = 4;

}  // namespace

LaneSet::LaneSet(PlannedSource source, int64_t lanes, ScanOptions scan)
    : source_(std::move(source)), scan_(scan) {
  const int64_t threads = std::max(scan.num_threads, 1);
  scan_.num_threads = lanes > threads * kLanesPerThread
                          ? 0
                          : static_cast<int>(std::max<int64_t>(threads / lanes, 1));
  scan_.read_ahead_bytes = std::max<int64_t>(scan.read_ahead_bytes / lanes, 1);
}

Result<std::optional<Batch>> LaneSet::Next(int64_t lane, int64_t number,
                                           std::chrono::milliseconds timeout) {
  auto& reader = lanes_[lane];
  if (reader && reader->number() <= number) {
    // Others give the batches between.
    while (reader->number() < number) reader->Skip();
  } else {
    reader = std::make_unique<LaneReader>(source_, lane, number, scan_);
  }
  return reader->Next(timeout);
}

}  // namespace fast_axolotl
