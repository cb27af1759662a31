// SPDX-License-Identifier: Apache-2.0
#include "core/plan/share.h"

#include <algorithm>

namespace fast_axolotl {

int64_t Share::Steps() const {
  const int64_t left = std::max<int64_t>(last - start, 0);
  switch (tail) {
    case Tail::kDrop:
      return left / world * world;
    case Tail::kRepeat:
      return (left + world - 1) / world * world;
    default:
      return left;
  }
}

int64_t Share::RankBatches() const {
  const int64_t steps = Steps();
  return rank < steps ? (steps - rank - 1) / world + 1 : 0;
}

int64_t Share::WorkerBatches() const {
  const int64_t batches = RankBatches();
  return worker < batches ? (batches - 1 - worker) / workers + 1 : 0;
}

std::optional<int64_t> Share::Batch(int64_t i) const {
  if (i >= WorkerBatches()) return std::nullopt;
  const int64_t j = start + rank + world * (worker + workers * i);
  return j < last ? j : first + (j - last) % (last - first);
}

}  // namespace fast_axolotl
