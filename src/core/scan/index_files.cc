// SPDX-License-Identifier: Apache-2.0
#include "core/scan/index_files.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/common/for_each.h"
#include "core/common/stop.h"

namespace fast_axolotl {

namespace {

using FileIndexPtr = std::shared_ptr<const FileIndex>;
using IndexFile = std::function<Result<FileIndexPtr>(const Input&, const ReadOptions&)>;

// What `index_file` finds of each file, several at a time.
Result<std::vector<FileIndexPtr>> IndexEach(const Dataset& dataset, ReadOptions options,
                                            int num_threads,
                                            const IndexFile& index_file) {
  std::vector<FileIndexPtr> indexes(dataset.files().size());
  // Where there are fewer files than threads, several of those share a file.
  options.index_threads =
      num_threads / static_cast<int>(std::max<size_t>(indexes.size(), 1));
  ARROW_RETURN_NOT_OK(ForEach(indexes.size(), num_threads, [&](size_t file) -> Status {
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset.input(file));
    ARROW_ASSIGN_OR_RAISE(indexes[file], index_file(input, options));
    return Status::OK();
  }));
  return indexes;
}

// The index of a file; one without rows if it cannot be read and that may be.
Result<FileIndexPtr> LoadOrGiveUp(const IndexStore& store, const Input& input,
                                  const ReadOptions& options) {
  auto index = store.LoadOrBuild(input, options);
  if (index.ok() || !options.keep_bad_rows || !IsOfData(index.status())) return index;
  FileIndex nothing;
  nothing.damages = {MakeDamage(0, index.status(), input.file.path)};
  return std::make_shared<const FileIndex>(std::move(nothing));
}

}  // namespace

Result<std::shared_ptr<const DatasetIndex>> IndexFiles(
    const std::shared_ptr<const Dataset>& dataset, const IndexStore& store,
    const ReadOptions& options, int num_threads) {
  ARROW_ASSIGN_OR_RAISE(auto indexes,
                        IndexEach(*dataset, options, num_threads,
                                  [&](const Input& input, const ReadOptions& indexing) {
                                    return LoadOrGiveUp(store, input, indexing);
                                  }));
  return std::make_shared<const DatasetIndex>(std::move(indexes));
}

Result<int64_t> CountFiles(const std::shared_ptr<const Dataset>& dataset,
                           const ReadOptions& options, int num_threads) {
  ReadOptions counting = options;
  counting.restart_points = false;
  ARROW_ASSIGN_OR_RAISE(
      auto indexes,
      IndexEach(
          *dataset, counting, num_threads,
          [](const Input& input, const ReadOptions& indexing) -> Result<FileIndexPtr> {
            ARROW_ASSIGN_OR_RAISE(FileIndex index, input.format->index(input, indexing));
            return std::make_shared<const FileIndex>(std::move(index));
          }));
  return DatasetIndex(std::move(indexes)).rows();
}

std::shared_ptr<const DatasetIndex> LoadKeptIndex(const Dataset& dataset,
                                                  const IndexStore& store) {
  std::vector<std::shared_ptr<const FileIndex>> indexes;
  for (size_t file = 0; file < dataset.files().size(); ++file) {
    if (!CheckStop().ok()) return nullptr;
    const auto input = dataset.input(file);
    if (!input.ok()) return nullptr;
    auto index = store.Load(*input, dataset.options());
    if (!index) return nullptr;
    indexes.push_back(std::move(index));
  }
  return std::make_shared<const DatasetIndex>(std::move(indexes));
}

Result<LeftOut> LoadLeftOut(const Dataset& dataset, const IndexStore& store) {
  LeftOut left;
  if (!store.LeavesOut()) return left;
  for (size_t file = 0; file < dataset.files().size(); ++file) {
    ARROW_RETURN_NOT_OK(CheckStop());
    const auto input = dataset.input(file);
    // Of a file that cannot be opened, reading it tells.
    const auto index = input.ok() ? store.Load(*input, dataset.options()) : nullptr;
    if (index) left.Add(file, *index);
  }
  return left;
}

}  // namespace fast_axolotl
