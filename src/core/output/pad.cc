// SPDX-License-Identifier: Apache-2.0
#include "core/output/pad.h"

#include <algorithm>
#include <string>

#include "core/output/numbers.h"

namespace fast_axolotl {
namespace {

// How many values of a row stay.
int64_t Kept(int64_t row_length, int64_t length, const PadShape& shape) {
  return std::min({row_length, length, shape.max_length.value_or(length)});
}

// Makes the tensor row by row: `write(row, kept, out)` writes the values that stay and
// returns a Status.
template <typename Write>
Result<std::shared_ptr<arrow::Tensor>> MakeRows(
    int64_t rows, auto&& length_of, Fill fill,
    const std::shared_ptr<arrow::DataType>& type, int64_t length, const PadShape& shape,
    Write&& write) {
  ARROW_ASSIGN_OR_RAISE(auto tensor, EmptyTensor(type, {rows, length}));
  ARROW_ASSIGN_OR_RAISE(const Filler filler, Filler::Make(fill, *type, "fill value"));
  const int64_t width = type->byte_width();
  uint8_t* out = tensor->raw_mutable_data();
  for (int64_t row = 0; row < rows; ++row, out += length * width) {
    const int64_t kept = Kept(length_of(row), length, shape);
    const int64_t free = length - kept;
    const bool left = shape.padding == Side::kLeft;
    ARROW_RETURN_NOT_OK(write(row, kept, left ? out + free * width : out));
    filler(left ? out : out + kept * width, free);
  }
  return tensor;
}

}  // namespace

int64_t PaddedLength(std::span<const int64_t> lengths, const PadShape& shape) {
  int64_t length = 0;
  if (shape.to_max_length && shape.max_length) {
    length = *shape.max_length;
  } else {
    for (const int64_t row_length : lengths) length = std::max(length, row_length);
    length = std::min(length, shape.max_length.value_or(length));
  }
  const int64_t multiple = std::max<int64_t>(shape.multiple_of, 1);
  return (length + multiple - 1) / multiple * multiple;
}

Result<std::shared_ptr<arrow::Tensor>> Pad(const Sequences& sequences, Fill fill,
                                           const std::shared_ptr<arrow::DataType>& type,
                                           int64_t length, const PadShape& shape,
                                           int64_t* failed_row) {
  ARROW_ASSIGN_OR_RAISE(const CopyNumbers copy, CopierOf(*sequences.type, *type));
  const int64_t width = sequences.type->byte_width();
  const auto& rows = sequences.rows;
  return MakeRows(
      static_cast<int64_t>(rows.size()), [&](int64_t row) { return rows[row].length; },
      fill, type, length, shape,
      [&](int64_t row, int64_t kept, uint8_t* out) {
        const uint8_t* values = rows[row].values;
        if (shape.truncation == Side::kLeft) values += (rows[row].length - kept) * width;
        const int64_t failed = copy(values, kept, out);
        if (failed < 0) return Status::OK();
        if (failed_row) *failed_row = row;
        return DoesNotFit(failed_row ? "" : "row " + std::to_string(row), *sequences.type,
                          values + failed * width, *type);
      });
}

Result<std::shared_ptr<arrow::Tensor>> AttentionMask(
    std::span<const int64_t> lengths, const std::shared_ptr<arrow::DataType>& type,
    int64_t length, const PadShape& shape) {
  ARROW_ASSIGN_OR_RAISE(const Filler one, Filler::Make(1, *type, "mask"));
  return MakeRows(
      static_cast<int64_t>(lengths.size()), [&](int64_t row) { return lengths[row]; }, 0,
      type, length, shape,
      [&](int64_t, int64_t kept, uint8_t* out) {
        one(out, kept);
        return Status::OK();
      });
}

Result<std::shared_ptr<arrow::Tensor>> PositionIds(
    std::span<const int64_t> lengths, Fill fill,
    const std::shared_ptr<arrow::DataType>& type, int64_t length, const PadShape& shape,
    int64_t* failed_row) {
  for (size_t row = 0; row < lengths.size(); ++row) {
    const int64_t kept = Kept(lengths[row], length, shape);
    const Status fits = CounterOf(*type, std::max<int64_t>(kept - 1, 0)).status();
    if (!fits.ok() && failed_row) *failed_row = static_cast<int64_t>(row);
    ARROW_RETURN_NOT_OK(fits);
  }
  ARROW_ASSIGN_OR_RAISE(const CountUp count, CounterOf(*type, 0));
  return MakeRows(
      static_cast<int64_t>(lengths.size()), [&](int64_t row) { return lengths[row]; },
      fill, type, length, shape,
      [&](int64_t, int64_t kept, uint8_t* out) {
        count(kept, out);
        return Status::OK();
      });
}

}  // namespace fast_axolotl
