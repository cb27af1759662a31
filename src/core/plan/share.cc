// SPDX-License-Identifier: Apache-2.0
#include "core/plan/share.h"

#include <algorithm>

namespace fast_axolotl {

int64_t Share::Steps(int64_t batches) const {
  const int64_t left = std::max<int64_t>(batches - start, 0);
  switch (tail) {
    case Tail::kDrop:
      return left / world * world;
    case Tail::kRepeat:
      return (left + world - 1) / world * world;
    default:
      return left;
  }
}

int64_t Share::RankBatches(int64_t batches) const {
  const int64_t steps = Steps(batches);
  return rank < steps ? (steps - rank - 1) / world + 1 : 0;
}

std::optional<int64_t> Share::Batch(int64_t i, int64_t batches) const {
  const int64_t step = rank + world * (worker + workers * i);
  if (step >= Steps(batches)) return std::nullopt;
  const int64_t j = start + step;
  return j < batches ? j : (j - batches) % batches;
}

}  // namespace fast_axolotl
