// SPDX-License-Identifier: Apache-2.0
#include "core/format/file_blocks.h"

#include <algorithm>
#include <utility>

#include "core/codec/decoded_stream.h"

namespace fast_axolotl {

FileBlocks::FileBlocks(const Input& input, const ReadOptions& options, TextPass pass,
                       std::vector<RestartPoint>* points)
    : input_(input), options_(options), pass_(std::move(pass)), points_(points) {}

Result<std::shared_ptr<FileBlocks>> FileBlocks::Open(const Input& input,
                                                     const ReadOptions& options,
                                                     TextPass pass,
                                                     std::vector<RestartPoint>* points) {
  std::shared_ptr<FileBlocks> blocks(
      new FileBlocks(input, options, std::move(pass), points));
  ARROW_RETURN_NOT_OK(blocks->OpenAt(0, {.count_lines = blocks->pass_.count_lines,
                                         .bytes = input.codec ? 0 : input.file.size}));
  return blocks;
}

Result<std::optional<Block>> FileBlocks::Next() {
  auto next = reader_->Next();
  if (!next.ok()) return AsRead(next.status());
  std::optional<Block>& block = *next;
  if (!block) {
    TakePoints();
  } else if (std::exchange(inside_line_, false)) {
    const size_t end = block->text().find('\n');
    const auto skipped =
        end == std::string_view::npos ? block->size : static_cast<int64_t>(end) + 1;
    block->begin += skipped;
    block->offset += skipped;
    block->size -= skipped;
  }
  return next;
}

Result<int64_t> FileBlocks::GoOn(const Status& error) {
  TakePoints();
  const BlockStart start = reader_->position();
  // The row that the damage is in is no part of what was read.
  while (points_ && !points_->empty() && points_->back().out > start.offset) {
    points_->pop_back();
  }
  if (!options_.keep_bad_rows || !input_.codec || pass_.resume == Resume::kNever ||
      !IsOfData(error) || LimitExceeded(*stream_)) {
    return -1;
  }
  // Damage may hide a part's end, and the next one is then decoded as if it belonged to
  // it, up to the first fault in that.
  constexpr int64_t kTooFar = int64_t{1} << 20;
  const int64_t behind_start = WholeParts(*stream_) + 1;
  const int64_t from = std::max(behind_start, CompressedPosition(*stream_) - kTooFar);
  ARROW_ASSIGN_OR_RAISE(const int64_t part, input_.FindPart(in_ + from));
  if (part < 0) return -1;
  ARROW_RETURN_NOT_OK(OpenAt(part, start));
  inside_line_ = pass_.resume == Resume::kAtLine;
  return part;
}

// What a decoder notes restart points with may see a fault at another byte, and name it
// otherwise, than what reads: the same damage is to be told in the same words.
Status FileBlocks::AsRead(const Status& error) const {
  if (!points_ || !input_.codec || !IsOfData(error)) return error;
  ARROW_ASSIGN_OR_RAISE(const auto stream, input_.OpenPart(nullptr, in_, nullptr));
  LimitDecoded(*stream, input_.limits, out_);
  for (;;) {
    const auto bytes = stream->Read(int64_t{256} << 10);
    if (!bytes.ok()) return bytes.status();
    if ((*bytes)->size() == 0) return error;
  }
}

Status FileBlocks::OpenAt(int64_t in, const BlockStart& start) {
  in_ = in;
  out_ = start.offset;
  if (points_) own_ = std::make_unique<std::vector<RestartPoint>>();
  if (input_.codec) {
    ARROW_ASSIGN_OR_RAISE(stream_, input_.OpenPart(options_.counter, in, own_.get()));
    LimitDecoded(*stream_, input_.limits, start.offset);
  } else {
    ARROW_ASSIGN_OR_RAISE(stream_, input_.OpenStream(options_.counter));
  }
  reader_ = std::make_unique<BlockReader>(stream_, input_.file.path, pass_.splitter,
                                          start, options_.limits);
  return Status::OK();
}

// The points are noted from where the stream was opened.
void FileBlocks::TakePoints() {
  if (!points_ || !own_ || !input_.codec) return;
  for (RestartPoint& point : *own_) {
    point.in += in_;
    point.out += out_;
    points_->push_back(std::move(point));
  }
  own_->clear();
}

std::string WhatFollows(int64_t next) {
  if (next < 0) return kRestIsLost;
  return "; reading goes on at compressed byte " + std::to_string(next);
}

}  // namespace fast_axolotl
