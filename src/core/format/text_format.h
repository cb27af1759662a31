// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/block_reader.h"
#include "core/format/format.h"

namespace fast_axolotl {

/// Where reading goes on behind a part of a compressed file that is damaged, if bad rows
/// are kept. A part may begin inside a row.
enum class Resume {
  kNever,   // what the text behind it means depends on what was lost
  kAtRow,   // at once: half a row cannot be taken for a whole one
  kAtLine,  // behind the first line end
};

/// How one pass over a file, or over a fragment of it, turns text into rows.
struct TextPass {
  /// Splits the text into blocks.
  RowSplitter splitter;
  /// Makes the task that decodes a block. Called for the blocks in their order; the task
  /// may write into its block's text, not beyond.
  std::function<Result<std::function<Decoded()>>(Block)> task;
  /// Where the rows of a block begin, good and bad ones alike, counted from the block's
  /// start. Called instead of `task`, in the same order; may write into the text, too. An
  /// error: where rows begin cannot be told.
  std::function<Status(const Block&, std::vector<uint32_t>*)> row_begins;
  /// Counts the lines that end in some text.
  int64_t (*count_lines)(std::string_view) = CountNewlines;
  Resume resume = Resume::kNever;
  /// Whether in blocks framed as kLines a row ends at a newline and nowhere else; then
  /// `row_begins` needs no block before its own.
  bool lines_are_rows = false;
};

/// What the tasks that decode a file's blocks know of it.
struct TextSource {
  std::string path;
  ReadOptions options;
};

/// TextPass::task where each block is decoded by itself.
decltype(TextPass::task) TasksWith(const Input& input, const ReadOptions& options,
                                   Decoded (*decode)(const Block&, const TextSource&));

/// What is known of a file before its text is read: starts passes, over `fragment` of an
/// index, or over the whole file where that is null.
using TextFile = std::function<TextPass(const Fragment* fragment)>;

/// Prepares a file. With an index, every pass will be over one of its fragments.
using TextFormat = Result<TextFile> (*)(const Input&, const ReadOptions&,
                                        const FileIndex*);

/// Behind the end of every file.
inline constexpr int64_t kFileEnd = std::numeric_limits<int64_t>::max();

/// How much of a file shows its columns.
inline constexpr int64_t kSampleBytes = int64_t{4} << 20;
/// Where the columns are known: as much as is read at a time.
inline constexpr int64_t kOneBlock = 1;

/// Format::sample for such a format: the columns of the blocks that make up the file's
/// first `bytes`. A fault in there ends the sample; it is reported when the rows are
/// read.
Result<Sample> SampleText(const Input& input, const ReadOptions& options,
                          TextFormat format, int64_t bytes = kSampleBytes);

/// Format::open for such a format. Without an index, the whole file is one fragment.
Result<OpenedFile> OpenText(const Input& input, const ReadOptions& options,
                            std::shared_ptr<const FileIndex> index, TextFormat format);

/// Format::index for such a format. A fragment holds the rows that begin in one MiB of
/// the text or, behind a codec, between two places from which it can be decompressed. A
/// plain file whose rows are its lines is shared by `options.index_threads`.
Result<FileIndex> IndexText(const Input& input, const ReadOptions& options,
                            TextFormat format);

}  // namespace fast_axolotl
