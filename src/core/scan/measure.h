// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/index/lengths.h"
#include "core/index/store.h"
#include "core/scan/scan.h"

namespace fast_axolotl {

/// How long the lists of `column` are in every row, as far as that is kept for all files,
/// else null.
std::shared_ptr<const RowLengths> LoadLengths(const Dataset& dataset,
                                              const DatasetIndex& index,
                                              const IndexStore& store,
                                              const std::string& column);

/// Reads the column of all files of which that is not kept, and keeps it.
Result<std::shared_ptr<const RowLengths>> MeasureLengths(
    const std::shared_ptr<const Dataset>& dataset,
    const std::shared_ptr<const DatasetIndex>& index, const IndexStore& store,
    const std::string& column, const ReadOptions& options, const ScanOptions& scan);

}  // namespace fast_axolotl
