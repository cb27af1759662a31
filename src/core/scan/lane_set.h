// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "core/scan/lane_reader.h"

namespace fast_axolotl {

/// The lanes that one reader goes through, each read on from where it was left.
class LaneSet {
 public:
  /// `lanes`: how many of the plan's lanes will be read; threads and read-ahead are
  /// shared out among them.
  LaneSet(PlannedSource source, int64_t lanes, ScanOptions scan);

  /// The `number`-th batch of a lane, or nothing if the time ended first. Going back in a
  /// lane is possible and opens it anew.
  Result<std::optional<Batch>> Next(int64_t lane, int64_t number,
                                    std::chrono::milliseconds timeout);

 private:
  // A batch with rows.
  struct Good {
    int64_t number;
    Batch batch;
  };
  // What is known of where a lane has rows that can be read.
  struct Known {
    std::optional<Good> first;  // of the lane, once it was looked for
    std::optional<Good> last;   // that was found, and
    int64_t empty_to = 0;       // behind it there are none before this batch
  };
  // The search for what to give in place of an empty batch. It may go through all of a
  // lane, and takes up where the time ended.
  struct Search {
    int64_t lane;
    int64_t number;
    Batch empty;
    int64_t empty_from;  // from here to `number` no batch has rows
    int64_t begin;       // the batches that are gone through now, and how far that is
    int64_t end;
    int64_t at;
    std::unique_ptr<LaneReader> reader;
    std::optional<Good> found;
  };

  Result<std::optional<Batch>> Give(int64_t lane, int64_t number,
                                    std::chrono::milliseconds timeout);
  Result<std::optional<Batch>> Read(int64_t lane, int64_t number,
                                    std::chrono::milliseconds timeout);
  Result<std::optional<Batch>> Replace(std::chrono::milliseconds timeout);
  Result<bool> Look(std::chrono::milliseconds timeout);
  Status Turn();
  Status NoGoodRow(const Search& search) const;
  void Settle();
  const Good* Replacement() const;

  const PlannedSource source_;
  ScanOptions scan_;
  std::map<int64_t, std::unique_ptr<LaneReader>> lanes_;
  std::map<int64_t, Known> known_;  // of each lane, where batches are replaced
  std::optional<Search> search_;    // for the batch that was asked for
};

}  // namespace fast_axolotl
