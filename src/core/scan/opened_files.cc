// SPDX-License-Identifier: Apache-2.0
#include "core/scan/opened_files.h"

#include <utility>

namespace fast_axolotl {
namespace {

constexpr size_t kMaxKept = 64;
// The same of files that are kept decompressed in an open temporary file.
constexpr size_t kMaxTemporary = 4;

}  // namespace

OpenedFiles::OpenedFiles(std::shared_ptr<const Dataset> dataset,
                         std::shared_ptr<const DatasetIndex> index, ReadOptions options)
    : dataset_(std::move(dataset)),
      index_(std::move(index)),
      options_(std::move(options)) {}

Result<std::shared_ptr<const OpenedFile>> OpenedFiles::Open(size_t file) const {
  ARROW_ASSIGN_OR_RAISE(const Input input, dataset_->input(file));
  const auto known = index_ ? index_->file(file) : nullptr;
  ReadOptions options = options_;
  // Bad rows that are known are passed over, whatever becomes of others.
  options.keep_bad_rows |= known && known->leaves_out();
  ARROW_ASSIGN_OR_RAISE(OpenedFile opened, input.format->open(input, options, known));
  opened.temporary = input.codec && input.format->count;
  if (BegunPass begun = known ? nullptr : dataset_->TakeBegun(file, options_)) {
    opened.open = [begun, options = options_](const Fragment&) { return begun(options); };
  }
  return std::make_shared<const OpenedFile>(std::move(opened));
}

Result<std::shared_ptr<const OpenedFile>> OpenedFiles::OpenKept(size_t file) {
  {
    std::lock_guard lock(mutex_);
    const auto kept = kept_.find(file);
    if (kept != kept_.end()) return kept->second;
  }
  ARROW_ASSIGN_OR_RAISE(auto opened, Open(file));
  std::lock_guard lock(mutex_);
  if (kept_.size() >= (opened->temporary ? kMaxTemporary : kMaxKept)) kept_.clear();
  return kept_.emplace(file, std::move(opened)).first->second;
}

}  // namespace fast_axolotl
