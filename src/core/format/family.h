// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

namespace fast_axolotl {

/// Types of one family hold the same values, in other ways or to another extent. Types of
/// none (bool, unions, maps, extension types, ...) go with themselves alone.
enum class Family {
  kNone,
  kNumber,
  kString,
  kBytes,
  kDate,
  kTime,
  kTimestamp,  // of one zone
  kDuration,
  kDecimal,  // of one scale
  kList,     // whose items are of one family
  kStruct,   // of the same names, whose fields are of one family
};

Family FamilyOf(const arrow::DataType& type);

/// `type`, or what its dictionary or runs are of.
std::shared_ptr<arrow::DataType> DecodedType(std::shared_ptr<arrow::DataType> type);

}  // namespace fast_axolotl
