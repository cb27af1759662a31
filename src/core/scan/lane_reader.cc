// SPDX-License-Identifier: Apache-2.0
#include "core/scan/lane_reader.h"

#include <algorithm>
#include <utility>

namespace fast_axolotl {
LaneReader::LaneReader(PlannedSource source, int64_t lane, int64_t number,
                       ScanOptions scan)
    : source_(std::move(source)), lane_(lane), number_(number) {
  const PlanOptions& options = source_.plan->options();
  // Where nothing is shuffled, a window is a batch.
  window_rows_ = options.shuffle ? options.window : options.batch_size;
  next_row_ = number * options.batch_size / window_rows_ * window_rows_;
  const int64_t rows = source_.plan->LaneRows(lane);
  std::vector<ScanUnit> units;
  for (const FragmentSlice& slice : source_.plan->Slices(lane, next_row_, rows)) {
    const DatasetIndex::Entry& entry = source_.index->entries()[slice.fragment];
    const Fragment run =
        source_.index->file(entry.file)->Narrow(entry.fragment, slice.begin, slice.end);
    // The rows counted from where the run begins.
    const int64_t skipped = run.row - entry.fragment.row;
    units.push_back({entry.file, run, slice.begin - skipped, slice.end - skipped});
  }
  scan_ = std::make_unique<Scan>(source_.dataset, source_.index, std::move(units),
                                 source_.options, scan);
}

// Reads on until all rows of a window are held; false if the time ended first.
Result<bool> LaneReader::Load(int64_t window, std::chrono::milliseconds timeout) {
  const int64_t end =
      std::min((window + 1) * window_rows_, source_.plan->LaneRows(lane_));
  while (next_row_ < end) {
    ARROW_ASSIGN_OR_RAISE(std::optional<Piece> piece, scan_->Next(timeout));
    if (!piece) return false;
    if (!piece->rows) {
      return Status::IOError("lane ", lane_, " ends at row ", next_row_, ", before row ",
                             end);
    }
    const int64_t begin = std::exchange(next_row_, next_row_ + piece->rows->num_rows());
    // Of windows that were passed over nothing is kept.
    if (next_row_ <= window * window_rows_) continue;
    held_begins_.push_back(begin);
    held_.push_back(std::move(*piece));
  }
  return true;
}

// The rows that come at places `[begin, end)` of the lane; all are held.
Batch LaneReader::Assemble(int64_t begin, int64_t end) {
  Batch batch;
  batch.rows = end - begin;
  const bool shuffle = source_.plan->options().shuffle;
  std::vector<std::vector<uint32_t>> rows(held_.size());
  std::vector<std::vector<uint32_t>> places(held_.size());
  for (int64_t place = begin; place < end; ++place) {
    int64_t row = place;
    if (shuffle) {
      const int64_t window = place / window_rows_;
      if (window != ordered_window_) {
        order_ = source_.plan->WindowOrder(lane_, window);
        ordered_window_ = window;
      }
      row = window * window_rows_ + order_[place - window * window_rows_];
    }
    const auto after = std::upper_bound(held_begins_.begin(), held_begins_.end(), row);
    const auto piece = static_cast<size_t>(after - held_begins_.begin() - 1);
    rows[piece].push_back(static_cast<uint32_t>(row - held_begins_[piece]));
    places[piece].push_back(static_cast<uint32_t>(place - begin));
  }
  for (size_t i = 0; i < held_.size(); ++i) {
    if (rows[i].empty()) continue;
    Piece piece{nullptr, held_[i].file, held_[i].first_row, {}, {}};
    if (shuffle) {
      piece.rows = held_[i].rows;
      piece.places = std::move(places[i]);
      piece.sources = std::move(rows[i]);
    } else {
      piece.rows =
          held_[i].rows->Slice(rows[i].front(), static_cast<int64_t>(rows[i].size()));
      piece.first_row += rows[i].front();
    }
    batch.pieces.push_back(std::move(piece));
  }
  return batch;
}

Result<std::optional<Batch>> LaneReader::Next(std::chrono::milliseconds timeout) {
  const int64_t batch_size = source_.plan->options().batch_size;
  const int64_t begin = number_ * batch_size;
  const int64_t end = std::min(begin + batch_size, source_.plan->LaneRows(lane_));
  const int64_t first_window = begin / window_rows_;
  // Rows of windows before this batch's are needed no more.
  size_t done = 0;
  while (done < held_.size() && held_begins_[done] + held_[done].rows->num_rows() <=
                                    first_window * window_rows_) {
    ++done;
  }
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(done));
  held_begins_.erase(held_begins_.begin(),
                     held_begins_.begin() + static_cast<ptrdiff_t>(done));
  for (int64_t window = first_window; window * window_rows_ < end; ++window) {
    ARROW_ASSIGN_OR_RAISE(const bool loaded, Load(window, timeout));
    if (!loaded) return std::nullopt;
  }
  Batch batch = Assemble(begin, end);
  ++number_;
  return batch;
}

}  // namespace fast_axolotl
