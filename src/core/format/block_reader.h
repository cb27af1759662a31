// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/common/error.h"
#include "core/common/limits.h"
#include "core/common/text.h"

namespace fast_axolotl {

/// How the rows of a text are told apart: they are lines (or, in CSV, what its quotes
/// make of them), the elements of a JSON array, or one JSON object.
enum class Framing : uint8_t { kLines, kArray, kObject };

/// Whole rows of a text format. `kPadding` readable zero bytes follow the text, and the
/// one task that decodes a block may write into it.
struct Block {
  static constexpr int64_t kPadding = 64;

  std::shared_ptr<arrow::ResizableBuffer> buffer;
  char* begin = nullptr;
  int64_t size = 0;
  int64_t offset = 0;  // of `begin` in the (decompressed) file, in bytes
  int64_t line = 0;    // lines before `begin`
  int64_t row = 0;     // rows before `begin`, where the splitter frames them
  Framing framing = Framing::kLines;
  std::vector<uint32_t> row_ends;  // a row ends there, the next begins one byte on;
                                   // lines are not counted here

  std::string_view text() const { return {begin, static_cast<size_t>(size)}; }
};

/// A cut after the last whole row of some text; `end` is 0 where no row is whole yet.
/// A splitter that frames the rows also says where each of them ends (see Block).
struct Cut {
  size_t end = 0;
  Framing framing = Framing::kLines;
  std::vector<uint32_t> row_ends;
};

/// Finds the cut. The text starts at a row; the first `searched` bytes of it were seen by
/// the call before, without success. `at_end`: nothing follows the text, which may be
/// empty then.
using RowSplitter =
    std::function<Result<Cut>(std::string_view text, size_t searched, bool at_end)>;

/// Where in its file a stream starts.
struct BlockStart {
  int64_t offset = 0;  // bytes of the (decompressed) file before it
  int64_t line = 0;    // lines
  int64_t row = 0;
  int64_t (*count_lines)(std::string_view) = CountNewlines;
  int64_t bytes = 0;  // about how many there are; 0: not known
};

/// Splits a stream into blocks of whole rows, about `kTarget` bytes each, for tasks that
/// decode them side by side. Skips a UTF-8 byte order mark.
class BlockReader {
 public:
  static constexpr int64_t kTarget = int64_t{1} << 20;
  /// Of the first block, so that the first rows come out sooner.
  static constexpr int64_t kFirst = kTarget / 8;

  /// A row longer than `limits` allow is an error: a file without row ends must not fill
  /// the memory.
  BlockReader(std::shared_ptr<arrow::io::InputStream> stream, std::string path,
              RowSplitter splitter, const BlockStart& start = {},
              const Limits& limits = {})
      : stream_(std::move(stream)),
        path_(std::move(path)),
        splitter_(std::move(splitter)),
        offset_(start.offset),
        count_lines_(start.count_lines),
        line_(start.line),
        row_(start.row),
        limits_(limits),
        // One byte more than there is shows the end at once.
        target_(start.bytes > 0 ? std::min(start.bytes + 1, kFirst) : kFirst),
        started_(start.offset > 0) {}

  /// The next block, or nothing at the end. A fault of the stream comes after the blocks
  /// of all whole rows before it.
  Result<std::optional<Block>> Next();

  /// Whether there is nothing behind the blocks so far, as far as that is known.
  bool all_read() const { return ended_ && begin_ == end_ && fault_.ok(); }

  /// Where the next block begins.
  BlockStart position() const { return {offset_, line_, row_, count_lines_}; }

 private:
  Status Fill(int64_t want);
  void SkipByteOrderMark();
  Block CutOff(size_t end);

  const std::shared_ptr<arrow::io::InputStream> stream_;
  const std::string path_;
  const RowSplitter splitter_;
  std::shared_ptr<arrow::ResizableBuffer> buffer_;  // bytes read and not handed out
  int64_t begin_ = 0;
  int64_t end_ = 0;
  int64_t offset_;
  int64_t (*const count_lines_)(std::string_view);
  int64_t line_;
  int64_t row_;
  const Limits limits_;
  int64_t target_;  // grows to kTarget
  bool started_;    // the byte order mark is behind
  bool ended_ = false;
  Status fault_;
};

/// What is wrong with a row that is longer than `limits` allow.
std::string RowTooLong(const Limits& limits);

/// The splitter of formats whose rows end at a newline and nowhere else.
Result<Cut> SplitLines(std::string_view text, size_t searched, bool at_end);

}  // namespace fast_axolotl
