// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <vector>

#include "core/output/pack.h"

namespace fast_axolotl {
namespace {

// The tokens of each sequence that are to be placed, in the order of the sequences; a
// sequence that is split stands there as several.
Result<std::vector<Segment>> Places(std::span<const int64_t> lengths,
                                    const PackOptions& options, PackLayout* layout) {
  std::vector<Segment> segments;
  segments.reserve(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] <= 0) continue;
    const auto sequence = static_cast<int64_t>(i);
    int64_t length = lengths[i] + (options.eos_token ? 1 : 0);
    int64_t begin = 0;
    if (length > options.length) {
      switch (options.too_long) {
        case PackOptions::Long::kError:
          return Status::Invalid("sequence ", sequence, " has ", length, " tokens",
                                 options.eos_token ? ", its eos token included," : "",
                                 " and a row has room for ", options.length);
        case PackOptions::Long::kCut:
          ++layout->cut;
          layout->lost_tokens += length - options.length;
          length = options.length;
          break;
        case PackOptions::Long::kSplit:
          if (options.strategy == PackOptions::Strategy::kConcat) break;
          ++layout->split;
          for (; length - begin > options.length; begin += options.length) {
            segments.push_back({sequence, begin, options.length});
          }
      }
    }
    segments.push_back({sequence, begin, length - begin});
    layout->tokens += length;
  }
  return segments;
}

void Concatenate(const std::vector<Segment>& places, int64_t length, PackLayout* layout) {
  int64_t room = length;
  for (Segment left : places) {
    if (left.length > room) ++layout->split;
    while (left.length > 0) {
      const int64_t taken = std::min(left.length, room);
      layout->segments.push_back({left.sequence, left.begin, taken});
      left.begin += taken;
      left.length -= taken;
      room -= taken;
      if (room == 0) {
        layout->ends.push_back(static_cast<int64_t>(layout->segments.size()));
        room = length;
      }
    }
  }
  if (room < length)
    layout->ends.push_back(static_cast<int64_t>(layout->segments.size()));
}

void FitBest(std::vector<Segment> places, int64_t length, PackLayout* layout) {
  std::stable_sort(places.begin(), places.end(), [](const Segment& a, const Segment& b) {
    return a.length > b.length;
  });
  // Rows by the room that they have left; the first of a queue is the earliest row. There
  // are no more queues than there are lengths, however many rows wait.
  using Rows = std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>>;
  std::map<int64_t, Rows> with_room;
  std::vector<int64_t> row_of;
  row_of.reserve(places.size());
  std::vector<int64_t>& ends = layout->ends;  // counts at first
  for (const Segment& segment : places) {
    int64_t row = static_cast<int64_t>(ends.size());
    int64_t room = length;
    if (const auto fit = with_room.lower_bound(segment.length); fit != with_room.end()) {
      row = fit->second.top();
      room = fit->first;
      fit->second.pop();
      if (fit->second.empty()) with_room.erase(fit);
    } else {
      ends.push_back(0);
    }
    row_of.push_back(row);
    ++ends[row];
    if (room > segment.length) with_room[room - segment.length].push(row);
  }
  int64_t end = 0;
  for (int64_t& count : ends) {
    end += count;
    count = end - count;  // where the row's next segment goes
  }
  layout->segments.resize(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    layout->segments[ends[row_of[i]]++] = places[i];
  }
}

}  // namespace

Result<PackLayout> LayOut(std::span<const int64_t> lengths, const PackOptions& options) {
  if (options.length < 1) {
    return Status::Invalid("the length of packed rows must be at least 1, not ",
                           options.length);
  }
  PackLayout layout;
  ARROW_ASSIGN_OR_RAISE(std::vector<Segment> places, Places(lengths, options, &layout));
  if (options.strategy == PackOptions::Strategy::kConcat) {
    Concatenate(places, options.length, &layout);
  } else {
    FitBest(std::move(places), options.length, &layout);
  }
  return layout;
}

}  // namespace fast_axolotl
