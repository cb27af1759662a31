// SPDX-License-Identifier: Apache-2.0

// JSON and JSON lines: rows are framed, then parsed one by one into columns. What is read
// is what Python's json.loads reads from each row; see lexer.h for the grammar.

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "core/common/text.h"
#include "core/format/block_reader.h"
#include "core/format/fit.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/json/column.h"
#include "core/format/json/lexer.h"
#include "core/format/json/splitter.h"
#include "core/format/text_format.h"

namespace fast_axolotl {
namespace json {
namespace {

// A block's rows, parsed into columns.
class Rows {
 public:
  Rows(const ReadOptions& options, std::string_view text)
      : options_(options), text_(text) {}

  int64_t count() const { return count_; }
  const Fault& fault() const { return fault_; }

  // Adds the row `[begin, end)`; `*end` must be a zero byte. On a fault nothing is added.
  bool Add(const char* begin, const char* end) {
    fault_ = {.max_depth = static_cast<int>(options_.limits.json_depth)};
    if (end - begin > options_.limits.row_bytes) {
      fault_.Exceed(begin, "a shorter row", "row_bytes");
      return false;
    }
    const char* p =
        CheckCells(begin, count_ + 1) ? ParseObject(SkipSpace(begin)) : nullptr;
    if (p) p = SkipSpace(p);
    if (p && p != end) p = fault_.Set(p, "nothing after the row's object");
    if (p) {
      ++count_;
      return true;
    }
    while (!columns_.empty() && columns_.back().first_row() == count_) {
      by_name_.erase(columns_.back().name());
      if (!columns_.back().ignored()) --kept_;
      columns_.pop_back();
    }
    for (Column& column : columns_) column.Truncate(count_);
    return false;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Finish() {
    std::vector<std::shared_ptr<arrow::Field>> fields;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (Column& column : columns_) {
      const std::string& name = column.name();
      if (column.ignored()) {
        // Of columns that were not asked for nothing is said.
        if (options_.late && options_.Wants(name)) options_.late->Add(name);
        continue;
      }
      if (options_.sampled && options_.sampled->GetFieldIndex(name) < 0) {
        ARROW_ASSIGN_OR_RAISE(auto presence, column.Presence(count_));
        fields.push_back(PresenceField(name));
        arrays.push_back(std::move(presence));
      }
      ARROW_ASSIGN_OR_RAISE(auto finished, column.Finish(count_, !options_.sampled));
      fields.push_back(std::move(finished.field));
      arrays.push_back(std::move(finished.array));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), count_,
                                    std::move(arrays));
  }

 private:
  const char* ParseObject(const char* p) {
    if (*p != '{') return fault_.Set(p, "an object, '{'");
    p = SkipSpace(p + 1);
    if (*p == '}') return p + 1;
    for (size_t next = 0;; ++next) {
      if (*p != '"') return fault_.Set(p, "a quoted key");
      p = FindColumn(p + 1, &next);
      if (!p) return nullptr;
      p = SkipSpace(p);
      if (*p != ':') return fault_.Set(p, "':' after a key");
      p = columns_[next].Parse(SkipSpace(p + 1), count_, &fault_);
      if (!p) return nullptr;
      p = SkipSpace(p);
      if (*p == '}') return p + 1;
      if (*p != ',') return fault_.Set(p, "',' or '}' in an object");
      p = SkipSpace(p + 1);
    }
  }

  // Sets `*index` to the column of the key at `p`, which is behind the opening quote, and
  // returns the byte behind its closing one. Keys mostly come in the order of the row
  // before, so the column at `*index` is tried first.
  const char* FindColumn(const char* p, size_t* index) {
    if (*index < columns_.size()) {
      const std::string& name = columns_[*index].name();
      // strncmp stops at the row's zero byte; a plain name stands in the text as it is.
      if (std::strncmp(p, name.c_str(), name.size()) == 0 && p[name.size()] == '"' &&
          plain_[*index]) {
        return p + name.size() + 1;
      }
    }
    StringToken token;
    const char* end = ScanString(p, &token, &fault_);
    if (!end) return nullptr;
    std::string name(token.raw());
    if (token.escaped) {
      bool lone = false;
      char* stop = Unescape(token, name.data(), &lone, &fault_);
      if (!stop) return nullptr;
      name.resize(stop - name.data());
    }
    const auto [found, added] = by_name_.try_emplace(name, columns_.size());
    *index = found->second;
    if (added) {
      if (static_cast<int64_t>(*index) == options_.limits.columns) {
        by_name_.erase(found);
        return fault_.Exceed(p, "fewer columns", "columns");
      }
      plain_.resize(*index);
      plain_.push_back(name.find_first_of(std::string_view("\"\\\0", 3)) ==
                       std::string::npos);
      columns_.emplace_back(std::move(name), count_, UseOf(found->first), text_);
      if (!columns_.back().ignored()) ++kept_;
      if (!CheckCells(p, count_ + 1)) return nullptr;
    }
    return end;
  }

  // Rows may each have keys of their own, and every row has a cell in every column.
  bool CheckCells(const char* p, int64_t rows) {
    constexpr int64_t kLeast = 16'000'000;
    constexpr int64_t kForEachColumn = 1600;
    const int64_t most = std::max(kLeast, options_.limits.columns * kForEachColumn);
    if (kept_ * rows <= most) return true;
    fault_.Exceed(p, "fewer different keys in so many rows", "columns");
    return false;
  }

  Column::Use UseOf(const std::string& name) const {
    if (!options_.Wants(name)) return Column::Use::kIgnore;
    const auto field = options_.WantedField(name);
    if (!field) return options_.stable ? Column::Use::kIgnore : Column::Use::kTyped;
    if (IsJsonField(*field)) return Column::Use::kText;
    return UseFor(*field->type(), /*asked=*/options_.FixedField(name) != nullptr);
  }

  const ReadOptions& options_;
  const std::string_view text_;
  int64_t count_ = 0;
  Fault fault_;
  std::deque<Column> columns_;  // which do not move when more come
  int64_t kept_ = 0;            // columns that are not ignored
  std::vector<bool> plain_;     // the name of columns_[i] needs no escapes
  std::unordered_map<std::string, size_t> by_name_;
};

// Calls `visit(begin, end)` for each row of a block, blank lines left out, until it
// returns false.
template <typename Visit>
void ForEachRow(const Block& block, Visit&& visit) {
  char* p = block.begin;
  char* const stop = p + block.size;
  if (block.framing != Framing::kLines) {
    for (uint32_t row_end : block.row_ends) {
      if (!visit(p, block.begin + row_end)) return;
      p = block.begin + row_end + 1;
    }
    return;
  }
  while (p < stop) {
    auto* end = static_cast<char*>(std::memchr(p, '\n', stop - p));
    if (!end) end = stop;
    const char* text = p;
    while (text < end && IsSpace(*text)) ++text;
    if (text < end && !visit(p, end)) return;
    p = end + 1;
  }
}

// The line, from 1, in which a row begins; unknown where rows are not lines.
int64_t LineOf(const Block& block, const char* row_begin) {
  if (block.framing != Framing::kLines) return BadRow::kUnknown;
  const std::string_view before(block.begin, row_begin - block.begin);
  return block.line + CountNewlines(before) + 1;
}

// Where a byte of a block is, in words.
std::string PlaceOf(const std::string& path, const Block& block, int64_t row,
                    const char* row_begin, const char* at) {
  const std::string offset =
      " (byte offset " + std::to_string(block.offset + (at - block.begin)) + ")";
  if (block.framing != Framing::kLines) {
    return path + ": row " + std::to_string(block.row + row + 1) + offset;
  }
  return path + ": line " + std::to_string(LineOf(block, row_begin)) + ", column " +
         std::to_string(at - row_begin + 1) + offset;
}

// What there was in place of what was expected; `rest` of the row begins at the fault.
std::string Found(const Fault& fault, std::string_view rest, const Limits& limits) {
  if (fault.limit) {
    for (const NamedLimit& limit : AllLimits()) {
      if (limit.name != fault.limit) continue;
      return ": the limit is " + std::to_string(limits.*limit.value) +
             RaiseLimit(limits, limit.name);
    }
  }
  return ", found " + (rest.empty() ? "the end of the row" : Quoted(rest, 20));
}

Decoded DecodeBlock(const Block& block, const TextSource& source) {
  const std::string& path = source.path;
  const ReadOptions& options = source.options;
  const char* const stop = block.begin + block.size;
  const char* valid = block.begin + ValidUtf8Prefix(block.text());
  Rows rows(options, block.text());
  Decoded decoded;
  ForEachRow(block, [&](char* begin, char* end) {
    Fault fault;
    const char* hint = "";
    if (end > valid && begin <= valid && valid < stop) {
      fault.Set(std::max<const char*>(valid, begin), "valid UTF-8");
      hint = kConvertHint;
      // The rows behind it are looked at for themselves.
      valid = end + ValidUtf8Prefix({end, static_cast<size_t>(stop - end)});
    } else {
      // The zero byte keeps a broken row from running into the next one.
      const char kept = std::exchange(*end, '\0');
      const bool good = rows.Add(begin, end);
      *end = kept;
      if (good) return true;
      fault = rows.fault();
    }
    const auto row = rows.count() + static_cast<int64_t>(decoded.bad.size());
    if (fault.out_of_memory) {
      decoded.end = Status::OutOfMemory(PlaceOf(path, block, row, begin, fault.at),
                                        ": out of memory");
      return false;
    }
    const Status error = Status::IOError(
        PlaceOf(path, block, row, begin, fault.at), ": expected ", fault.expected,
        Found(fault, {fault.at, end}, options.limits), hint);
    if (!options.keep_bad_rows) {
      decoded.end = error;
      return false;
    }
    decoded.bad.push_back(
        MakeBadRow(row, error, path, {begin, static_cast<size_t>(end - begin)}));
    decoded.bad.back().line = LineOf(block, begin);
    decoded.bad.back().offset = block.offset + (begin - block.begin);
    return true;
  });
  auto batch = rows.Finish();
  if (!batch.ok()) return {nullptr, AtFile(path, batch.status())};
  decoded.rows = *batch;
  std::vector<std::string_view> texts;  // of all rows, once one of them is asked for
  return FitTypes(std::move(decoded), options, Typing::kOwn, [&](int64_t row) {
    if (texts.empty()) {
      ForEachRow(block, [&](char* begin, char* end) {
        texts.emplace_back(begin, end - begin);
        return true;
      });
    }
    const std::string_view text = texts[static_cast<size_t>(row)];
    return RowPlace{path, PlaceOf(path, block, row, text.data(), text.data()),
                    LineOf(block, text.data()),
                    block.offset + (text.data() - block.begin), text};
  });
}

Status RowBegins(const Block& block, std::vector<uint32_t>* begins) {
  ForEachRow(block, [&](char* begin, char*) {
    begins->push_back(static_cast<uint32_t>(begin - block.begin));
    return true;
  });
  return Status::OK();
}

// Rows of the fragments of an array follow each other; those of one object are one row.
RowSplitter SplitterOf(const std::string& path, const Format* format,
                       const FileIndex* index, const Fragment* fragment) {
  if (!index || !fragment) {
    return MakeSplitter(path, /*may_be_object=*/format == &kJson);
  }
  switch (index->framing) {
    case Framing::kArray:
      return MakeArraySplitter(path, /*first=*/fragment->first_row() == 0);
    case Framing::kObject:
      return MakeObjectSplitter(path);
    default:
      return SplitLines;
  }
}

Result<TextFile> OpenFile(const Input& input, const ReadOptions& options,
                          const FileIndex* index) {
  return [path = input.file.path, format = input.format, index,
          task = TasksWith(input, options, DecodeBlock)](const Fragment* fragment) {
    return TextPass{SplitterOf(path, format, index, fragment), task, RowBegins,
                    CountNewlines,
                    // Whether a row is whole its closing brace tells.
                    format == &kJsonl ? Resume::kAtRow : Resume::kNever,
                    /*lines_are_rows=*/true};
  };
}

Result<Sample> SampleJson(const Input& input, const ReadOptions& options) {
  return SampleText(input, options, OpenFile);
}

Result<OpenedFile> OpenJson(const Input& input, const ReadOptions& options,
                            std::shared_ptr<const FileIndex> index) {
  return OpenText(input, options, std::move(index), OpenFile);
}

Result<FileIndex> IndexJson(const Input& input, const ReadOptions& options) {
  return IndexText(input, options, OpenFile);
}

}  // namespace
}  // namespace json

const Format kJson{"json",         {".json"},       nullptr, json::SampleJson,
                   json::OpenJson, json::IndexJson, nullptr};
const Format kJsonl{"jsonl",        {".jsonl", ".ndjson"}, nullptr, json::SampleJson,
                    json::OpenJson, json::IndexJson,       nullptr};

}  // namespace fast_axolotl
