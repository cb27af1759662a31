// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/index/store.h"

namespace fast_axolotl {

/// Finds the fragments of all files, on `num_threads` threads: several files at a time,
/// and where there are fewer files than threads, several threads in each.
/// What may end the work of the calling thread ends that of the others.
Result<std::shared_ptr<const DatasetIndex>> IndexFiles(
    const std::shared_ptr<const Dataset>& dataset, const IndexStore& store,
    const ReadOptions& options, int num_threads);

/// The rows of all files, found the same way; nothing is kept.
Result<int64_t> CountFiles(const std::shared_ptr<const Dataset>& dataset,
                           const ReadOptions& options, int num_threads);

/// The index of all files, if it is kept for each of them, else null.
std::shared_ptr<const DatasetIndex> LoadKeptIndex(const Dataset& dataset,
                                                  const IndexStore& store);

/// What the indexes that are kept leave out, be they of all files or of some.
Result<LeftOut> LoadLeftOut(const Dataset& dataset, const IndexStore& store);

}  // namespace fast_axolotl
