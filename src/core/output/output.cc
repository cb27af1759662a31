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
const PadColumn* LeadingColumn(const PadOptions& pad, const arrow::Schema& schema) {
  const PadColumn* first = nullptr;
  for (const PadColumn& column : pad.columns) {
    if (!Has(schema, column.name)) continue;
    if (column.name == kTokens) return &column;
    if (!first) first = &column;
  }
  return first;
}

// The padded columns of a batch.
class Padding {
 public:
  Padding(const Batch& batch, const OutputOptions& options, Misfit* misfit)
      : batch_(batch), schema_(*options.schema), pad_(*options.pad), misfit_(misfit) {}

  Result<std::vector<OutputColumn>> Run() {
    const PadColumn* leading = LeadingColumn(pad_, schema_);
    std::vector<Sequences> read(pad_.columns.size());
    std::vector<int64_t> longest;
    const Sequences* tokens = nullptr;
    for (size_t i = 0; i < read.size(); ++i) {
      const PadColumn& column = pad_.columns[i];
      if (!Has(schema_, column.name)) continue;
      misfit_->column = column.name;
      ARROW_ASSIGN_OR_RAISE(read[i], ListColumn(batch_, column.name, &misfit_->row));
      int64_t most = 0;
      for (const Sequences::Row& row : read[i].rows) most = std::max(most, row.length);
      longest.push_back(most);
      if (&column == leading) tokens = &read[i];
    }
    for (const Sequences::Row& row : tokens->rows) lengths_.push_back(row.length);
    length_ = PaddedLength(longest, pad_.shape);
    std::vector<OutputColumn> columns;
    for (size_t i = 0; i < read.size(); ++i) {
      const bool has = Has(schema_, pad_.columns[i].name);
      ARROW_ASSIGN_OR_RAISE(auto tensor, Make(pad_.columns[i], has ? read[i] : *tokens));
      OutputColumn column;
      column.name = pad_.columns[i].name;
      column.layout = OutputColumn::Layout::kDense;
      column.tensor = std::move(tensor);
      columns.push_back(std::move(column));
    }
    return columns;
  }

 private:
  Result<std::shared_ptr<arrow::Tensor>> Make(const PadColumn& column,
                                              const Sequences& read) {
    const bool made = !Has(schema_, column.name) && column.name != kLabels;
    const auto type = column.type                                    ? column.type
                      : !made && arrow::is_floating(read.type->id()) ? read.type
                                                                     : arrow::int64();
    if (made && column.name == kMask) {
      return AttentionMask(lengths_, type, length_, pad_.shape);
    }
    if (made) return PositionIds(lengths_, column.fill, type, length_, pad_.shape);
    misfit_->column = column.name;
    return Pad(read, column.fill, type, length_, pad_.shape);
  }

  const Batch& batch_;
  const arrow::Schema& schema_;
  const PadOptions& pad_;
  Misfit* const misfit_;
  std::vector<int64_t> lengths_;  // of the leading column
  int64_t length_ = 0;
};

}  // namespace

Status CheckPad(const PadOptions& pad, const arrow::Schema& schema) {
  for (const PadColumn& column : pad.columns) {
    const auto field = schema.GetFieldByName(column.name);
    if (!field && !CanBeMade(column.name)) {
      return Status::Invalid("pad= names the column ", Quoted(column.name),
                             ", which the data does not have");
    }
    if (field && !IsListOfNumbers(*field->type())) {
      return Status::Invalid("pad= needs lists of numbers, and column ",
                             Quoted(column.name), " has the type ", TypeName(*field));
    }
  }
  if (!LeadingColumn(pad, schema)) {
    return Status::Invalid("pad= names no column that the data has");
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
  std::vector<OutputColumn> padded;
  arrow::FieldVector others = options.schema->fields();
  if (options.pad) {
    ARROW_ASSIGN_OR_RAISE(padded, Padding(batch, options, misfit).Run());
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
