// SPDX-License-Identifier: Apache-2.0
#include "bindings/tensor_to_lists.h"

#include "bindings/small_ints.h"

namespace fast_axolotl {

bool FillLists(const arrow::Tensor& tensor, PyObject** out) {
  const int64_t rows = tensor.shape()[0];
  const int64_t length = tensor.shape()[1];
  const auto* values = reinterpret_cast<const int64_t*>(tensor.raw_data());
  for (int64_t row = 0; row < rows; ++row, values += length) {
    out[row] = PyList_New(length);
    if (out[row] == nullptr) return false;
    PyObject** items = reinterpret_cast<PyListObject*>(out[row])->ob_item;
    for (int64_t i = 0; i < length; ++i) {
      items[i] = NewInt(values[i]);
      if (items[i] == nullptr) return false;
    }
  }
  return true;
}

}  // namespace fast_axolotl
