// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/output/sequences.h"

namespace fast_axolotl {

// Every row in memory of its own size, so that a sanitizer sees reads behind its end.
template <typename T>
Sequences Make(const std::vector<std::vector<T>>& rows) {
  Sequences sequences;
  sequences.type = arrow::CTypeTraits<T>::type_singleton();
  for (const auto& row : rows) {
    auto values = std::make_shared<const std::vector<T>>(row);
    sequences.rows.push_back({reinterpret_cast<const uint8_t*>(values->data()),
                              static_cast<int64_t>(row.size())});
    sequences.owners.push_back(std::move(values));
  }
  return sequences;
}

template <typename T>
std::vector<std::vector<T>> Rows(const arrow::Tensor& tensor) {
  EXPECT_TRUE(tensor.type()->Equals(arrow::CTypeTraits<T>::type_singleton()));
  const auto* values = reinterpret_cast<const T*>(tensor.raw_data());
  std::vector<std::vector<T>> rows;
  for (int64_t i = 0; i < tensor.shape()[0]; ++i, values += tensor.shape()[1]) {
    rows.emplace_back(values, values + tensor.shape()[1]);
  }
  return rows;
}

using Ints = std::vector<std::vector<int64_t>>;

}  // namespace fast_axolotl
