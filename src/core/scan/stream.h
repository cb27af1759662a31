// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <vector>

#include "core/format/format.h"
#include "core/index/dataset.h"
#include "core/output/batch.h"

namespace fast_axolotl {

struct Stream;

/// Rows that are to be decoded, are being decoded or wait to be delivered.
struct Slot {
  DecodeTask task;
  Decoded result;
  int64_t bytes = 0;  // what it may take when it is decoded; then, what it takes
  std::weak_ptr<Stream> stream;
  bool done = false;
  bool dropped = false;  // nobody waits for it any more
};

/// Rows of a fragment on their way, or files whose fragments are not known yet.
struct Stream {
  size_t file = 0;
  bool is_file = false;
  size_t files = 1;   // from that one on, to be joined
  bool busy = false;  // a thread is in `reader`
  bool exhausted = false;
  bool dropped = false;  // nothing more of it is wanted
  Fragment fragment;
  int64_t begin = 0;  // the rows that are wanted
  int64_t end = std::numeric_limits<int64_t>::max();
  int64_t row = 0;                           // of the fragment, that comes next
  int64_t left_out = 0;                      // bad rows before that one
  std::shared_ptr<const OpenedFile> source;  // of the fragment
  FragmentReader reader;                     // null before the first call
  std::list<std::shared_ptr<Slot>> slots;    // a deque takes memory while it is empty
  int64_t bytes = 0;                         // of its slots
  Status failure;                            // comes after the slots
  std::shared_ptr<const std::vector<FileStart>> joined;  // see Piece
};

/// What decoded rows take.
int64_t BytesOf(const Decoded& decoded);

}  // namespace fast_axolotl
