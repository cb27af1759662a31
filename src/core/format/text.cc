// SPDX-License-Identifier: Apache-2.0

// Text: each line is a row of the column `text`. A line ends at "\n" or "\r\n" and
// nowhere else; blank lines are rows.

#include "core/common/text.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "arrow/array/builder_binary.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "core/common/memory.h"
#include "core/format/block_reader.h"
#include "core/format/fit.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/text_format.h"

namespace fast_axolotl {
namespace {

constexpr char kColumn[] = "text";

std::string PlaceOf(const std::string& path, const Block& block, int64_t row) {
  return path + ": line " + std::to_string(block.line + row + 1);
}

void FindRowBegins(std::string_view text, std::vector<uint32_t>* begins) {
  for (size_t at = 0; at < text.size();) {
    begins->push_back(static_cast<uint32_t>(at));
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
}

Decoded DecodeBlock(const Block& block, const TextSource& source) {
  const std::string& path = source.path;
  const ReadOptions& options = source.options;
  const std::string_view text = block.text();
  size_t valid = ValidUtf8Prefix(text);
  const bool wanted = options.Wants(kColumn);
  Decoded decoded;
  arrow::StringBuilder builder(BufferPool());
  int64_t rows = 0;
  Status memory = builder.ReserveData(block.size);
  for (size_t begin = 0; begin < text.size() && memory.ok(); ++rows) {
    size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) end = text.size();
    const bool long_row = static_cast<int64_t>(end - begin) > options.limits.row_bytes;
    if (end > valid || long_row) {
      const Status error =
          long_row ? Status::IOError(PlaceOf(path, block, rows), ": ",
                                     RowTooLong(options.limits))
                   : Status::IOError(PlaceOf(path, block, rows), ", column ",
                                     valid - begin + 1, " (byte offset ",
                                     block.offset + static_cast<int64_t>(valid),
                                     "): expected valid UTF-8, found ",
                                     Quoted(text.substr(valid, 4)), kConvertHint);
      if (!options.keep_bad_rows) {
        decoded.end = error;
        break;
      }
      BadRow& bad = decoded.bad.emplace_back(
          MakeBadRow(rows, error, path, text.substr(begin, end - begin)));
      bad.line = block.line + rows + 1;
      bad.offset = block.offset + static_cast<int64_t>(begin);
      begin = std::min(end + 1, text.size());
      valid = begin + ValidUtf8Prefix(text.substr(begin));
      continue;
    }
    std::string_view line = text.substr(begin, end - begin);
    // Without its newline at the end of the file a "\r" belongs to the line.
    if (line.ends_with('\r') && end < text.size()) line.remove_suffix(1);
    if (wanted) memory = builder.Append(line);
    begin = end + 1;
  }
  const auto good = rows - static_cast<int64_t>(decoded.bad.size());
  std::shared_ptr<arrow::Array> array;
  if (memory.ok()) memory = builder.Finish(&array);
  if (!memory.ok()) return {nullptr, AtFile(path, memory)};
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  if (wanted) {
    fields.push_back(arrow::field(kColumn, arrow::utf8()));
    arrays.push_back(std::move(array));
  }
  decoded.rows = arrow::RecordBatch::Make(arrow::schema(fields), good, arrays);
  std::vector<uint32_t> begins;  // of all rows, once one of them is asked for
  return FitTypes(std::move(decoded), options, Typing::kSpelling, [&](int64_t row) {
    if (begins.empty()) FindRowBegins(text, &begins);
    const uint32_t begin = begins[static_cast<size_t>(row)];
    return RowPlace{path, PlaceOf(path, block, row), block.line + row + 1,
                    block.offset + begin,
                    text.substr(begin, text.find('\n', begin) - begin)};
  });
}

Status RowBegins(const Block& block, std::vector<uint32_t>* begins) {
  FindRowBegins(block.text(), begins);
  return Status::OK();
}

Result<TextFile> OpenFile(const Input& input, const ReadOptions& options,
                          const FileIndex*) {
  return [task = TasksWith(input, options, DecodeBlock)](const Fragment*) {
    return TextPass{SplitLines,
                    task,
                    RowBegins,
                    CountNewlines,
                    Resume::kAtLine,
                    /*lines_are_rows=*/true};
  };
}

Result<Sample> SampleLines(const Input& input, const ReadOptions& options) {
  // The column is known; one block shows about how many rows there are.
  ARROW_ASSIGN_OR_RAISE(Sample sample, SampleText(input, options, OpenFile, kOneBlock));
  // An empty file has the column as well.
  if (sample.schema->num_fields() == 0 && options.Wants(kColumn)) {
    sample.schema = arrow::schema({arrow::field(kColumn, arrow::utf8())});
  }
  return sample;
}

Result<OpenedFile> OpenLines(const Input& input, const ReadOptions& options,
                             std::shared_ptr<const FileIndex> index) {
  return OpenText(input, options, std::move(index), OpenFile);
}

Result<FileIndex> IndexLines(const Input& input, const ReadOptions& options) {
  return IndexText(input, options, OpenFile);
}

}  // namespace

const Format kText{"text",    {".txt", ".text"}, nullptr, SampleLines,
                   OpenLines, IndexLines,        nullptr};

}  // namespace fast_axolotl
