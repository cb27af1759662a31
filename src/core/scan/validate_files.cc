// SPDX-License-Identifier: Apache-2.0
#include "core/scan/validate_files.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "core/common/stop.h"
#include "core/scan/index_files.h"

namespace fast_axolotl {
namespace {

// The fragments with only their good rows counted.
std::vector<Fragment> GoodRows(std::vector<Fragment> fragments,
                               const std::vector<int64_t>& bad) {
  const auto before = [&](int64_t row) {
    return std::lower_bound(bad.begin(), bad.end(), row) - bad.begin();
  };
  for (Fragment& fragment : fragments) {
    const int64_t first = fragment.first_row();
    const int64_t bad_before = before(first);
    fragment.rows -= before(first + fragment.rows) - bad_before;
    fragment.row -= bad_before;
    fragment.bad += bad_before;
  }
  return fragments;
}

// Notes the bad rows of a piece down, in their order.
Status FindBad(const Dataset& dataset, const Piece& piece, const Fits& fits,
               std::vector<int64_t>* bad,
               const std::function<void(std::string)>& report) {
  Batch good;
  good.pieces = {piece};
  good.rows = piece.num_rows();
  ARROW_RETURN_NOT_OK(LeaveOutBad(dataset, &good));
  Misfit misfit;
  const Status status = fits(good, &misfit);
  if (status.IsInvalid()) {
    ARROW_RETURN_NOT_OK(LeaveOutMisfits(dataset, misfit, status, fits, &good));
  } else if (!status.ok()) {
    return status;
  }
  for (std::string& json : good.bad) report(std::move(json));
  int64_t row = piece.first_row;
  for (const Piece& kept : good.pieces) {
    while (row < kept.first_row) bad->push_back(row++);
    row += kept.num_rows();
  }
  while (row < piece.first_row + piece.num_rows()) bad->push_back(row++);
  return Status::OK();
}

}  // namespace

Result<std::shared_ptr<const DatasetIndex>> ValidateFiles(
    const std::shared_ptr<const Dataset>& dataset, const IndexStore& store,
    const ReadOptions& options, const ScanOptions& scan, const Fits& fits,
    const std::function<void(std::string)>& report) {
  // The files as they are before they are read.
  std::vector<std::string> keys;
  for (size_t file = 0; file < dataset->files().size(); ++file) {
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset->input(file));
    ARROW_ASSIGN_OR_RAISE(keys.emplace_back(), store.KeyOf(input, dataset->options()));
  }
  // Without those that are kept: they may leave rows out already.
  ARROW_ASSIGN_OR_RAISE(auto index, IndexFiles(dataset, IndexStore(""), options,
                                               std::max(scan.num_threads, 1)));
  std::vector<ScanUnit> units;
  for (const auto& [file, fragment] : index->entries()) {
    if (fragment.rows > 0) units.push_back({file, fragment, 0, fragment.rows});
  }
  Scan rows(dataset, index, std::move(units), options, scan);
  std::vector<std::vector<int64_t>> bad(keys.size());
  for (;;) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(auto piece, rows.Next(std::chrono::milliseconds(50)));
    if (!piece) continue;
    if (!piece->rows) break;
    ARROW_RETURN_NOT_OK(FindBad(*dataset, *piece, fits, &bad[piece->file], report));
  }
  std::vector<std::shared_ptr<const FileIndex>> files;
  for (size_t file = 0; file < keys.size(); ++file) {
    auto whole = std::make_shared<FileIndex>(*index->file(file));
    whole->fragments = GoodRows(std::move(whole->fragments), bad[file]);
    whole->parts = GoodRows(std::move(whole->parts), bad[file]);
    whole->bad = std::move(bad[file]);
    whole->validated = true;
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset->input(file));
    ARROW_RETURN_NOT_OK(store.Keep(input, dataset->options(), keys[file], *whole));
    files.push_back(std::move(whole));
  }
  return std::make_shared<const DatasetIndex>(std::move(files));
}

}  // namespace fast_axolotl
