// SPDX-License-Identifier: Apache-2.0
#include "core/scan/lane_set.h"

#include <algorithm>
#include <utility>

namespace fast_axolotl {
namespace {

// With more lanes than this for each thread, they share the caller's: threads that all
// wait help nobody.
constexpr int64_t kLanesPerThread = 4;

}  // namespace

LaneSet::LaneSet(PlannedSource source, int64_t lanes, ScanOptions scan)
    : source_(std::move(source)), scan_(scan) {
  const int64_t threads = std::max(scan.num_threads, 1);
  scan_.num_threads = lanes > threads * kLanesPerThread
                          ? 0
                          : static_cast<int>(std::max<int64_t>(threads / lanes, 1));
  scan_.read_ahead_bytes = std::max<int64_t>(scan.read_ahead_bytes / lanes, 1);
}

Result<std::optional<Batch>> LaneSet::Next(int64_t lane, int64_t number,
                                           std::chrono::milliseconds timeout) {
  auto batch = Guarded([&] { return Give(lane, number, timeout); });
  if (!batch.ok()) {
    // What was on its way may not be whole. Whoever asks again has it read again.
    lanes_.erase(lane);
    search_.reset();
  }
  return batch;
}

Result<std::optional<Batch>> LaneSet::Give(int64_t lane, int64_t number,
                                           std::chrono::milliseconds timeout) {
  if (search_ && search_->lane == lane && search_->number == number) {
    return Replace(timeout);
  }
  search_.reset();
  ARROW_ASSIGN_OR_RAISE(std::optional<Batch> batch, Read(lane, number, timeout));
  if (!batch || !source_.replace) return batch;
  if (batch->rows == 0) {
    search_ = Search{lane,   number, std::move(*batch), number, number,
                     number, number, nullptr,           {}};
    return Replace(timeout);
  }
  Known& known = known_[lane];
  known.last = Good{number, *batch};
  known.last->batch.bad.clear();
  known.last->batch.skipped = 0;
  known.empty_to = number + 1;
  return batch;
}

Result<std::optional<Batch>> LaneSet::Read(int64_t lane, int64_t number,
                                           std::chrono::milliseconds timeout) {
  auto& reader = lanes_[lane];
  if (reader && reader->number() <= number) {
    // Others give the batches between.
    while (reader->number() < number) reader->Skip();
  } else {
    reader = std::make_unique<LaneReader>(source_, lane, number, scan_);
  }
  return reader->Next(timeout);
}

// What to give for the empty batch, if that is known.
const LaneSet::Good* LaneSet::Replacement() const {
  const auto known = known_.find(search_->lane);
  if (known == known_.end()) return nullptr;
  const auto& [first, last, empty_to] = known->second;
  if (first && search_->number < first->number) return &*first;
  if (!last || last->number >= search_->number) return nullptr;
  return search_->empty_from <= empty_to ? &*last : nullptr;
}

// Gives, in place of the empty batch that was asked for, the batch with rows that comes
// last before it in its lane, or else first behind it: the same for whoever looks, and
// whenever, whichever batches of the lane were given here.
Result<std::optional<Batch>> LaneSet::Replace(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const Good* other = nullptr;
  while (!(other = Replacement())) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    ARROW_ASSIGN_OR_RAISE(const bool looked, Look(left));
    if (!looked) return std::nullopt;
  }
  if (other->number < search_->number)
    known_[search_->lane].empty_to = search_->number + 1;
  Batch batch = other->batch;
  batch.bad = std::move(search_->empty.bad);
  batch.skipped = search_->empty.skipped;
  search_.reset();
  return batch;
}

// Goes through one batch more of the search; false if the time ended first.
Result<bool> LaneSet::Look(std::chrono::milliseconds timeout) {
  Search& search = *search_;
  if (search.at == search.end) ARROW_RETURN_NOT_OK(Turn());
  ARROW_ASSIGN_OR_RAISE(std::optional<Batch> batch, search.reader->Next(timeout));
  if (!batch) return false;
  if (batch->rows > 0) {
    batch->bad.clear();
    batch->skipped = 0;
    search.found = Good{search.at, std::move(*batch)};
  }
  ++search.at;
  Settle();
  return true;
}

// With the file that the empty batch begins in, and what is wrong there.
Status LaneSet::NoGoodRow(const Search& search) const {
  const int64_t row = search.number * source_.plan->options().batch_size;
  const auto slices = source_.plan->Slices(search.lane, row, row + 1);
  const size_t file = source_.index->entries()[slices.at(0).fragment].file;
  const std::vector<std::string>& bad = search.empty.bad;
  return Status::IOError(source_.dataset->files()[file].path, ": no row of lane ",
                         search.lane, ", which goes through this file, can be read, ",
                         "so there is nothing to give in its turn",
                         bad.empty() ? "" : ": " + bad.back());
}

// Chooses the batches to go through next: backwards, twice as many each time because a
// lane can only be read forwards, and at last those behind the empty one.
Status LaneSet::Turn() {
  Search& search = *search_;
  if (search.empty_from > 0) {
    const int64_t gone = std::max<int64_t>(search.number - search.empty_from, 1);
    search.begin = std::max<int64_t>(search.empty_from - gone, 0);
    search.end = search.empty_from;
  } else {
    search.begin = search.number + 1;
    search.end = source_.plan->LaneBatches(search.lane);
    if (search.begin == search.end || search.at == search.end) {
      const Status error = NoGoodRow(search);
      search_.reset();
      return error;
    }
  }
  search.at = search.begin;
  search.reader = std::make_unique<LaneReader>(source_, search.lane, search.begin, scan_);
  return Status::OK();
}

// Keeps what the batches that were gone through tell.
void LaneSet::Settle() {
  Search& search = *search_;
  Known& known = known_[search.lane];
  if (search.begin > search.number) {
    if (search.found) known.first = std::move(search.found);
  } else if (search.at == search.end) {
    if (search.found) {
      known.last = std::move(search.found);
      known.empty_to = search.number;
    }
    search.empty_from = search.begin;
  }
}

}  // namespace fast_axolotl
