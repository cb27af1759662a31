// SPDX-License-Identifier: Apache-2.0
#include "core/output/output.h"

#include <algorithm>
#include <utility>

#include "core/common/text.h"
#include "core/format/schema.h"
#include "core/output/list_column.h"

namespace fast_axolotl {
namespace {

bool Has(const arrow::Schema& schema, const std::string& name) {
  return schema.GetFieldIndex(name) >= 0;
}

Result<PackUnit> UnitOf(const Batch& batch, const OutputOptions& options,
                        Misfit* misfit) {
  const PackColumns& pack = *options.pack;
  const auto sequences = [&](const std::string& name) -> Result<Sequences> {
    misfit->column = name;
    ARROW_ASSIGN_OR_RAISE(Sequences lists, ListColumn(batch, name, &misfit->row));
    // Where all rows were left out, none tells the type.
    if (!lists.type) lists.type = pack.type;
    return lists;
  };
  ARROW_ASSIGN_OR_RAISE(Sequences tokens, sequences(pack.tokens));
  std::optional<Sequences> labels;
  if (Has(*options.schema, pack.labels)) {
    ARROW_ASSIGN_OR_RAISE(labels, sequences(pack.labels));
  }
  return MakeUnit(std::move(tokens), std::move(labels), pack, misfit);
}

}  // namespace

Status CheckPack(const PackColumns& pack, const arrow::Schema& schema) {
  for (const std::string& name : {pack.tokens, pack.labels}) {
    const auto field = schema.GetFieldByName(name);
    if (!field && name == pack.tokens) {
      return Status::Invalid("pack= needs the column ", Quoted(name),
                             ", which the data does not have; the columns there are: ",
                             ColumnNames(schema.fields()));
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
  output.bad = batch.bad;
  output.skipped = batch.skipped;
  output.origin.cut = batch.cut;
  // All that it had was left out. Units are counted, empty ones too.
  if (batch.rows == 0 && batch.skipped > 0 && !options.pack) return output;
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
                    [&](const std::string& name, int64_t* row) {
                      return ListColumn(batch, name, row);
                    },
                    misfit));
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
    ARROW_ASSIGN_OR_RAISE(output.columns.emplace_back(),
                          LayOutColumn(*field, rows->GetColumnByName(field->name()),
                                       options.own, &misfit->row));
  }
  for (OutputColumn& column : padded) output.columns.push_back(std::move(column));
  // Only these may yet turn out to have no Python value, and it holds decoded blocks.
  const bool values = std::any_of(
      output.columns.begin(), output.columns.end(),
      [](const auto& column) { return column.layout == OutputColumn::Layout::kValues; });
  if (values) output.origin = batch;
  return output;
}

Result<OutputBatch> MakeFittingOutput(const Dataset& dataset,
                                      const OutputOptions& options, Batch* batch,
                                      Misfit* misfit) {
  const auto make = [&](const Batch& part, Misfit* found) {
    return Guarded([&] { return MakeOutput(part, options, found); });
  };
  const auto fits = [&](const Batch& part, Misfit* found) {
    return make(part, found).status();
  };
  for (;;) {
    auto made = make(*batch, misfit);
    if (made.ok() || !made.status().IsInvalid() || !options.leave_out_misfits) {
      return made;
    }
    ARROW_RETURN_NOT_OK(LeaveOutMisfits(dataset, *misfit, made.status(), fits, batch));
  }
}

}  // namespace fast_axolotl
