// SPDX-License-Identifier: Apache-2.0
//
// Reading Python's numbers one by one, fast where they are small ints.

#pragma once

#include <Python.h>

#include <cstdint>

namespace fast_axolotl {

// Sets `*value` to an int of one digit, which all token ids are; false for any other.
inline bool SmallInt(PyObject* number, int64_t* value) {
#if PY_VERSION_HEX >= 0x030C0000
  auto* digits = reinterpret_cast<PyLongObject*>(number);
  if (!PyUnstable_Long_IsCompact(digits)) return false;
  *value = PyUnstable_Long_CompactValue(digits);
#else
  const Py_ssize_t size = Py_SIZE(number);
  if (size < -1 || size > 1) return false;
  *value =
      size * static_cast<int64_t>(reinterpret_cast<PyLongObject*>(number)->ob_digit[0]);
#endif
  return true;
}

enum class NumberKind {
  kFits,
  kFloat,     // and an integer was asked for
  kTooLarge,  // beyond 64 bits, or what a double holds exactly
  kNoNumber,
};

// Sets `*value` to a Python number: an int, a float, or what has __index__ or __float__.
// May run Python code. Errors of that code count as kNoNumber.
NumberKind ReadNumber(PyObject* number, int64_t* value);
NumberKind ReadNumber(PyObject* number, double* value);

}  // namespace fast_axolotl
