// SPDX-License-Identifier: Apache-2.0
#include "core/scan/small_files.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/bad_rows.h"
#include "core/format/block_reader.h"
#include "core/format/input.h"
#include "core/format/json/lexer.h"

namespace fast_axolotl {
namespace {

// Of all files together; they are one block.
constexpr int64_t kMaxBytes = BlockReader::kFirst - 1;

// Whether the rows of two files are those of one that holds the text of both. CSV files
// each have a header, and JSON that is not of lines has brackets around it.
bool IsOfLines(const Format* format) { return format == &kJsonl || format == &kText; }

// Nobody sees it: the files are read one by one then.
Status NotJoinable() { return Status::Invalid("these files cannot be joined"); }

// All bytes of a file.
Result<std::shared_ptr<arrow::Buffer>> ContentOf(const Input& input) {
  if (input.content) return input.content;
  // It was looked at before, for the sample.
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(nullptr));
  return stream->Read(input.file.size);
}

// Appends the lines of a file, each with a newline behind it, and returns how many of
// them are rows.
Result<int64_t> AppendLines(const Format* format, std::string_view text,
                            std::string* lines) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  // A second one is text. In front of all others it would be taken for the first.
  if (text.starts_with(kByteOrderMark)) return NotJoinable();
  // Without its newline the "\r" is a part of the line.
  if (format == &kText && text.ends_with('\r')) return NotJoinable();
  int64_t rows = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    lines->append(line).push_back('\n');
    // Blank lines are rows of text only.
    if (format == &kText || !std::all_of(line.begin(), line.end(), json::IsSpace)) ++rows;
  }
  return rows;
}

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

// Whether all rows are good and have the columns that the sample showed. In which order
// others come depends on the rows they share a block with.
bool IsPlain(const arrow::Schema& schema) {
  const auto& fields = schema.fields();
  return BadRowsIndex(schema) < 0 &&
         std::none_of(
             fields.begin(), fields.end(),
             [](const auto& field) { return IsPresenceField(*field); });
}

Result<JoinedRows> Join(const Dataset& dataset, size_t first, size_t count,
                        const ReadOptions& options) {
  JoinedRows joined;
  std::optional<Input> all;
  std::string lines;
  lines.reserve(kMaxBytes);
  int64_t rows = 0;
  int64_t bytes = 0;
  for (size_t file = first; file < first + count; ++file) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset.input(file));
    if (!all) all = input;
    if (input.codec || !IsOfLines(input.format) || input.format != all->format) {
      return NotJoinable();
    }
    ARROW_ASSIGN_OR_RAISE(const auto content, ContentOf(input));
    joined.starts.push_back({rows, file});
    ARROW_ASSIGN_OR_RAISE(const int64_t added,
                          AppendLines(input.format, std::string_view(*content), &lines));
    rows += added;
    bytes += content->size();
  }
  all->content = arrow::Buffer::FromString(std::move(lines));
  all->file.size = all->content->size();
  ReadOptions uncounted = options;
  uncounted.counter = nullptr;
  ARROW_ASSIGN_OR_RAISE(joined.rows, Decode(*all, uncounted));
  if ((joined.rows ? joined.rows->num_rows() : 0) != rows) return NotJoinable();
  if (joined.rows && !IsPlain(*joined.rows->schema())) return NotJoinable();
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
    const NamedFormat named = FormatOfName(file.path);
    const Format* format = dataset.format() ? dataset.format() : named.format;
    if (bytes > kMaxBytes || named.codec || !IsOfLines(format)) break;
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
