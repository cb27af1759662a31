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
  ARROW_ASSIGN_OR_RAISE(std::optional<Batch> batch, reader->Next(timeout));
  if (!batch || !source_.replace) return batch;
  if (batch->rows == 0) {
    if (!last_.contains(lane)) {
      ARROW_ASSIGN_OR_RAISE(last_[lane], Replacement(lane, number));
    }
    Batch other = last_[lane];
    other.bad = std::move(batch->bad);
    other.skipped = batch->skipped;
    return other;
  }
  last_[lane] = *batch;
  last_[lane].bad.clear();
  last_[lane].skipped = 0;
  return batch;
}

// The batch with rows that comes last before the `number`-th of a lane, or else first
// behind it: the same for whoever looks, and whenever.
Result<Batch> LaneSet::Replacement(int64_t lane, int64_t number) {
  const auto read = [&](int64_t other) -> Result<Batch> {
    LaneReader reader(source_, lane, other, scan_);
    std::optional<Batch> batch;
    while (!batch) {
      ARROW_ASSIGN_OR_RAISE(batch, reader.Next(std::chrono::milliseconds(50)));
    }
    return std::move(*batch);
  };
  for (int64_t i = 1; i < source_.plan->LaneBatches(lane); ++i) {
    const int64_t other = i <= number ? number - i : i;
    ARROW_ASSIGN_OR_RAISE(Batch batch, read(other));
    if (batch.rows > 0) return batch;
  }
  return Status::IOError("no row of lane ", lane,
                         " can be read, so there is nothing to give in its turn");
}

}  // namespace fast_axolotl
