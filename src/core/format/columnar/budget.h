// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "arrow/memory_pool.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// Memory for decoding. It is capped at three quarters of the machine's, because a
/// damaged file may ask for any amount.
arrow::MemoryPool* DecodePool();

/// Bounds what this thread takes from DecodePool() as long as it lives, what it gives
/// back taken off: Arrow's readers believe whatever size damaged data claim. Where
/// budgets are nested the innermost counts.
class DecodeBudget {
 public:
  explicit DecodeBudget(int64_t bytes);
  DecodeBudget(const DecodeBudget&) = delete;
  DecodeBudget& operator=(const DecodeBudget&) = delete;
  ~DecodeBudget();

  /// Allows so much more.
  void Add(int64_t bytes);
  /// How much was taken when more than the budget was asked for, that included; else 0.
  int64_t refused() const { return refused_; }

  /// The innermost budget of this thread, or null.
  static DecodeBudget* Current();

 private:
  friend class BudgetedPool;

  Status Take(int64_t bytes);

  DecodeBudget* const outer_;
  int64_t bytes_;
  int64_t taken_ = 0;
  int64_t refused_ = 0;
};

}  // namespace fast_axolotl
