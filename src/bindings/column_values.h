// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>

#include <cstdint>

namespace arrow {
class Array;
}

namespace fast_axolotl {

// What FillValues found instead of a row that has no value.
constexpr int64_t kAllFilled = -1;
constexpr int64_t kInterrupted = -2;

// Writes new references to the Python values of a column's rows to `out`; those of JSON
// text are parsed. Signals are looked at now and then: a batch may hold millions of
// values. The GIL must be held. Returns kAllFilled; or, with a Python exception set and
// no reference held in `out`, the first row that has no value, or kInterrupted.
int64_t FillValues(const arrow::Array& array, bool json, PyObject** out);

}  // namespace fast_axolotl
