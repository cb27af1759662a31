// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/type.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// How far values may change when they are converted.
enum class Change {
  kNone,    // only to a type of their family (see family.h) that holds the same value
  kForm,    // to any type that their kind can be read as: text stays text, a bool a bool
  kParsed,  // text may be the spelling of anything
};

/// The values as those of another type. A value that does not fit is Invalid; an integer
/// fits into a float that holds it exactly, a double into the nearest float where that is
/// asked for (by all but kNone) and it is not infinite.
Result<std::shared_ptr<arrow::Array>> ConvertArray(
    const std::shared_ptr<arrow::Array>& array,
    const std::shared_ptr<arrow::DataType>& type, Change change);

/// The items of lists of any kind, one list behind the other, and the lists' lengths.
/// What lies under a null list is no part of it.
struct Lists {
  std::shared_ptr<arrow::Array> items;
  std::vector<int64_t> lengths;
};
Result<Lists> SplitLists(const arrow::Array& array);

/// The rows at `indices`, an array of integers; null where one is null.
Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& array,
                                               const arrow::Array& indices);

}  // namespace fast_axolotl
