// SPDX-License-Identifier: Apache-2.0
#include "core/scan/measure.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/output/list_column.h"
#include "core/output/misfits.h"

namespace fast_axolotl {
namespace {

int64_t RowsOf(const FileIndex& index) {
  int64_t rows = 0;
  for (const Fragment& fragment : index.fragments) rows += fragment.rows;
  return rows;
}

// The kept lengths of each file, or nothing.
Result<std::vector<std::optional<std::vector<uint32_t>>>> Kept(
    const Dataset& dataset, const DatasetIndex& index, const IndexStore& store,
    const std::string& column) {
  std::vector<std::optional<std::vector<uint32_t>>> kept;
  for (size_t file = 0; file < dataset.files().size(); ++file) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset.input(file));
    kept.push_back(
        store.LoadLengths(input, dataset.options(), column, RowsOf(*index.file(file))));
  }
  return kept;
}

Status Append(const Dataset& dataset, const Piece& piece, const std::string& column,
              std::vector<uint32_t>* lengths) {
  Batch batch;
  batch.rows = piece.num_rows();
  batch.pieces.push_back(piece);
  Misfit misfit{0, column};
  const auto lists = ListColumn(batch, column, &misfit.row);
  if (!lists.ok()) return MisfitAt(dataset, batch, misfit, lists.status());
  for (const Sequences::Row& list : lists->rows) {
    lengths->push_back(static_cast<uint32_t>(list.length));
  }
  return Status::OK();
}

}  // namespace

std::shared_ptr<const RowLengths> LoadLengths(const Dataset& dataset,
                                              const DatasetIndex& index,
                                              const IndexStore& store,
                                              const std::string& column) {
  auto kept = Kept(dataset, index, store, column);
  if (!kept.ok()) return nullptr;
  auto lengths = std::make_shared<RowLengths>();
  for (auto& file : *kept) {
    if (!file) return nullptr;
    lengths->files.push_back(std::move(*file));
  }
  return lengths;
}

Result<std::shared_ptr<const RowLengths>> MeasureLengths(
    const std::shared_ptr<const Dataset>& dataset,
    const std::shared_ptr<const DatasetIndex>& index, const IndexStore& store,
    const std::string& column, const ReadOptions& options, const ScanOptions& scan) {
  const auto field = dataset->schema()->GetFieldByName(column);
  if (!field || !IsListOfNumbers(*field->type())) {
    std::string lists;
    for (const auto& other : dataset->schema()->fields()) {
      if (!IsListOfNumbers(*other->type())) continue;
      lists += (lists.empty() ? "" : ", ") + Quoted(other->name());
    }
    return Status::Invalid("the column ", Quoted(column),
                           field ? " holds no lists of numbers" : " is not in the data",
                           "; lists of numbers are in: ", lists.empty() ? "none" : lists);
  }
  ARROW_ASSIGN_OR_RAISE(auto kept, Kept(*dataset, *index, store, column));
  std::vector<ScanUnit> units;
  for (const auto& [file, fragment] : index->entries()) {
    if (!kept[file] && fragment.rows > 0) {
      units.push_back({file, fragment, 0, fragment.rows});
    }
  }
  // What the lengths are of, from before the files are read.
  std::vector<std::string> keys(kept.size());
  for (size_t file = 0; file < kept.size(); ++file) {
    if (kept[file]) continue;
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset->input(file));
    ARROW_ASSIGN_OR_RAISE(keys[file], store.KeyOf(input, dataset->options()));
  }
  RowLengths lengths;
  lengths.files.resize(kept.size());
  ReadOptions read = options;
  read.columns = {column};
  read.stable = arrow::schema({field});
  Scan rows(dataset, index, std::move(units), std::move(read), scan);
  for (;;) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(auto piece, rows.Next(std::chrono::milliseconds(50)));
    if (!piece) continue;
    if (!piece->rows) break;
    ARROW_RETURN_NOT_OK(Append(*dataset, *piece, column, &lengths.files[piece->file]));
  }
  for (size_t file = 0; file < kept.size(); ++file) {
    if (kept[file]) {
      lengths.files[file] = std::move(*kept[file]);
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset->input(file));
    ARROW_RETURN_NOT_OK(store.KeepLengths(input, dataset->options(), column, keys[file],
                                          lengths.files[file]));
  }
  return std::make_shared<const RowLengths>(std::move(lengths));
}

}  // namespace fast_axolotl
