// SPDX-License-Identifier: Apache-2.0
#include "core/scan/batch_reader.h"

#include <algorithm>
#include <utility>

#include "core/output/misfits.h"

namespace fast_axolotl {

// Fills `next_` until it is whole or nothing more comes; false if the time ended first.
Result<bool> BatchReader::Fill(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (next_.rows < batch_size_ && !ended_) {
    if (!rest_.rows) {
      // However many pieces lie ready: a batch may be of millions of rows.
      if (std::chrono::steady_clock::now() > deadline) return false;
      auto piece = scan_->Next(timeout);
      if (!piece.ok()) {
        failure_ = piece.status();
        ended_ = true;
        break;
      }
      if (!*piece) return false;
      if (!(*piece)->rows) {
        ended_ = true;
        break;
      }
      rest_ = std::move(**piece);
    }
    const int64_t taken = std::min(batch_size_ - next_.rows, rest_.rows->num_rows());
    next_.rows += taken;
    if (taken == rest_.rows->num_rows()) {
      next_.pieces.push_back(std::exchange(rest_, {}));
    } else {
      next_.pieces.push_back(rest_.Slice(0, taken));
      rest_ = rest_.Slice(taken, rest_.num_rows() - taken);
    }
  }
  return true;
}

Result<std::optional<Batch>> BatchReader::Next(std::chrono::milliseconds timeout) {
  ARROW_ASSIGN_OR_RAISE(const bool filled, Fill(timeout));
  if (!filled) return std::nullopt;
  if (next_.rows == 0) ARROW_RETURN_NOT_OK(failure_);
  next_.cut = !failure_.ok();
  Batch batch = std::exchange(next_, {});
  if (dataset_) ARROW_RETURN_NOT_OK(LeaveOutBad(*dataset_, &batch));
  return batch;
}

}  // namespace fast_axolotl
