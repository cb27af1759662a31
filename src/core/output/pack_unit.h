// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/index/lengths.h"
#include "core/output/misfits.h"
#include "core/output/pack.h"
#include "core/plan/plan.h"

namespace fast_axolotl {

/// Which columns are packed, and how.
struct PackColumns {
  std::string tokens;
  std::string labels;  // the tokens are the labels where the data has no such column
  std::shared_ptr<arrow::DataType> type;  // of the tensors
  PackOptions options;
};

/// Consecutive rows of a lane that are packed by themselves: where each of their tokens
/// goes depends on no other rows.
struct PackUnit {
  Sequences tokens;
  std::optional<Sequences> labels;
  PackLayout layout;
  PackColumns columns;

  /// The packed rows `[begin, end)`.
  Result<Packed> Rows(int64_t begin, int64_t end) const;
};

/// The same rows in memory of their own.
Result<Sequences> Copy(const Sequences& sequences);

/// Lays out rows that were read. An Invalid status comes with `*misfit`.
Result<PackUnit> MakeUnit(Sequences tokens, std::optional<Sequences> labels,
                          PackColumns columns, Misfit* misfit);

/// Packed rows of several units, one behind the other, as those of one.
Result<Packed> Join(std::span<const Packed> parts);

/// An IOError with the place of the first row that is too long, where that is an error.
Status CheckLengths(const Dataset& dataset, const RowLengths& lengths,
                    const PackColumns& columns);

/// The packed rows of each unit of each lane, where a plan's batches are the units and
/// no length is an error: see CheckLengths.
Result<std::vector<std::vector<int64_t>>> CountPackedRows(const Plan& plan,
                                                          const DatasetIndex& index,
                                                          const RowLengths& lengths,
                                                          const PackOptions& options);

}  // namespace fast_axolotl
