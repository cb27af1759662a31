// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "arrow/type.h"
#include "core/common/error.h"
#include "core/output/columns.h"
#include "core/output/misfits.h"
#include "core/output/pad.h"
#include "core/output/sequences.h"

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

/// Whether the data has a column, and its lists; an Invalid status comes with `*row`.
using HasColumn = std::function<bool(const std::string& name)>;
using ReadColumn =
    std::function<Result<Sequences>(const std::string& name, int64_t* row)>;

/// The padded columns, wherever their lists come from; `pad` was checked for them.
Result<std::vector<OutputColumn>> PadColumns(const PadOptions& pad, const HasColumn& has,
                                             const ReadColumn& read, Misfit* misfit);

/// Checks that the columns are there to be padded, and have numbers to pad.
Status CheckPad(const PadOptions& pad, const arrow::Schema& schema);
Status CheckPad(const PadOptions& pad, const HasColumn& has);

}  // namespace fast_axolotl
