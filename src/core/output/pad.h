// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/output/sequences.h"

namespace fast_axolotl {

enum class Side { kLeft, kRight };

/// To which length rows are brought, and at which end.
struct PadShape {
  std::optional<int64_t> max_length = {};  // longer rows are cut
  int64_t multiple_of = 1;
  bool to_max_length = false;  // always `max_length`, not the longest row's
  Side padding = Side::kRight;
  Side truncation = Side::kRight;  // the end at which rows are cut
};

/// The length of all rows together: that of the longest of `lengths`, cut to
/// `max_length` and rounded up to `multiple_of`.
int64_t PaddedLength(std::span<const int64_t> lengths, const PadShape& shape);

/// The rows, cut to `max_length` and to `length`, as a (rows, length) tensor of `type`,
/// free places set to `fill`. Invalid where a value or `fill` does not fit into `type`;
/// what fits says numbers.h. The row of such a value, counted from 0, goes to
/// `failed_row`, or without one into the message.
Result<std::shared_ptr<arrow::Tensor>> Pad(const Sequences& sequences, Fill fill,
                                           const std::shared_ptr<arrow::DataType>& type,
                                           int64_t length, const PadShape& shape,
                                           int64_t* failed_row = nullptr);

/// Which places of rows so padded hold a value: 1, and 0 elsewhere.
Result<std::shared_ptr<arrow::Tensor>> AttentionMask(
    std::span<const int64_t> lengths, const std::shared_ptr<arrow::DataType>& type,
    int64_t length, const PadShape& shape);

/// 0, 1, 2, ... over the values of each row, `fill` elsewhere. Invalid, as Pad, where a
/// row has more values than `type` can count.
Result<std::shared_ptr<arrow::Tensor>> PositionIds(
    std::span<const int64_t> lengths, Fill fill,
    const std::shared_ptr<arrow::DataType>& type, int64_t length, const PadShape& shape,
    int64_t* failed_row = nullptr);

}  // namespace fast_axolotl
