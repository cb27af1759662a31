// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

#include "core/index/dataset.h"
#include "core/output/misfits.h"

namespace fast_axolotl {

// The batch as a dict of lists. Its keys are the dataset's columns in their order, then,
// unless columns were asked for, the others its rows have. Returns a null object with the
// exception set where a row has no Python value, and `*misfit` tells which.
nanobind::object BatchToDict(const Dataset& dataset, const Batch& batch, Misfit* misfit);

}  // namespace fast_axolotl
