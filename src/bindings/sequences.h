// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "core/output/sequences.h"

namespace fast_axolotl {

// What rows may hold.
enum class Numbers {
  kIntegers,  // that fit int64
  kAny,
};

// The rows of a Python object: a list or other sequence whose items are lists, tuples or
// other sequences of numbers, or 1-D arrays (numpy, torch, whatever has DLPack or the
// buffer protocol), mixed as they come; or one 2-D array.
//
// Arrays are viewed and not copied where all rows are arrays of one type and contiguous.
// Otherwise integers become int64 and, if any row has a float, all numbers double. True
// and False are 1 and 0. The views keep the arrays alive, and the GIL must be held when
// the last copy of `owners` goes.
//
// Throws Python's exceptions, which name the place as `name[row][item]`: TypeError for
// what is no number, or no integer where floats may not be, ValueError for an integer
// beyond 64 bits or one that a double does not hold exactly.
Sequences SequencesOf(nanobind::handle rows, const std::string& name,
                      Numbers numbers = Numbers::kAny);

}  // namespace fast_axolotl
