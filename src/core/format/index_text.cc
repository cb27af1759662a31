// SPDX-License-Identifier: Apache-2.0
// Where the rows of a text file are, found by one thread or by several: IndexText of
// text_format.h.
#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/common/for_each.h"
#include "core/common/stop.h"
#include "core/format/file_blocks.h"
#include "core/format/input.h"
#include "core/format/text_format.h"

namespace fast_axolotl {
namespace {

constexpr int64_t kFragmentBytes = int64_t{1} << 20;

// Cuts a file into pieces of one MiB while its rows go by.
class Cutter {
 public:
  // What comes next does not follow what came before. Returns where it breaks, in rows.
  int64_t Break() {
    if (!pieces_.empty()) pieces_.back().end = end_;
    broken_ = true;
    return row_ + breaks_++;
  }

  Status Add(const Block& block, const TextPass& pass) {
    begins_.clear();
    ARROW_RETURN_NOT_OK(pass.row_begins(block, &begins_));
    int64_t line = block.line;
    uint32_t counted = 0;
    for (const uint32_t begin : begins_) {
      const int64_t at = block.offset + begin;
      if (pieces_.empty() || broken_ ||
          at / kFragmentBytes != pieces_.back().begin / kFragmentBytes) {
        line += pass.count_lines(block.text().substr(counted, begin - counted));
        counted = begin;
        if (!pieces_.empty() && !broken_) pieces_.back().end = at;
        broken_ = false;
        pieces_.push_back({at, at, 0, row_, line, breaks_});
      }
      ++pieces_.back().rows;
      ++row_;
    }
    end_ = block.offset + block.size;
    return Status::OK();
  }

  int64_t rows() const { return row_; }

  std::vector<Fragment> Finish() {
    if (!pieces_.empty()) pieces_.back().end = end_;
    return std::move(pieces_);
  }

 private:
  std::vector<uint32_t> begins_;  // of the rows of a block
  std::vector<Fragment> pieces_;
  int64_t row_ = 0;
  int64_t end_ = 0;
  int64_t breaks_ = 0;
  bool broken_ = false;
};

// Joins the parts that are reached from the same restart point.
std::vector<Fragment> JoinParts(const std::vector<Fragment>& parts,
                                const std::vector<RestartPoint>& points) {
  std::vector<Fragment> joined;
  size_t next = 0;
  for (const Fragment& part : parts) {
    bool restart = joined.empty();
    while (next < points.size() && points[next].out <= part.begin) {
      restart = true;
      ++next;
    }
    if (restart) {
      joined.push_back(part);
    } else {
      joined.back().end = part.end;
      joined.back().rows += part.rows;
    }
  }
  return joined;
}

// A run of whole lines, and what the thread that indexes it finds there; rows and lines
// are counted from its start.
struct Span {
  int64_t begin;
  int64_t end;  // the last one's is that of the file once it is read
  std::vector<Fragment> pieces = {};
  int64_t rows = 0;
  int64_t lines = 0;
};

// Where the first line begins that is not before byte `at`; -1 if it is far away.
Result<int64_t> NextLine(arrow::io::RandomAccessFile& file, int64_t at) {
  constexpr int64_t kStep = int64_t{64} << 10;
  constexpr int64_t kFar = int64_t{1} << 20;
  for (int64_t from = at - 1; from < at + kFar; from += kStep) {
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file.ReadAt(from, kStep));
    const size_t newline = std::string_view(*bytes).find('\n');
    if (newline != std::string_view::npos) {
      return from + static_cast<int64_t>(newline) + 1;
    }
  }
  return -1;
}

constexpr int64_t kLeastSpan = int64_t{4} << 20;

// Cuts a plain file at line ends. No piece of one MiB lies in two spans.
Result<std::vector<Span>> CutIntoSpans(const Input& input, int num_threads) {
  // So many for each thread, so that none waits long for the last one, and none goes on
  // for long after another has met a fault.
  constexpr int64_t kPerThread = 8;
  constexpr int64_t kMostSpan = int64_t{64} << 20;
  const int64_t size = input.file.size;
  int64_t length = std::clamp(size / (num_threads * kPerThread), kLeastSpan, kMostSpan);
  length -= length % kFragmentBytes;
  ARROW_ASSIGN_OR_RAISE(const auto file, input.OpenRandomAccess(nullptr));
  std::vector<Span> spans = {{0, kFileEnd}};
  for (int64_t at = length; at < size; at += length) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(const int64_t begin, NextLine(*file, at));
    if (begin <= spans.back().begin) continue;
    spans.back().end = begin;
    spans.push_back({begin, kFileEnd});
  }
  return spans;
}

Status IndexSpan(const Input& input, const ReadOptions& options, const TextPass& pass,
                 Span* span) {
  ARROW_ASSIGN_OR_RAISE(auto stream,
                        input.OpenRange(options.counter, {}, span->begin, span->end));
  BlockReader reader(std::move(stream), input.file.path, SplitLines,
                     {.offset = span->begin, .count_lines = pass.count_lines},
                     options.limits);
  Cutter cutter;
  for (;;) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(const std::optional<Block> block, reader.Next());
    if (!block) break;
    ARROW_RETURN_NOT_OK(cutter.Add(*block, pass));
  }
  span->end = reader.position().offset;
  span->rows = cutter.rows();
  span->lines = reader.position().line;
  span->pieces = cutter.Finish();
  return Status::OK();
}

// Whether the rows of the file are its lines.
bool HasLines(const Input& input, const ReadOptions& options, const TextPass& pass) {
  if (!pass.lines_are_rows) return false;
  auto stream = input.OpenStream(nullptr);
  if (!stream.ok()) return false;
  // One JSON object over many lines is told from them by the end of the file only.
  Limits limits = options.limits;
  limits.row_bytes = std::min(limits.row_bytes, kLeastSpan);
  BlockReader reader(*stream, input.file.path, pass.splitter, {}, limits);
  const auto first = reader.Next();
  return first.ok() && *first && (*first)->framing == Framing::kLines;
}

// The index of a file whose rows are its lines, made by several threads.
Result<FileIndex> IndexSpans(const Input& input, const ReadOptions& options,
                             const TextPass& pass) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Span> spans,
                        CutIntoSpans(input, options.index_threads));
  ARROW_RETURN_NOT_OK(ForEach(spans.size(), options.index_threads, [&](size_t i) {
    return IndexSpan(input, options, pass, &spans[i]);
  }));
  FileIndex index;
  int64_t rows = 0;
  int64_t lines = 0;
  for (Span& span : spans) {
    for (Fragment& piece : span.pieces) {
      piece.row += rows;
      piece.line += lines;
      // Blank lines before a row belong to the piece before.
      if (!index.fragments.empty()) index.fragments.back().end = piece.begin;
      index.fragments.push_back(piece);
    }
    rows += span.rows;
    lines += span.lines;
  }
  if (!index.fragments.empty()) index.fragments.back().end = spans.back().end;
  return index;
}

}  // namespace

Result<FileIndex> IndexText(const Input& input, const ReadOptions& options,
                            TextFormat format) {
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  // Not worth it for less; and a span would refuse a row that one thread comes to in
  // time.
  const bool may_share = options.index_threads > 1 && !input.codec &&
                         input.file.size >= 2 * kLeastSpan &&
                         options.limits.row_bytes >= BlockReader::kTarget;
  if (const TextPass pass = file(nullptr); may_share && HasLines(input, options, pass)) {
    auto index = IndexSpans(input, options, pass);
    // What is wrong is told best by who comes to it from the start.
    if (index.ok()) return index;
  }
  FileIndex index;
  ARROW_ASSIGN_OR_RAISE(
      auto blocks, FileBlocks::Open(input, options, file(nullptr),
                                    options.restart_points ? &index.points : nullptr));
  Cutter cutter;
  // Adds a block; false at the end of the file.
  const auto add_block = [&]() -> Result<bool> {
    ARROW_ASSIGN_OR_RAISE(const std::optional<Block> block, blocks->Next());
    if (!block) return false;
    index.framing = block->framing;
    ARROW_RETURN_NOT_OK(cutter.Add(*block, blocks->pass()));
    return true;
  };
  for (bool more = true; more;) {
    ARROW_RETURN_NOT_OK(CheckStop());
    const auto added = add_block();
    if (added.ok()) {
      more = *added;
      continue;
    }
    if (!options.keep_bad_rows || !IsOfData(added.status())) return added.status();
    ARROW_ASSIGN_OR_RAISE(const int64_t next, blocks->GoOn(added.status()));
    more = next >= 0;
    index.damages.push_back(
        MakeDamage(cutter.Break(), added.status(), input.file.path, WhatFollows(next)));
  }
  index.fragments = cutter.Finish();
  if (input.codec) {
    index.parts = std::move(index.fragments);
    index.fragments = JoinParts(index.parts, index.points);
    index.from_start = index.points.size() <= 1;
  }
  return index;
}

}  // namespace fast_axolotl
