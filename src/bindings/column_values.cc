// SPDX-License-Identifier: Apache-2.0
#include "bindings/column_values.h"

#include <arrow/array.h>

#include <algorithm>

#include "bindings/arrow_to_python.h"
#include "bindings/json_to_python.h"

namespace fast_axolotl {
namespace {

// Signals are looked at after so many rows. As many are decoded together at most, but of
// Arrow's own files, so converters are seldom made twice.
constexpr int64_t kRows = int64_t{1} << 16;

int64_t FillSome(const arrow::Array& array, bool json, int64_t begin, int64_t count,
                 PyObject** out) {
  if (PyErr_CheckSignals() != 0) return kInterrupted;
  int64_t failed = kAllFilled;
  if (json) {
    failed =
        FillJsonValues(static_cast<const arrow::StringArray&>(array), begin, count, out);
  } else if (FillPythonValues(array, begin, count, out, &failed)) {
    failed = kAllFilled;
  }
  return failed < 0 ? failed : begin + failed;
}

}  // namespace

int64_t FillValues(const arrow::Array& array, bool json, PyObject** out) {
  int64_t begin = 0;
  do {
    const int64_t count = std::min(kRows, array.length() - begin);
    const int64_t failed = FillSome(array, json, begin, count, out + begin);
    if (failed != kAllFilled) {
      for (int64_t i = 0; i < begin; ++i) Py_CLEAR(out[i]);
      return failed;
    }
    begin += count;
  } while (begin < array.length());
  return kAllFilled;
}

}  // namespace fast_axolotl
