// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <arrow/tensor.h>
#include <nanobind/nanobind.h>

#include <memory>

namespace fast_axolotl {

enum class ArrayKind { kNumpy, kTorch };

struct TensorFlags {
  bool boolean = false;    // its bytes are truth values
  bool read_only = false;  // torch has no such arrays, and ignores it
};

// The tensor as a numpy.ndarray or a torch.Tensor over the same memory, which lives as
// long as the array. Imports numpy or torch.
nanobind::object TensorToPython(std::shared_ptr<arrow::Tensor> tensor, ArrayKind kind,
                                TensorFlags flags = {});

}  // namespace fast_axolotl
