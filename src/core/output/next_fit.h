// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/output/sequences.h"

namespace fast_axolotl {

/// Whole sequences in rows of one length, in their order: each behind the one before it,
/// or in a new row where it has no room there.
struct NextFit {
  int64_t length = 0;
  std::vector<int64_t> ends;  // of each row, in sequences

  int64_t rows() const { return static_cast<int64_t>(ends.size()); }
};

/// `behind` values follow each sequence. A sequence that fills a row of its own but for
/// the last of them does without it. An empty sequence that nothing follows takes no
/// place. Invalid, with the sequence's number counted from 0, where one is too long.
Result<NextFit> FitNext(std::span<const int64_t> lengths, int64_t length, int64_t behind);

/// Rows `[begin, end)` as a (rows, length) tensor of `type`: each sequence with `behind`
/// following it, and `fill` in what stays free. Invalid where a value does not fit into
/// the type (see numbers.h).
Result<std::shared_ptr<arrow::Tensor>> PlaceRows(
    const Sequences& sequences, std::span<const int64_t> behind, Fill fill,
    const NextFit& layout, int64_t begin, int64_t end,
    const std::shared_ptr<arrow::DataType>& type);

}  // namespace fast_axolotl
