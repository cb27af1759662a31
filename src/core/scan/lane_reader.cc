// SPDX-License-Identifier: Apache-2.0
#include "core/scan/lane_reader.h"

#include <algorithm>
#include <utility>

#include "core/output/misfits.h"

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
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (next_row_ < end) {
    // However many pieces lie ready: a window may be of millions of rows.
    if (std::chrono::steady_clock::now() > deadline) return false;
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
  if (next_row_ == source_.plan->LaneRows(lane_) && !ended_) {
    // The scan has to see that nothing comes behind the last row.
    ARROW_ASSIGN_OR_RAISE(const std::optional<Piece> piece, scan_->Next(timeout));
    if (!piece) return false;
    ended_ = true;
  }
  return true;
}

// Puts the rows of a window into their order, piece by piece: once for all its batches,
// each of which has rows of most pieces.
Status LaneReader::Order(int64_t window) {
  const int64_t begin = window * window_rows_;
  const std::vector<uint32_t> order = source_.plan->WindowOrder(lane_, window);
  std::vector<Piece> pieces(held_.size());
  for (size_t place = 0; place < order.size(); ++place) {
    const int64_t row = begin + order[place];
    const auto after = std::upper_bound(held_begins_.begin(), held_begins_.end(), row);
    const auto i = static_cast<size_t>(after - held_begins_.begin() - 1);
    pieces[i].sources.push_back(static_cast<uint32_t>(row - held_begins_[i]));
    pieces[i].places.push_back(static_cast<uint32_t>(place));
  }
  ordered_.clear();
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].gathered()) continue;
    pieces[i].rows = held_[i].rows;
    pieces[i].file = held_[i].file;
    pieces[i].first_row = held_[i].first_row;
    if (source_.take) {
      auto gathered = Gather(pieces[i]);
      if (!gathered.ok()) {
        return AtFile(source_.dataset->files()[pieces[i].file].path, gathered.status());
      }
      pieces[i] = std::move(*gathered);
    }
    ordered_.push_back(std::move(pieces[i]));
  }
  ordered_window_ = window;
  return Status::OK();
}

// The rows that come at places `[begin, end)` of the lane; all are held.
Result<Batch> LaneReader::Shuffled(int64_t begin, int64_t end) {
  Batch batch;
  batch.rows = end - begin;
  for (int64_t window = begin / window_rows_; window * window_rows_ < end; ++window) {
    if (window != ordered_window_) ARROW_RETURN_NOT_OK(Order(window));
    const int64_t window_begin = window * window_rows_;
    for (const Piece& piece : ordered_) {
      const auto first = std::lower_bound(piece.places.begin(), piece.places.end(),
                                          std::max<int64_t>(begin - window_begin, 0));
      const auto last = std::lower_bound(first, piece.places.end(), end - window_begin);
      if (first == last) continue;
      Piece part = piece.Slice(first - piece.places.begin(), last - first);
      for (uint32_t& place : part.places) {
        place = static_cast<uint32_t>(window_begin + place - begin);
      }
      batch.pieces.push_back(std::move(part));
    }
  }
  return batch;
}

Batch LaneReader::InOrder(int64_t begin, int64_t end) const {
  Batch batch;
  batch.rows = end - begin;
  for (size_t i = 0; i < held_.size(); ++i) {
    const int64_t first = std::max<int64_t>(begin - held_begins_[i], 0);
    const int64_t last = std::min(end - held_begins_[i], held_[i].rows->num_rows());
    if (first >= last) continue;
    batch.pieces.push_back(held_[i].Slice(first, last - first));
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
  Batch batch;
  if (source_.plan->options().shuffle) {
    ARROW_ASSIGN_OR_RAISE(batch, Shuffled(begin, end));
  } else {
    batch = InOrder(begin, end);
  }
  ++number_;
  if (source_.options.keep_bad_rows) {
    ARROW_RETURN_NOT_OK(LeaveOutBad(*source_.dataset, &batch));
  }
  return batch;
}

}  // namespace fast_axolotl
