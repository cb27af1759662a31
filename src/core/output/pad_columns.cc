// SPDX-License-Identifier: Apache-2.0
#include "core/output/pad_columns.h"

#include <arrow/type_traits.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "core/common/text.h"
#include "core/format/schema.h"
#include "core/output/list_column.h"
#include "core/output/numbers.h"

namespace fast_axolotl {
namespace {

constexpr char kTokens[] = "input_ids";
constexpr char kMask[] = "attention_mask";
constexpr char kPositions[] = "position_ids";
constexpr char kLabels[] = "labels";

bool CanBeMade(const std::string& name) {
  return name == kMask || name == kPositions || name == kLabels;
}

// The column whose lengths tell what is padding, and which labels are made of: the
// tokens, or the first that the data has.
const PadColumn* LeadingColumn(const PadOptions& pad, const HasColumn& has) {
  const PadColumn* first = nullptr;
  for (const PadColumn& column : pad.columns) {
    if (!has(column.name)) continue;
    if (column.name == kTokens) return &column;
    if (!first) first = &column;
  }
  return first;
}

// The type of a column's tensor; `own` is that of its numbers, null where it is made.
std::shared_ptr<arrow::DataType> PaddedType(const PadColumn& column,
                                            const std::shared_ptr<arrow::DataType>& own) {
  if (column.type) return column.type;
  return own && arrow::is_floating(own->id()) ? own : arrow::int64();
}

// The tensor of one column: of its own lists, or made of the leading ones.
Result<std::shared_ptr<arrow::Tensor>> PadColumnOf(const PadColumn& column, bool has,
                                                   const Sequences& lists,
                                                   std::span<const int64_t> lengths,
                                                   int64_t length, const PadShape& shape,
                                                   int64_t* failed_row) {
  const bool made = !has && column.name != kLabels;
  const auto type = PaddedType(column, made ? nullptr : lists.type);
  if (made && column.name == kMask) return AttentionMask(lengths, type, length, shape);
  if (made) {
    return PositionIds(lengths, column.fill, type, length, shape, failed_row);
  }
  return Pad(lists, column.fill, type, length, shape, failed_row);
}

}  // namespace

Status CheckPad(const PadOptions& pad, const arrow::Schema& schema) {
  for (const PadColumn& column : pad.columns) {
    const auto field = schema.GetFieldByName(column.name);
    if (field && !IsListOfNumbers(*field->type())) {
      return Status::Invalid("pad= needs lists of numbers, and column ",
                             Quoted(column.name), " has the type ", TypeName(*field));
    }
    const std::string what = "the padding of column " + Quoted(column.name);
    const auto own = field ? field->type()->field(0)->type() : nullptr;
    ARROW_RETURN_NOT_OK(
        Filler::Make(column.fill, *PaddedType(column, own), what.c_str()));
  }
  const Status named = CheckPad(
      pad, [&](const std::string& name) { return schema.GetFieldIndex(name) >= 0; });
  if (named.ok()) return named;
  return named.WithMessage(named.message(),
                           "; the columns there are: ", ColumnNames(schema.fields()));
}

Status CheckPad(const PadOptions& pad, const HasColumn& has) {
  for (const PadColumn& column : pad.columns) {
    if (!has(column.name) && !CanBeMade(column.name)) {
      return Status::Invalid("pad= names the column ", Quoted(column.name),
                             ", which the data does not have");
    }
  }
  if (!LeadingColumn(pad, has)) {
    return Status::Invalid("pad= names no column that the data has");
  }
  return Status::OK();
}

Result<std::vector<OutputColumn>> PadColumns(const PadOptions& pad, const HasColumn& has,
                                             const ReadColumn& read, Misfit* misfit) {
  const PadColumn* leading = LeadingColumn(pad, has);
  std::vector<Sequences> lists(pad.columns.size());
  std::vector<int64_t> longest;
  std::vector<int64_t> lengths;  // of the leading column
  const Sequences* tokens = nullptr;
  for (size_t i = 0; i < lists.size(); ++i) {
    const PadColumn& column = pad.columns[i];
    if (!has(column.name)) continue;
    misfit->column = column.name;
    ARROW_ASSIGN_OR_RAISE(lists[i], read(column.name, &misfit->row));
    std::vector<int64_t> own = lists[i].Lengths();
    longest.push_back(own.empty() ? 0 : *std::max_element(own.begin(), own.end()));
    if (&column != leading) continue;
    tokens = &lists[i];
    lengths = std::move(own);
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    const PadColumn& column = pad.columns[i];
    if (!has(column.name) || lists[i].rows.size() == lengths.size()) continue;
    misfit->column = column.name;
    misfit->row = static_cast<int64_t>(std::min(lists[i].rows.size(), lengths.size()));
    return Status::Invalid("there are ", lists[i].rows.size(), " rows, and ",
                           lengths.size(), " of ", leading->name);
  }
  const int64_t length = PaddedLength(longest, pad.shape);
  std::vector<OutputColumn> columns;
  for (size_t i = 0; i < lists.size(); ++i) {
    const PadColumn& column = pad.columns[i];
    OutputColumn padded;
    padded.name = column.name;
    padded.layout = OutputColumn::Layout::kDense;
    misfit->column = column.name;
    ARROW_ASSIGN_OR_RAISE(
        padded.tensor,
        PadColumnOf(column, has(column.name), has(column.name) ? lists[i] : *tokens,
                    lengths, length, pad.shape, &misfit->row));
    columns.push_back(std::move(padded));
  }
  return columns;
}

}  // namespace fast_axolotl
