// SPDX-License-Identifier: Apache-2.0
#include "core/scan/plan_reader.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fast_axolotl {
namespace {

// Beyond this many, lanes share the caller's thread: threads that all wait help nobody.
constexpr int64_t kMaxThreadsPerCore = 4;

}  // namespace

PlanReader::PlanReader(PlannedSource source, const Share& share, int64_t given,
                       ScanOptions scan)
    : source_(std::move(source)), share_(share), lane_scan_(scan), given_(given) {
  // The share goes through the lanes in strides.
  const int64_t lanes = source_.plan->lanes();
  const int64_t mine = lanes / std::gcd(lanes, share_.world * share_.workers);
  const int64_t threads = std::max(scan.num_threads, 1);
  lane_scan_.num_threads =
      mine > threads * kMaxThreadsPerCore
          ? 0
          : static_cast<int>(std::max<int64_t>(threads / mine, 1));
  lane_scan_.read_ahead_bytes = std::max<int64_t>(scan.read_ahead_bytes / mine, 1);
}

LaneReader& PlanReader::LaneAt(int64_t lane, int64_t number) {
  auto& reader = lanes_[lane];
  // Other workers give the batches between; a batch from behind comes at an epoch's end.
  if (reader && reader->number() <= number) {
    while (reader->number() < number) reader->Skip();
  } else {
    reader = std::make_unique<LaneReader>(source_, lane, number, lane_scan_);
  }
  return *reader;
}

Result<std::optional<Batch>> PlanReader::Next(std::chrono::milliseconds timeout) {
  const std::optional<int64_t> j = share_.Batch(given_);
  if (!j) return Batch{};
  const int64_t lanes = source_.plan->lanes();
  ARROW_ASSIGN_OR_RAISE(auto batch, LaneAt(*j % lanes, *j / lanes).Next(timeout));
  if (batch) ++given_;
  return batch;
}

}  // namespace fast_axolotl
