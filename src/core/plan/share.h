// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace fast_axolotl {

/// What happens to the batches that do not divide by the ranks.
enum class Tail {
  kKeep,    // some ranks give one batch more than others
  kDrop,    // they are left out
  kRepeat,  // the ranks that lack one give one of the epoch's first batches
};

/// One worker of one rank in a run over an epoch.
///
/// The run begins with batch `start`. Rank r gives batches start + r, start + r + world,
/// and so on; of these worker w gives every `workers`-th, from its w-th on.
struct Share {
  int64_t start = 0;
  int64_t rank = 0;
  int64_t world = 1;
  int64_t worker = 0;
  int64_t workers = 1;
  Tail tail = Tail::kKeep;

  /// The part of the epoch that counts: batches `[first, last)`. A run that is not
  /// resumed starts with `first`.
  int64_t first = 0;
  int64_t last = 0;

  /// The number of batches that all ranks together give.
  int64_t Steps() const;
  /// The number of batches that this rank gives, with all its workers.
  int64_t RankBatches() const;
  /// The number of batches that this worker gives.
  int64_t WorkerBatches() const;
  /// The `i`-th batch of this worker, or nothing behind its last one.
  std::optional<int64_t> Batch(int64_t i) const;
};

}  // namespace fast_axolotl
