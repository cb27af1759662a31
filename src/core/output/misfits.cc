// SPDX-License-Identifier: Apache-2.0
#include "core/output/misfits.h"

#include <arrow/array/array_binary.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/common/text.h"
#include "core/format/bad_rows.h"

namespace fast_axolotl {
namespace {

// Where the row at a place of the batch comes from.
FileRow OriginOf(const Batch& batch, int64_t row) {
  int64_t next = 0;
  for (const Piece& piece : batch.pieces) {
    for (int64_t i = 0; i < piece.num_rows(); ++i) {
      const int64_t place = piece.gathered() ? piece.places[i] : next++;
      if (place == row) return piece.origin(i);
    }
  }
  return {0, 0};
}

// Leaves rows out of a gathered piece; the places behind theirs move up.
Status LeaveOutGathered(const std::vector<bool>& left_out,
                        const std::vector<uint32_t>& moved, Piece* piece) {
  std::vector<uint32_t> sources;
  std::vector<uint32_t> places;
  std::vector<int64_t> gone;
  for (size_t i = 0; i < piece->places.size(); ++i) {
    if (left_out[piece->places[i]]) {
      gone.push_back(static_cast<int64_t>(i));
    } else {
      sources.push_back(piece->sources[i]);
      places.push_back(moved[piece->places[i]]);
    }
  }
  piece->sources = std::move(sources);
  piece->places = std::move(places);
  if (!piece->taken || gone.empty()) return Status::OK();
  return WithoutRows(*piece->rows, gone).Value(&piece->rows);
}

// Leaves the rows at some of a batch's places out.
Status LeaveOut(const std::vector<bool>& left_out, Batch* batch) {
  std::vector<uint32_t> moved(left_out.size());
  uint32_t kept = 0;
  for (size_t place = 0; place < left_out.size(); ++place) {
    moved[place] = kept;
    kept += left_out[place] ? 0 : 1;
  }
  std::vector<Piece> pieces;
  size_t first = 0;  // place of a piece's first row
  for (Piece& piece : batch->pieces) {
    if (piece.gathered()) {
      ARROW_RETURN_NOT_OK(LeaveOutGathered(left_out, moved, &piece));
      if (!piece.places.empty()) pieces.push_back(std::move(piece));
      continue;
    }
    const auto size = static_cast<size_t>(piece.rows->num_rows());
    for (size_t begin = 0; begin < size;) {
      size_t end = begin;
      while (end < size && !left_out[first + end]) ++end;
      if (begin < end) {
        pieces.push_back(
            piece.Slice(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin)));
      }
      begin = end + 1;
    }
    first += size;
  }
  batch->pieces = std::move(pieces);
  batch->rows = kept;
  return Status::OK();
}

// The rows of a batch at the places `[begin, end)`.
Batch SliceOf(const Batch& batch, int64_t begin, int64_t end) {
  Batch part;
  part.rows = end - begin;
  int64_t next = 0;
  for (const Piece& piece : batch.pieces) {
    if (piece.gathered()) {
      const auto from = std::lower_bound(piece.places.begin(), piece.places.end(), begin);
      const auto to = std::lower_bound(from, piece.places.end(), end);
      if (from == to) continue;
      Piece some = piece.Slice(from - piece.places.begin(), to - from);
      for (uint32_t& place : some.places) place -= static_cast<uint32_t>(begin);
      part.pieces.push_back(std::move(some));
      continue;
    }
    const int64_t first = next;
    next += piece.rows->num_rows();
    const int64_t from = std::max(begin, first);
    const int64_t to = std::min(end, next);
    if (from >= to) continue;
    part.pieces.push_back(piece.Slice(from - first, to - from));
  }
  return part;
}

// Finds the rows that do not fit by halves: trying them one after another would take a
// time that grows with the square of their number.
struct MisfitFinder {
  MisfitFinder(const Dataset& of, const Fits& whether, int64_t rows)
      : dataset(of), fits(whether), left_out(static_cast<size_t>(rows)) {}

  // Looks through a batch that does not fit, whose first row is the `begin`-th.
  Status Split(const Batch& batch, int64_t begin) {
    if (batch.rows < 2) return Find(batch, begin);
    const int64_t half = batch.rows / 2;
    ARROW_RETURN_NOT_OK(Find(SliceOf(batch, 0, half), begin));
    return Find(SliceOf(batch, half, batch.rows), begin + half);
  }

  Status Find(const Batch& batch, int64_t begin) {
    Misfit misfit;
    const Status status = fits(batch, &misfit);
    if (status.ok() || !status.IsInvalid()) return status;
    if (batch.rows > 1) return Split(batch, begin);
    Note(batch, begin, misfit, status);
    return Status::OK();
  }

  void Note(const Batch& batch, int64_t begin, const Misfit& misfit,
            const Status& status) {
    const auto [file, row] = OriginOf(batch, misfit.row);
    const std::string& path = dataset.files()[file].path;
    bad.push_back(BadRowJson(
        path, row + 1,
        HiddenText(MakeBadRow(0, MisfitAt(dataset, batch, misfit, status), path))));
    left_out[static_cast<size_t>(begin + misfit.row)] = true;
  }

  const Dataset& dataset;
  const Fits& fits;
  std::vector<bool> left_out;
  std::vector<std::string> bad;
};

}  // namespace

Status LeaveOutBad(const Dataset& dataset, Batch* batch) {
  std::vector<bool> left_out(static_cast<size_t>(batch->rows));
  int64_t next = 0;
  for (Piece& piece : batch->pieces) {
    const int64_t first = next;
    next += piece.num_rows();
    const int hidden = BadRowsIndex(*piece.rows->schema());
    if (hidden < 0) continue;
    const auto faults =
        std::static_pointer_cast<arrow::StringArray>(piece.rows->column(hidden));
    ARROW_ASSIGN_OR_RAISE(piece.rows, piece.rows->RemoveColumn(hidden));
    for (int64_t i = 0; i < piece.num_rows(); ++i) {
      const int64_t source = piece.source(i);
      if (faults->IsNull(source)) continue;
      left_out[piece.gathered() ? piece.places[i] : first + i] = true;
      ++batch->skipped;
      const auto [file, row] = piece.origin(i);
      std::string json =
          BadRowJson(dataset.files()[file].path, row + 1, faults->GetView(source));
      if (!json.empty()) batch->bad.push_back(std::move(json));
    }
  }
  return batch->skipped > 0 ? LeaveOut(left_out, batch) : Status::OK();
}

Status LeaveOutMisfits(const Dataset& dataset, const Misfit& first, const Status& status,
                       const Fits& fits, Batch* batch) {
  MisfitFinder finder(dataset, fits, batch->rows);
  ARROW_RETURN_NOT_OK(finder.Split(*batch, 0));
  // What fits in parts only.
  if (finder.bad.empty()) finder.Note(*batch, 0, first, status);
  batch->skipped += static_cast<int64_t>(finder.bad.size());
  for (std::string& each : finder.bad) batch->bad.push_back(std::move(each));
  return LeaveOut(finder.left_out, batch);
}

Status MisfitAt(const Dataset& dataset, const Batch& batch, const Misfit& misfit,
                const Status& status) {
  if (status.IsCancelled()) return status;
  const auto [file, row] = OriginOf(batch, misfit.row);
  if (!status.IsInvalid()) return AtFile(dataset.files()[file].path, status);
  return Status::IOError(dataset.files()[file].path, ": row ", row + 1, ", column ",
                         Quoted(misfit.column), ": ", status.message());
}

}  // namespace fast_axolotl
