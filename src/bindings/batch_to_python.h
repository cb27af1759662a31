// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "core/index/dataset.h"
#include "core/scan/batch_reader.h"

namespace fast_axolotl {

// The batch as a dict of lists. Its keys are the dataset's columns in their order, then,
// unless columns were asked for, the others its rows have. A row that has no Python value
// is an OSError that names its place; `*failed_row` is then its number in the batch.
// Returns a null object with the exception set.
nanobind::object BatchToDict(const Dataset& dataset, const Batch& batch,
                             int64_t* failed_row);

}  // namespace fast_axolotl
