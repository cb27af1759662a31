// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <arrow/type.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/sequences.h"

namespace fast_axolotl {

// An array of numpy, torch or another library, where it lies in memory.
struct ArrayView {
  nanobind::ndarray<nanobind::ro> array;
  std::shared_ptr<arrow::DataType> type;  // of its values; truth values are bytes
};

// Whether the object is an array, of whatever kind; sets `*view`, whose type is null
// where the values are no numbers of a type that we know.
bool ViewArray(nanobind::handle object, ArrayView* view);

// Throws a TypeError that begins with `place` unless the array is one of such numbers,
// has so many dimensions and lies in the CPU's memory.
void CheckView(const ArrayView& view, size_t dimensions, Numbers numbers,
               const std::string& place);

// Row number `row` of a 2-D array, or a 1-D array as the only row. It is copied, and the
// copy added to the owners, where its values do not follow each other or are not aligned.
Sequences::Row RowOf(const ArrayView& view, size_t row,
                     std::vector<std::shared_ptr<const void>>* owners);

}  // namespace fast_axolotl
