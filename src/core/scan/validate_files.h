// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/index/store.h"
#include "core/output/misfits.h"
#include "core/scan/scan.h"

namespace fast_axolotl {

/// Reads all rows of all files, which must be opened so that bad rows are kept, and keeps
/// an index of each that leaves the bad ones out, with those that do not `fit`. `report`
/// is called with each of them, as an object of JSON (see BadRowJson). That an index
/// cannot be kept is an error.
Result<std::shared_ptr<const DatasetIndex>> ValidateFiles(
    const std::shared_ptr<const Dataset>& dataset, const IndexStore& store,
    const ReadOptions& options, const ScanOptions& scan, const Fits& fits,
    const std::function<void(std::string)>& report);

}  // namespace fast_axolotl
