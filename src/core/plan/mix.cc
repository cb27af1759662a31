// SPDX-License-Identifier: Apache-2.0
#include "core/plan/mix.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "core/plan/random.h"

namespace fast_axolotl {
namespace {

// The generator's first key; 1 and 2 are those of the plan.
constexpr uint64_t kMixOrder = 3;

}  // namespace

std::vector<size_t> Mix::Block(int64_t lane, int64_t block) const {
  std::vector<size_t> sources;
  for (size_t source = 0; source < quotas_.size(); ++source) {
    sources.insert(sources.end(), static_cast<size_t>(quotas_[source]), source);
  }
  Random({kMixOrder, seed_, static_cast<uint64_t>(lane), static_cast<uint64_t>(block)})
      .Shuffle(std::span<size_t>(sources));
  return sources;
}

Mix::Slot Mix::At(int64_t lane, int64_t number) const {
  const int64_t block = number / kBlock;
  const std::vector<size_t> sources = Block(lane, block);
  const auto at = sources.begin() + number % kBlock;
  const auto before = std::count(sources.begin(), at, *at);
  return {*at, block * quotas_[*at] + before};
}

int64_t Mix::Find(int64_t lane, size_t source, int64_t number) const {
  const int64_t block = number / quotas_[source];
  int64_t left = number % quotas_[source];
  const std::vector<size_t> sources = Block(lane, block);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] == source && left-- == 0) {
      return block * kBlock + static_cast<int64_t>(i);
    }
  }
  return block * kBlock;  // not reached: a block holds `quotas_[source]` of them
}

int64_t Mix::Batches(const std::vector<std::vector<int64_t>>& lane_batches,
                     bool all) const {
  const auto lanes = static_cast<int64_t>(lane_batches[0].size());
  int64_t batches = all ? 0 : std::numeric_limits<int64_t>::max();
  for (int64_t lane = 0; lane < lanes; ++lane) {
    for (size_t source = 0; source < lane_batches.size(); ++source) {
      const int64_t has = lane_batches[source][static_cast<size_t>(lane)];
      if (!all) {
        batches = std::min(batches, Find(lane, source, has) * lanes + lane);
      } else if (has > 0) {
        batches = std::max(batches, Find(lane, source, has - 1) * lanes + lane + 1);
      }
    }
  }
  return batches;
}

std::vector<int64_t> QuotasOf(const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (weights.size() > static_cast<size_t>(Mix::kBlock)) return {};
  std::vector<int64_t> quotas;
  for (const double weight : weights) {
    quotas.push_back(std::max<int64_t>(
        static_cast<int64_t>(weight / sum * static_cast<double>(Mix::kBlock)), 1));
  }
  // Parts are given to, or taken from, whoever is furthest from its share.
  for (;;) {
    const int64_t missing =
        Mix::kBlock - std::accumulate(quotas.begin(), quotas.end(), int64_t{0});
    if (missing == 0) return quotas;
    size_t best = quotas.size();
    double furthest = 0;
    for (size_t i = 0; i < quotas.size(); ++i) {
      const double share = weights[i] / sum * static_cast<double>(Mix::kBlock);
      const double off = missing > 0 ? share - static_cast<double>(quotas[i])
                                     : static_cast<double>(quotas[i]) - share;
      if ((missing < 0 && quotas[i] == 1) || (best < quotas.size() && off <= furthest)) {
        continue;
      }
      best = i;
      furthest = off;
    }
    quotas[best] += missing > 0 ? 1 : -1;
  }
}

}  // namespace fast_axolotl
