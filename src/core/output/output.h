// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "core/common/error.h"
#include "core/output/batch.h"
#include "core/output/columns.h"
#include "core/output/pack_unit.h"
#include "core/output/pad.h"

namespace fast_axolotl {

/// A list column that becomes a padded tensor.
struct PadColumn {
  std::string name;
  Fill fill;
  /// Null: that of the numbers if they are floats, else int64.
  std::shared_ptr<arrow::DataType> type;
};

/// How the lists of a batch become tensors of one length.
struct PadOptions {
  /// Columns that the data lacks are made of the others: `attention_mask`,
  /// `position_ids`, and `labels`, which are the tokens.
  std::vector<PadColumn> columns;
  PadShape shape;
};

/// What is made of a batch.
struct OutputOptions {
  /// The columns, which all pieces have.
  std::shared_ptr<arrow::Schema> schema;
  bool as_arrow = false;  // a record batch, and no columns
  std::optional<PadOptions> pad;
  std::optional<PackColumns> pack;  // a unit, and no columns
};

/// A batch in the form in which it is handed over.
struct OutputBatch {
  int64_t rows = 0;
  Batch origin;  // what it was made of
  std::shared_ptr<arrow::RecordBatch> record_batch;
  std::vector<OutputColumn> columns;
  std::shared_ptr<const PackUnit> unit;
};

/// Where a batch has something that the output cannot hold: an Invalid status, and these.
struct Misfit {
  int64_t row = 0;
  std::string column;
};

/// Makes the output of a batch. An Invalid status comes with `*misfit`.
Result<OutputBatch> MakeOutput(const Batch& batch, const OutputOptions& options,
                               Misfit* misfit);

/// Whether the data has a column, and its lists.
using HasColumn = std::function<bool(const std::string& name)>;
using ReadColumn = std::function<Result<Sequences>(const std::string& name)>;

/// The padded columns, wherever their lists come from; `pad` was checked for them.
Result<std::vector<OutputColumn>> PadColumns(const PadOptions& pad, const HasColumn& has,
                                             const ReadColumn& read);

/// Checks that the columns are there to be padded, and have numbers to pad.
Status CheckPad(const PadOptions& pad, const arrow::Schema& schema);
Status CheckPad(const PadOptions& pad, const HasColumn& has);

/// Checks that there are tokens to pack.
Status CheckPack(const PackColumns& pack, const arrow::Schema& schema);

}  // namespace fast_axolotl
