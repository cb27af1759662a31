// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "arrow/type.h"
#include "core/output/sequences.h"

namespace fast_axolotl {

/// TypeError unless the type is an integer, float or double.
Status CheckNumber(const arrow::DataType& type);

/// Writes numbers as another type; -1, or the number of the first value that does not
/// fit. Everything fits exactly or not at all, but for a double that becomes the nearest
/// float: it fits unless it is finite and the float is not.
using CopyNumbers = int64_t (*)(const uint8_t* values, int64_t count, uint8_t* out);

Result<CopyNumbers> CopierOf(const arrow::DataType& from, const arrow::DataType& to);

/// Invalid, for a value that `to` cannot hold; `what` says what it is, unless empty.
Status DoesNotFit(const std::string& what, const arrow::DataType& from,
                  const uint8_t* value, const arrow::DataType& to);

/// One value, ready to fill memory with.
class Filler {
 public:
  /// Invalid where the value does not fit into the type; `what` says what it is.
  static Result<Filler> Make(Fill value, const arrow::DataType& type, const char* what);

  void operator()(uint8_t* out, int64_t count) const;

 private:
  uint64_t bits_ = 0;
  int width_ = 0;
};

/// Writes 0, 1, 2, ... .
using CountUp = void (*)(int64_t count, uint8_t* out);

/// Invalid where counts up to `most` do not fit into the type.
Result<CountUp> CounterOf(const arrow::DataType& type, int64_t most);

}  // namespace fast_axolotl
