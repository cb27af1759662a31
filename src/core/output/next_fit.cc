// SPDX-License-Identifier: Apache-2.0
#include "core/output/next_fit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/output/numbers.h"

namespace fast_axolotl {

Result<NextFit> FitNext(std::span<const int64_t> lengths, int64_t length,
                        int64_t behind) {
  NextFit layout;
  layout.length = length;
  int64_t used = 0;  // of the row that is being filled
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t needed = lengths[i] + behind;
    const int64_t least = lengths[i] + std::max<int64_t>(behind - 1, 0);
    if (least > length) {
      const std::string more =
          behind > 1 ? " and " + std::to_string(behind - 1) + " that must follow" : "";
      return Status::Invalid("sequence ", i, " has ", lengths[i], " tokens", more,
                             ", and a row has room for ", length);
    }
    if (used > 0 && needed > length - used) {
      layout.ends.push_back(static_cast<int64_t>(i));
      used = 0;
    }
    used += std::min(needed, length);
  }
  if (used > 0) layout.ends.push_back(static_cast<int64_t>(lengths.size()));
  return layout;
}

Result<std::shared_ptr<arrow::Tensor>> PlaceRows(
    const Sequences& sequences, std::span<const int64_t> behind, Fill fill,
    const NextFit& layout, int64_t begin, int64_t end,
    const std::shared_ptr<arrow::DataType>& type) {
  ARROW_ASSIGN_OR_RAISE(auto tensor, EmptyTensor(type, {end - begin, layout.length}));
  ARROW_ASSIGN_OR_RAISE(const CopyNumbers copy, CopierOf(*sequences.type, *type));
  ARROW_ASSIGN_OR_RAISE(const Filler filler, Filler::Make(fill, *type, "fill value"));
  std::vector<Filler> followers;
  for (const int64_t value : behind) {
    ARROW_ASSIGN_OR_RAISE(followers.emplace_back(),
                          Filler::Make(value, *type, "value behind a sequence"));
  }
  const int64_t width = type->byte_width();
  uint8_t* out = tensor->raw_mutable_data();
  int64_t next = begin == 0 ? 0 : layout.ends[begin - 1];
  for (int64_t row = begin; row < end; ++row) {
    int64_t room = layout.length;
    for (; next < layout.ends[row]; ++next) {
      const auto [values, length] = sequences.rows[next];
      if (length > room) return Status::Invalid("the layout is one of other sequences");
      const int64_t failed = copy(values, length, out);
      if (failed >= 0) {
        return DoesNotFit("sequence " + std::to_string(next), *sequences.type,
                          values + failed * sequences.type->byte_width(), *type);
      }
      out += length * width;
      room -= length;
      for (const Filler& follower : followers) {
        if (room == 0) break;
        follower(out, 1);
        out += width;
        --room;
      }
    }
    filler(out, room);
    out += room * width;
  }
  return tensor;
}

}  // namespace fast_axolotl
