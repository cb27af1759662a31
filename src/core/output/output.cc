// SPDX-License-Identifier: Apache-2.0
#include "core/output/output.h"

#include <arrow/type_traits.h>

#include <algorithm>
#include <utility>

#include "core/common/text.h"
#include "core/format/schema.h"
#include "core/output/list_column.h"

namespace fast_axolotl {
namespace {

constexpr char kTokens[] = "input_ids";
constexpr char kMask[] = "attention_mask";
constexpr char kPositions[] = "position_ids";
constexpr char kLabels[] = "labels";

bool CanBeMade(const std::string& name) {
  return name == kMask || name == kPositions || name == kLabels;
}

bool Has(const arrow::Schema& schema, const std::string& name) {
  return schema.GetFieldIndex(name) >= 0;
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

// The tensor of one column: of its own lists, or made of the leading ones.
Result<std::shared_ptr<arrow::Tensor>> PadColumnOf(const PadColumn& column, bool has,
                                                   const Sequences& lists,
                                                   std::span<const int64_t> lengths,
                                                   int64_t length,
                                                   const PadShape& shape) {
  const bool made = !has && column.name != kLabels;
  const auto type = column.type                                     ? column.type
                    : !made && arrow::is_floating(lists.type->id()) ? lists.type
                                                                    : arrow::int64();
  if (made && column.name == kMask) return AttentionMask(lengths, type, length, shape);
  if (made) return PositionIds(lengths, column.fill, type, length, shape);
  return Pad(lists, column.fill, type, length, shape);
}

Result<PackUnit> UnitOf(const Batch& batch, const OutputOptions& options,
                        Misfit* misfit) {
  const PackColumns& pack = *options.pack;
  misfit->column = pack.tokens;
  ARROW_ASSIGN_OR_RAISE(Sequences tokens, ListColumn(batch, pack.tokens, &misfit->row));
  std::optional<Sequences> labels;
  if (Has(*options.schema, pack.labels)) {
    misfit->column = pack.labels;
    ARROW_ASSIGN_OR_RAISE(labels, ListColumn(batch, pack.labels, &misfit->row));
  }
  return MakeUnit(std::move(tokens), std::move(labels), pack, &misfit->row);
}

}  // namespace

Status CheckPad(const PadOptions& pad, const arrow::Schema& schema) {
  for (const PadColumn& column : pad.columns) {
    const auto field = schema.GetFieldByName(column.name);
    if (field && !IsListOfNumbers(*field->type())) {
      return Status::Invalid("pad= needs lists of numbers, and column ",
                             Quoted(column.name), " has the type ", TypeName(*field));
    }
  }
  return CheckPad(pad, [&](const std::string& name) { return Has(schema, name); });
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
                                             const ReadColumn& read) {
  const PadColumn* leading = LeadingColumn(pad, has);
  std::vector<Sequences> lists(pad.columns.size());
  std::vector<int64_t> longest;
  std::vector<int64_t> lengths;  // of the leading column
  const Sequences* tokens = nullptr;
  for (size_t i = 0; i < lists.size(); ++i) {
    const PadColumn& column = pad.columns[i];
    if (!has(column.name)) continue;
    ARROW_ASSIGN_OR_RAISE(lists[i], read(column.name));
    std::vector<int64_t> own = lists[i].Lengths();
    longest.push_back(own.empty() ? 0 : *std::max_element(own.begin(), own.end()));
    if (&column != leading) continue;
    tokens = &lists[i];
    lengths = std::move(own);
  }
  const int64_t length = PaddedLength(longest, pad.shape);
  std::vector<OutputColumn> columns;
  for (size_t i = 0; i < lists.size(); ++i) {
    const PadColumn& column = pad.columns[i];
    OutputColumn padded;
    padded.name = column.name;
    padded.layout = OutputColumn::Layout::kDense;
    ARROW_ASSIGN_OR_RAISE(
        padded.tensor,
        PadColumnOf(column, has(column.name), has(column.name) ? lists[i] : *tokens,
                    lengths, length, pad.shape));
    columns.push_back(std::move(padded));
  }
  return columns;
}

Status CheckPack(const PackColumns& pack, const arrow::Schema& schema) {
  for (const std::string& name : {pack.tokens, pack.labels}) {
    const auto field = schema.GetFieldByName(name);
    if (!field && name == pack.tokens) {
      return Status::Invalid("pack= needs the column ", Quoted(name),
                             ", which the data does not have");
    }
    if (field && !IsListOfNumbers(*field->type())) {
      return Status::Invalid("pack= needs lists of numbers, and column ", Quoted(name),
                             " has the type ", TypeName(*field));
    }
  }
  return Status::OK();
}

Result<OutputBatch> MakeOutput(const Batch& batch, const OutputOptions& options,
                               Misfit* misfit) {
  OutputBatch output;
  output.rows = batch.rows;
  output.origin = batch;
  if (options.as_arrow) {
    ARROW_ASSIGN_OR_RAISE(output.record_batch, Collect(batch, options.schema));
    return output;
  }
  if (options.pack) {
    ARROW_ASSIGN_OR_RAISE(auto unit, UnitOf(batch, options, misfit));
    output.unit = std::make_shared<const PackUnit>(std::move(unit));
    return output;
  }
  std::vector<OutputColumn> padded;
  arrow::FieldVector others = options.schema->fields();
  if (options.pad) {
    ARROW_ASSIGN_OR_RAISE(
        padded, PadColumns(
                    *options.pad,
                    [&](const std::string& name) { return Has(*options.schema, name); },
                    [&](const std::string& name) {
                      misfit->column = name;
                      return ListColumn(batch, name, &misfit->row);
                    }));
    std::erase_if(others, [&](const auto& field) {
      return std::any_of(padded.begin(), padded.end(), [&](const auto& column) {
        return column.name == field->name();
      });
    });
  }
  ARROW_ASSIGN_OR_RAISE(const auto rows, Collect(batch, arrow::schema(others)));
  // Columns stand where the schema has them; what was made comes last.
  for (const auto& field : options.schema->fields()) {
    const auto made = std::find_if(padded.begin(), padded.end(), [&](const auto& column) {
      return column.name == field->name();
    });
    if (made != padded.end()) {
      output.columns.push_back(std::move(*made));
      padded.erase(made);
      continue;
    }
    misfit->column = field->name();
    ARROW_ASSIGN_OR_RAISE(
        output.columns.emplace_back(),
        LayOutColumn(*field, rows->GetColumnByName(field->name()), &misfit->row));
  }
  for (OutputColumn& column : padded) output.columns.push_back(std::move(column));
  return output;
}

}  // namespace fast_axolotl
