// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>
#include <arrow/tensor.h>

namespace fast_axolotl {

// Sets out[0, rows) to new lists of ints, the rows of a 2-D tensor of int64. False, with
// the exception set, where that fails; what was made by then stands in `out`.
bool FillLists(const arrow::Tensor& tensor, PyObject** out);

}  // namespace fast_axolotl
