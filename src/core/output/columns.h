// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/tensor.h"
#include "arrow/type.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// A column of a batch, laid out for arrays of numbers where it holds numbers.
struct OutputColumn {
  enum class Layout {
    kDense,   // `tensor`: (rows, ...)
    kRagged,  // `tensor`: the items of all rows' lists; `offsets` tell where each begins
    kValues,  // `array`: what arrays of numbers cannot hold
  };

  std::string name;
  Layout layout = Layout::kValues;
  std::shared_ptr<arrow::Array> array;
  bool json = false;  // whose strings are JSON values in text form
  std::shared_ptr<arrow::Tensor> tensor;
  bool boolean = false;  // the tensor's bytes are truth values
  bool shared = false;   // the tensor's memory may not be this column's alone
  std::vector<int64_t> offsets;
  std::vector<int64_t> null_rows;  // of a ragged column, increasing
};

/// Numbers and truth values become dense, lists of them ragged (those of one fixed size
/// dense), all else stays values. Memory is viewed and not copied, unless `own` asks for
/// memory that is the column's alone; but for truth values, which Arrow keeps as bits,
/// and floats that are null, which become NaN. Invalid where an integer or a truth value
/// is null; `*row` is the row it stands in.
Result<OutputColumn> LayOutColumn(const arrow::Field& field,
                                  const std::shared_ptr<arrow::Array>& array, bool own,
                                  int64_t* row);

}  // namespace fast_axolotl
