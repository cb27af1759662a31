// SPDX-License-Identifier: Apache-2.0
//
// Arrow values as Python objects: what pyarrow's `Array.to_pylist()` returns, made
// without importing pyarrow. Where the two differ:
//
//   * a nanosecond timestamp, duration or time is a `datetime`, `timedelta` or `time`
//     when it is a whole number of microseconds, otherwise an error; never a pandas
//     object;
//   * the month and day-time intervals, which pyarrow cannot convert, are
//     `pyarrow.MonthDayNano` like the third interval;
//   * extension types defined in Python are given by their storage;
//   * whatever has no Python value (a date past year 9999, an unknown time zone, text
//     that is not UTF-8, a struct with a field name twice) is an `OSError` that tells
//     the value, its type and the way out, `schema=`.

#pragma once

#include <Python.h>

#include <cstdint>

namespace arrow {
class Array;
}

namespace fast_axolotl {

// Writes new references to the Python values of array[offset, offset + length) to
// out[0, length). The GIL must be held. On failure returns false with a Python exception
// set, holds no reference in `out` (the entries are null), and `*failed_row` is the first
// row that has no value, counted from `offset`. A value without a Python counterpart is
// an OSError whose message holds no place: the caller knows file, row and column.
bool FillPythonValues(const arrow::Array& array, int64_t offset, int64_t length,
                      PyObject** out, int64_t* failed_row);

}  // namespace fast_axolotl
