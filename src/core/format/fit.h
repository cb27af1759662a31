// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/format/format.h"
#include "core/format/json/column.h"
#include "core/format/options.h"

namespace fast_axolotl {

/// Where a row stands.
struct RowPlace {
  std::string path;
  std::string name;                 // the path, and the line or row
  int64_t line = BadRow::kUnknown;  // see BadRow
  int64_t offset = BadRow::kUnknown;
  std::string_view text;  // of the row, as it stands in the file
};

/// Tells the place of a row, counted among all that were decoded together, bad ones too.
using Place = std::function<RowPlace(int64_t row)>;

/// What a file says of its values' types.
enum class Typing {
  kOwn,       // each value has a type; text is never taken for a number
  kSpelling,  // all is text, as in CSV: values are converted from their spelling
};

/// How JSON values of a column of this type are read, which the caller asked for, or a
/// sample shows.
json::Column::Use UseFor(const arrow::DataType& type, bool asked);

/// Gives each column the type that `options` fix for it, and the batch all columns that
/// they ask for, if they do. Values must fit exactly: at the first that does not, the
/// rows before it remain and `end` names its place, or its row becomes a bad one where
/// these are kept. All bad rows are in their places then.
Decoded FitTypes(Decoded decoded, const ReadOptions& options, Typing typing,
                 const Place& place);

}  // namespace fast_axolotl
