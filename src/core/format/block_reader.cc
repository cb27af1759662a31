// SPDX-License-Identifier: Apache-2.0
#include "core/format/block_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/common/memory.h"
#include "core/common/text.h"

namespace fast_axolotl {

Status BlockReader::Fill(int64_t want) {
  const int64_t held = end_ - begin_;
  const int64_t capacity = held + want + Block::kPadding;
  if (!buffer_ || begin_ + capacity > buffer_->size()) {
    // What a block hands out stays with it; only the part row moves on. While one row
    // grows as much is wanted as is held, so that moving it stays linear.
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> grown,
                          arrow::AllocateResizableBuffer(capacity, BufferPool()));
    if (held > 0) std::memcpy(grown->mutable_data(), buffer_->data() + begin_, held);
    buffer_ = std::move(grown);
    begin_ = 0;
    end_ = held;
  }
  while (want > 0 && !ended_) {
    auto got = stream_->Read(want, buffer_->mutable_data() + end_);
    if (!got.ok()) {
      fault_ = AtFile(path_, got.status());
      ended_ = true;
    } else if (*got == 0) {
      ended_ = true;
    } else {
      end_ += *got;
      want -= *got;
    }
  }
  std::memset(buffer_->mutable_data() + end_, 0, Block::kPadding);
  return Status::OK();
}

void BlockReader::SkipByteOrderMark() {
  const std::string_view text(reinterpret_cast<const char*>(buffer_->data()) + begin_,
                              static_cast<size_t>(end_ - begin_));
  if (text.starts_with(kByteOrderMark)) {
    begin_ += kByteOrderMark.size();
    offset_ += kByteOrderMark.size();
  }
}

Block BlockReader::CutOff(size_t end) {
  Block block;
  block.buffer = buffer_;
  block.begin = reinterpret_cast<char*>(buffer_->mutable_data()) + begin_;
  block.size = static_cast<int64_t>(end);
  block.offset = offset_;
  block.line = line_;
  block.row = row_;
  const int64_t rest = end_ - begin_ - block.size;
  offset_ += block.size;
  line_ += count_lines_(block.text());
  if (rest > 0) {
    // The bytes behind the block move to a buffer of their own: the block's text needs
    // its padding, and its decoder may write there while this reader goes on.
    buffer_ = nullptr;
    auto moved =
        arrow::AllocateResizableBuffer(rest + target_ + Block::kPadding, BufferPool());
    if (moved.ok()) {
      buffer_ = std::move(*moved);
      std::memcpy(buffer_->mutable_data(), block.begin + block.size, rest);
      std::memset(buffer_->mutable_data() + rest, 0, Block::kPadding);
      begin_ = 0;
      end_ = rest;
    } else {
      fault_ = moved.status();
      ended_ = true;
      begin_ = end_ = 0;
    }
    std::memset(block.begin + block.size, 0, std::min(rest, Block::kPadding));
  } else {
    buffer_ = nullptr;
    begin_ = end_ = 0;
  }
  return block;
}

Result<std::optional<Block>> BlockReader::Next() {
  size_t searched = 0;
  for (;;) {
    const int64_t held = end_ - begin_;
    if (!ended_) {
      int64_t want = std::max(target_ - held, searched > 0 ? held : int64_t{1});
      if (searched > 0) want = std::min(want, limits_.row_bytes + 1 - held);
      ARROW_RETURN_NOT_OK(Fill(want));
      target_ = std::min(target_ * 2, kTarget);
    }
    if (!started_) {
      started_ = true;
      SkipByteOrderMark();
    }
    // Even with nothing left: whether the file may end here is up to the splitter.
    static constexpr char kNothing[Block::kPadding] = {};
    const std::string_view text(
        buffer_ ? reinterpret_cast<const char*>(buffer_->data()) + begin_ : kNothing,
        static_cast<size_t>(end_ - begin_));
    // After a fault the last row is not whole, whatever it looks like.
    const bool at_end = ended_ && fault_.ok();
    ARROW_ASSIGN_OR_RAISE(Cut cut, splitter_(text, searched, at_end));
    if (cut.end > 0) {
      Block block = CutOff(cut.end);
      row_ += static_cast<int64_t>(cut.row_ends.size());
      block.framing = cut.framing;
      block.row_ends = std::move(cut.row_ends);
      return block;
    }
    if (ended_) break;
    searched = text.size();
    if (static_cast<int64_t>(searched) > limits_.row_bytes) {
      return Status::IOError(path_, ": line ", line_ + 1, " (byte offset ", offset_,
                             "): ", RowTooLong(limits_));
    }
  }
  ARROW_RETURN_NOT_OK(fault_);
  return std::nullopt;
}

std::string RowTooLong(const Limits& limits) {
  return "the row is longer than the limit of " + std::to_string(limits.row_bytes) +
         " bytes" + RaiseLimit(limits, "row_bytes");
}

Result<Cut> SplitLines(std::string_view text, size_t searched, bool at_end) {
  Cut cut;
  if (at_end) {
    cut.end = text.size();
  } else {
    const size_t newline = text.substr(searched).rfind('\n');
    if (newline != std::string_view::npos) cut.end = searched + newline + 1;
  }
  return cut;
}

}  // namespace fast_axolotl
