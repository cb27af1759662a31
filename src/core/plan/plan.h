// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fast_axolotl {

/// What an epoch's order depends on, besides the fragments.
struct PlanOptions {
  bool shuffle = false;
  uint64_t seed = 0;
  uint64_t epoch = 0;
  int64_t batch_size = 1;
  int64_t lanes = 1;
  /// Rows are shuffled among this many that follow each other.
  int64_t window = 1;
};

/// Consecutive rows of one fragment.
struct FragmentSlice {
  size_t fragment = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

/// Which rows make batch j: a pure function of the fragments' row counts and the options.
///
/// The fragments, permuted if shuffled, are laid end to end: the line. It is cut into
/// J = ceil(rows / batch_size) batches, and these into lanes: lane c is one contiguous
/// run of the line and holds batches c, c + lanes, c + 2 * lanes, and so on. Lanes differ
/// by at most one batch, and only batch J - 1 is short. Within a lane, the rows of every
/// window of `window` rows are permuted if shuffled.
class Plan {
 public:
  Plan(std::vector<int64_t> fragment_rows, const PlanOptions& options);

  int64_t rows() const { return line_.back(); }
  int64_t batches() const { return batches_; }
  int64_t lanes() const { return options_.lanes; }
  const PlanOptions& options() const { return options_; }

  /// The rows and the batches of a lane, and the rows of batch `j`.
  int64_t LaneRows(int64_t lane) const;
  int64_t LaneBatches(int64_t lane) const;
  int64_t BatchRows(int64_t j) const;

  /// The rows `[begin, end)` of a lane before they are permuted, as slices of fragments.
  std::vector<FragmentSlice> Slices(int64_t lane, int64_t begin, int64_t end) const;

  /// Which row of window number `window` of a lane comes when: entry i is the row,
  /// counted from the window's first, that comes i-th. Identity where nothing is
  /// shuffled.
  std::vector<uint32_t> WindowOrder(int64_t lane, int64_t window) const;

 private:
  int64_t LaneBegin(int64_t lane) const;

  const PlanOptions options_;
  std::vector<size_t> order_;  // of the fragments on the line
  std::vector<int64_t> line_;  // where the i-th of them begins, and the end of the line
  int64_t batches_ = 0;
};

}  // namespace fast_axolotl
