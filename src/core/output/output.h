// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "core/common/error.h"
#include "core/output/batch.h"
#include "core/output/columns.h"
#include "core/output/misfits.h"
#include "core/output/pack_unit.h"
#include "core/output/pad_columns.h"

namespace fast_axolotl {

/// What is made of a batch.
struct OutputOptions {
  /// Rows that the output cannot hold are left out, as rows that cannot be read.
  bool leave_out_misfits = false;
  /// The columns, which all pieces have.
  std::shared_ptr<arrow::Schema> schema;
  bool as_arrow = false;  // a record batch, and no columns
  std::optional<PadOptions> pad;
  std::optional<PackColumns> pack;  // a unit, and no columns
  bool own = false;                 // columns of numbers get memory that is theirs alone
};

/// A batch in the form in which it is handed over.
struct OutputBatch {
  int64_t rows = 0;
  std::vector<std::string> bad = {};  // as a batch's
  int64_t skipped = 0;
  Batch origin;  // what it was made of, as far as a value may have no Python object
  std::shared_ptr<arrow::RecordBatch> record_batch;
  std::vector<OutputColumn> columns;
  std::shared_ptr<const PackUnit> unit;
};

/// Makes the output of a batch. An Invalid status comes with `*misfit`.
Result<OutputBatch> MakeOutput(const Batch& batch, const OutputOptions& options,
                               Misfit* misfit);

/// The same of a batch's rows that fit; the others are left out of it, where
/// `options.leave_out_misfits`.
Result<OutputBatch> MakeFittingOutput(const Dataset& dataset,
                                      const OutputOptions& options, Batch* batch,
                                      Misfit* misfit);

/// Checks that there are tokens to pack.
Status CheckPack(const PackColumns& pack, const arrow::Schema& schema);

}  // namespace fast_axolotl
