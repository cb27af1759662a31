// SPDX-License-Identifier: Apache-2.0
#include "core/format/format.h"

#include <algorithm>

namespace fast_axolotl {

std::span<const Format* const> Formats() {
  static const Format* const kFormats[] = {&kParquet, &kArrow, &kFeather, &kJson,
                                           &kJsonl,   &kCsv,   &kText};
  return kFormats;
}

const Format* FindFormat(std::string_view name) {
  for (const Format* format : Formats()) {
    if (format->name == name) return format;
  }
  return nullptr;
}

DecodeTask LostPart(const Damage& damage) {
  BadRow lost;
  lost.rows = BadRow::kUnknown;
  lost.reason = damage.reason;
  return {[lost] {
            auto rows = WithBadRows(nullptr, {lost});
            return rows.ok() ? Decoded{*rows, Status::OK()}
                             : Decoded{nullptr, rows.status()};
          },
          0};
}

Fragment FileIndex::Narrow(const Fragment& fragment, int64_t begin, int64_t end) const {
  if (parts.empty()) return fragment;
  const auto holding = [&](int64_t row) {
    return std::upper_bound(
               parts.begin(), parts.end(), row,
               [](int64_t at, const Fragment& part) { return at < part.row; }) -
           1;
  };
  const auto first = holding(fragment.row + begin);
  const auto last = holding(fragment.row + end - 1);
  Fragment run = *first;
  run.end = last->end;
  run.rows = last->row + last->rows - first->row;
  return run;
}

}  // namespace fast_axolotl
