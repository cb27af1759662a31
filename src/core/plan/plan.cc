// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan.h"

#include <algorithm>
#include <numeric>

#include "core/plan/random.h"

namespace fast_axolotl {
namespace {

// What a generator is for; its first key, so that no two uses share their numbers.
constexpr uint64_t kFragmentOrder = 1;
constexpr uint64_t kWindowOrder = 2;

}  // namespace

Plan::Plan(std::vector<int64_t> fragment_rows, const PlanOptions& options)
    : options_(options), order_(fragment_rows.size()), line_{0} {
  std::iota(order_.begin(), order_.end(), size_t{0});
  if (options_.shuffle) {
    Random({kFragmentOrder, options_.seed, options_.epoch})
        .Shuffle(std::span<size_t>(order_));
  }
  line_.reserve(order_.size() + 1);
  for (const size_t fragment : order_) {
    line_.push_back(line_.back() + fragment_rows[fragment]);
  }
  batches_ = (rows() + options_.batch_size - 1) / options_.batch_size;
}

int64_t Plan::LaneBatches(int64_t lane) const {
  return lane < batches_ ? (batches_ - lane - 1) / options_.lanes + 1 : 0;
}

int64_t Plan::LaneRows(int64_t lane) const {
  const int64_t full = LaneBatches(lane) * options_.batch_size;
  const bool has_last = batches_ > 0 && (batches_ - 1) % options_.lanes == lane;
  return has_last ? full - (batches_ * options_.batch_size - rows()) : full;
}

int64_t Plan::LaneBegin(int64_t lane) const {
  // The first `longer` lanes have one batch more than the others.
  const int64_t each = batches_ / options_.lanes;
  const int64_t longer = batches_ % options_.lanes;
  const int64_t full = (each * lane + std::min(lane, longer)) * options_.batch_size;
  const bool last_before = batches_ > 0 && (batches_ - 1) % options_.lanes < lane;
  return last_before ? full - (batches_ * options_.batch_size - rows()) : full;
}

int64_t Plan::BatchRows(int64_t j) const {
  return j + 1 < batches_ ? options_.batch_size : rows() - j * options_.batch_size;
}

std::vector<FragmentSlice> Plan::Slices(int64_t lane, int64_t begin, int64_t end) const {
  std::vector<FragmentSlice> slices;
  const int64_t first = LaneBegin(lane) + begin;
  const int64_t last = LaneBegin(lane) + end;
  auto at = std::upper_bound(line_.begin(), line_.end(), first) - line_.begin() - 1;
  for (int64_t row = first; row < last; ++at) {
    const int64_t stop = std::min(last, line_[at + 1]);
    if (stop > row) slices.push_back({order_[at], row - line_[at], stop - line_[at]});
    row = stop;
  }
  return slices;
}

std::vector<uint32_t> Plan::WindowOrder(int64_t lane, int64_t window) const {
  const int64_t begin = window * options_.window;
  const int64_t size = std::min(options_.window, LaneRows(lane) - begin);
  std::vector<uint32_t> order(static_cast<size_t>(std::max<int64_t>(size, 0)));
  std::iota(order.begin(), order.end(), 0u);
  if (options_.shuffle) {
    Random({kWindowOrder, options_.seed, options_.epoch, static_cast<uint64_t>(lane),
            static_cast<uint64_t>(window)})
        .Shuffle(std::span<uint32_t>(order));
  }
  return order;
}

}  // namespace fast_axolotl
