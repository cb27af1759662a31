// SPDX-License-Identifier: Apache-2.0
#include "core/scan/small_files.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/common/memory.h"
#include "core/common/text.h"
#include "core/format/bad_rows.h"
#include "core/format/block_reader.h"
#include "core/format/input.h"

namespace fast_axolotl {
namespace {

// Of all files together; they are one block.
constexpr int64_t kMaxBytes = BlockReader::kFirst - 1;

// Whether the rows of two files are those of one that holds the text of both. CSV files
// each have a header, and JSON that is not of lines has brackets around it.
bool IsOfLines(const Format* format) { return format == &kJsonl || format == &kText; }

// All bytes of a file.
Result<std::shared_ptr<arrow::Buffer>> ContentOf(const Input& input) {
  if (input.content) return input.content;
  // It was looked at before, for the sample.
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(nullptr));
  return stream->Read(input.file.size);
}

int64_t CountRows(const Format* format, std::string_view text) {
  if (format == &kText) return CountNewlines(text);
  // Blank lines are no rows of JSON lines.
  int64_t rows = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) ++rows;
    text.remove_prefix(end + 1);
  }
  return rows;
}

// Collects the text of files, each with a newline behind its last line.
class JoinedText {
 public:
  static Result<JoinedText> Allocate(int64_t capacity) {
    JoinedText text;
    ARROW_ASSIGN_OR_RAISE(text.buffer_, arrow::AllocateBuffer(capacity, BufferPool()));
    return text;
  }

  // Returns what was added, or an error where the text may not stand before another.
  Result<std::string_view> Add(const Format* format, std::string_view text) {
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
    // There the "\r" is a part of the line.
    if (format == &kText && text.ends_with('\r')) return Status::Invalid("no newline");
    char* const begin = reinterpret_cast<char*>(buffer_->mutable_data()) + size_;
    size_t size = text.size();
    if (size > 0) std::memcpy(begin, text.data(), size);
    if (size > 0 && !text.ends_with('\n')) begin[size++] = '\n';
    size_ += static_cast<int64_t>(size);
    return std::string_view(begin, size);
  }

  std::shared_ptr<arrow::Buffer> Finish() {
    return arrow::SliceBuffer(std::move(buffer_), 0, size_);
  }

 private:
  std::shared_ptr<arrow::Buffer> buffer_;
  int64_t size_ = 0;
};

// The rows of a text of one block.
Result<std::shared_ptr<arrow::RecordBatch>> Decode(const Input& input,
                                                   const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const OpenedFile opened,
                        input.format->open(input, options, nullptr));
  ARROW_ASSIGN_OR_RAISE(const FragmentReader reader, opened.open(opened.fragments[0]));
  ARROW_ASSIGN_OR_RAISE(const std::optional<DecodeTask> task, reader());
  if (!task) return nullptr;
  Decoded decoded = task->decode();
  ARROW_RETURN_NOT_OK(decoded.end);
  return std::move(decoded.rows);
}

Result<JoinedRows> Join(const Dataset& dataset, size_t first, size_t count,
                        const ReadOptions& options) {
  int64_t bytes = 0;
  int64_t capacity = 0;
  for (size_t file = first; file < first + count; ++file) {
    bytes += dataset.files()[file].size;
    capacity += dataset.files()[file].size + 1;
  }
  ARROW_ASSIGN_OR_RAISE(JoinedText text, JoinedText::Allocate(capacity));
  JoinedRows joined;
  std::optional<Input> all;
  int64_t rows = 0;
  for (size_t file = first; file < first + count; ++file) {
    ARROW_ASSIGN_OR_RAISE(Input input, dataset.input(file));
    if (!all) all = input;
    if (input.codec || !IsOfLines(input.format) || input.format != all->format) {
      return Status::Invalid("not the same lines");
    }
    ARROW_ASSIGN_OR_RAISE(const auto content, ContentOf(input));
    ARROW_ASSIGN_OR_RAISE(const std::string_view added,
                          text.Add(input.format, std::string_view(*content)));
    joined.starts.push_back({rows, file});
    rows += CountRows(input.format, added);
  }
  all->content = text.Finish();
  all->file.size = all->content->size();
  ReadOptions uncounted = options;
  uncounted.counter = nullptr;
  ARROW_ASSIGN_OR_RAISE(joined.rows, Decode(*all, uncounted));
  if ((joined.rows ? joined.rows->num_rows() : 0) != rows) {
    return Status::Invalid("not as many rows as lines");
  }
  if (joined.rows && BadRowsIndex(*joined.rows->schema()) >= 0) {
    return Status::Invalid("bad rows");
  }
  if (options.counter) options.counter->fetch_add(bytes, std::memory_order_relaxed);
  return joined;
}

}  // namespace

size_t CountJoinable(const Dataset& dataset, size_t first, size_t most) {
  int64_t bytes = 0;
  size_t count = 0;
  while (count < most && first + count < dataset.files().size()) {
    const File& file = dataset.files()[first + count];
    bytes += file.size + 1;
    if (bytes > kMaxBytes) break;
    const NamedFormat named = FormatOfName(file.path);
    if (named.codec || !IsOfLines(named.format)) break;
    ++count;
  }
  return std::max<size_t>(count, 1);
}

std::optional<JoinedRows> JoinFiles(const Dataset& dataset, size_t first, size_t count,
                                    const ReadOptions& options) {
  auto joined = Join(dataset, first, count, options);
  if (!joined.ok()) return std::nullopt;
  return std::move(*joined);
}

}  // namespace fast_axolotl
