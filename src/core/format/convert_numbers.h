// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "arrow/array/array_base.h"
#include "arrow/type.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// Numbers of any type as those of another. One that does not fit is Invalid: an integer
/// that a float does not hold exactly, a float that is no integer or, unless the
/// `nearest` will do, has more digits. Nothing finite becomes infinite.
Result<std::shared_ptr<arrow::Array>> ConvertNumbers(
    const std::shared_ptr<arrow::Array>& array,
    const std::shared_ptr<arrow::DataType>& type, bool nearest);

/// Which rows are valid, from the first bit on; null if all are.
Result<std::shared_ptr<arrow::Buffer>> ValidityOf(const arrow::Array& array);

}  // namespace fast_axolotl
