// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fast_axolotl {

/// Which source gives which batch of a mixture: a pure function of the weights, the seed
/// and the batch's lane and number in it, the same in every epoch.
///
/// Every lane goes through blocks of kBlock batches. In each block every source has a
/// fixed number of batches, its weight in parts of kBlock, and their order is drawn anew.
class Mix {
 public:
  static constexpr int64_t kBlock = 1024;

  /// A batch of a source: the `number`-th that this source gives in the lane.
  struct Slot {
    size_t source = 0;
    int64_t number = 0;
  };

  /// `quotas` add up to kBlock, and none is 0.
  Mix(std::vector<int64_t> quotas, uint64_t seed)
      : quotas_(std::move(quotas)), seed_(seed) {}

  /// What comes as the lane's `number`-th batch.
  Slot At(int64_t lane, int64_t number) const;

  /// The number in its lane of the `number`-th batch of a source.
  int64_t Find(int64_t lane, size_t source, int64_t number) const;

  /// The number of batches of an epoch in which source s has `lane_batches[s][lane]`
  /// batches in each lane: up to the first batch that a source lacks or, if `all`, up to
  /// the last one that any source has, those that end before it starting again.
  int64_t Batches(const std::vector<std::vector<int64_t>>& lane_batches, bool all) const;

 private:
  std::vector<size_t> Block(int64_t lane, int64_t block) const;

  const std::vector<int64_t> quotas_;
  const uint64_t seed_;
};

/// Weights as parts of Mix::kBlock, by largest remainders; a positive weight is at least
/// one part. Empty where there are more sources than parts.
std::vector<int64_t> QuotasOf(const std::vector<double>& weights);

}  // namespace fast_axolotl
