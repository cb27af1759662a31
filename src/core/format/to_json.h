// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "arrow/array/array_base.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// Appends a value as JSON, as Python's json.dumps writes the value that Python gets; a
/// map is an object. Invalid where JSON has no form for it: bytes, decimals, dates and
/// times, maps whose keys are no strings or repeat.
Status AppendJson(const arrow::Array& array, int64_t row, std::string* out);

/// The rows as JSON texts, null rows null.
Result<std::shared_ptr<arrow::Array>> ToJson(const arrow::Array& array);

}  // namespace fast_axolotl
