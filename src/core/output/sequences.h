// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "arrow/tensor.h"
#include "arrow/type.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// Rows of numbers of one type, each of a length of its own, where they lie in memory.
struct Sequences {
  struct Row {
    const uint8_t* values = nullptr;
    int64_t length = 0;
  };

  std::shared_ptr<arrow::DataType> type;  // of the values: an integer or a float type
  std::vector<Row> rows;
  std::vector<std::shared_ptr<const void>> owners;  // keep the memory alive

  std::vector<int64_t> Lengths() const;
};

/// A value that fills free places, as the caller gave it.
using Fill = std::variant<int64_t, double>;

/// A tensor whose values are not set yet, of an integer or float type other than half
/// (TypeError) and of non-negative extents.
Result<std::shared_ptr<arrow::Tensor>> EmptyTensor(
    const std::shared_ptr<arrow::DataType>& type, std::vector<int64_t> shape);

}  // namespace fast_axolotl
