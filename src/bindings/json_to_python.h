// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>

#include <cstdint>

namespace arrow {
class StringArray;
}

namespace fast_axolotl {

// Writes the values that json.loads gives for the JSON texts of rows
// [offset, offset + length) to out[0, length); a null row is None. Returns -1, or the row
// that failed, counted from `offset`, with a Python exception set and nothing left in
// `out`. The texts were checked when they were read; what can still fail is memory and
// Python's limit on the digits of an int.
int64_t FillJsonValues(const arrow::StringArray& texts, int64_t offset, int64_t length,
                       PyObject** out);

}  // namespace fast_axolotl
