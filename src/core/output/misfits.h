// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/common/error.h"
#include "core/index/dataset.h"
#include "core/output/batch.h"

namespace fast_axolotl {

/// What becomes of a batch's rows that could not be read, or that the output cannot hold.

/// Where a batch has something that the output cannot hold: an Invalid status, and these.
struct Misfit {
  int64_t row = 0;
  std::string column;
};

/// Leaves the bad rows out of a batch that has just been cut.
Status LeaveOutBad(const Dataset& dataset, Batch* batch);

/// Whether an output can hold a batch: OK, Invalid with a misfit, or another error.
using Fits = std::function<Status(const Batch&, Misfit*)>;

/// Leaves the rows that do not fit out of a batch, as ones that cannot be read. Some do
/// not: `first`, with its `status`.
Status LeaveOutMisfits(const Dataset& dataset, const Misfit& first, const Status& status,
                       const Fits& fits, Batch* batch);

/// The error that a misfit is, with its place. Others name the file of the first row.
Status MisfitAt(const Dataset& dataset, const Batch& batch, const Misfit& misfit,
                const Status& status);

}  // namespace fast_axolotl
