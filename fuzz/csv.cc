// SPDX-License-Identifier: Apache-2.0

// CSV: cells against a reader of a few lines, and rows of a file in one go and in pieces.

#include <utility>
#include <vector>

#include "../tests/cpp/streams.h"
#include "core/common/text.h"
#include "core/format/csv/cell_kind.h"
#include "core/format/csv/tokenizer.h"
#include "fuzz.h"

namespace fast_axolotl::fuzz {
namespace {

constexpr char kDelimiters[] = {',', '\t', ';', '|', 'x'};

// The delimiter of this run; splitters are made without one.
char delimiter = ',';

using Row = std::vector<std::pair<std::string, bool>>;  // texts, and whether quoted

bool IsRowEnd(char c) { return c == '\n' || c == '\r'; }

// The row at `*at`, byte by byte; false if a quote is not closed.
bool PlainRow(std::string_view text, size_t* at, Row* row) {
  size_t i = *at;
  for (;;) {
    std::string cell;
    const bool quoted = i < text.size() && text[i] == '"';
    if (quoted) {
      for (++i;;) {
        if (i == text.size()) return false;
        const bool quote = text[i++] == '"';
        if (quote && (i == text.size() || text[i] != '"')) break;
        cell += text[i - 1];
        if (quote) ++i;
      }
    }
    while (i < text.size() && text[i] != delimiter && !IsRowEnd(text[i])) {
      cell += text[i++];
    }
    row->push_back({std::move(cell), quoted});
    if (i == text.size() || text[i] != delimiter) break;
    ++i;
  }
  if (i < text.size()) i += text.substr(i).starts_with("\r\n") ? 2 : 1;
  *at = i;
  return true;
}

void CheckCells(std::string_view text, size_t columns, bool goes_on) {
  PaddedText padded(text, Block::kPadding);
  const auto size = static_cast<uint32_t>(text.size());
  const csv::Cells cells =
      csv::ReadRows(padded.begin(), 0, size, delimiter, columns, goes_on);
  FUZZ_CHECK(cells.cells.size() == cells.rows() * columns, "the number of cells");
  size_t at = 0;
  size_t next = 0;
  size_t faults = 0;
  while (at < text.size() && (goes_on || faults == 0)) {
    if (columns != 1 && IsRowEnd(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    Row row;
    const bool closed = PlainRow(text, &at, &row);
    if (!closed || row.size() != columns) {
      FUZZ_CHECK(faults < cells.faults.size() && cells.faults[faults].begin == begin,
                 "a fault at " + std::to_string(begin));
      ++faults;
      if (!closed) break;
      continue;
    }
    FUZZ_CHECK(next < cells.rows() && cells.row_begins[next] == begin,
               "a row at " + std::to_string(begin));
    for (size_t i = 0; i < columns; ++i) {
      const csv::Cell& cell = cells.cells[next * columns + i];
      FUZZ_CHECK(cell.begin + cell.size <= size, "a cell's end");
      const std::string_view found(padded.begin() + cell.begin, cell.size);
      FUZZ_CHECK(found == row[i].first && (cell.quoted != 0) == row[i].second,
                 Quoted(found) + " for " + Quoted(row[i].first));
    }
    ++next;
  }
  FUZZ_CHECK(next == cells.rows() && faults == cells.faults.size(),
             std::to_string(cells.rows()) + " rows for " + std::to_string(next));
}

void CheckKind(std::string_view text) {
  bool boolean;
  int64_t integer;
  double real;
  const CellKind kind = KindOfCell(text);
  FUZZ_CHECK(ParseBool(text, &boolean) == (kind == CellKind::kBool), Quoted(text));
  FUZZ_CHECK(ParseInt64(text, &integer) == (kind == CellKind::kInt64), Quoted(text));
  // An integer of more than 64 bits is a string, and may be asked for as a double.
  const bool number = kind == CellKind::kDouble || kind == CellKind::kInt64;
  FUZZ_CHECK(ParseDouble(text, &real) || !number, Quoted(text));
  if (kind == CellKind::kInt64) {
    FUZZ_CHECK(std::to_string(integer) == text, Quoted(text));
  }
}

RowSplitter SplitterOf(Framing) { return csv::MakeSplitter(delimiter); }

}  // namespace
}  // namespace fast_axolotl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  const fuzz::TextInput in(fuzz::Choices(data, size));
  const uint8_t kind = in.kind;
  fuzz::delimiter = fuzz::kDelimiters[(kind >> 2) % sizeof fuzz::kDelimiters];
  if (kind % 4 == 0) {
    fuzz::CheckKind(in.text.substr(0, 100));
    return 0;
  }
  if (kind % 4 == 1) {
    fuzz::CheckCells(in.text, 1 + (kind >> 5) % 4, in.goes_on());
    return 0;
  }
  ReadOptions options;
  options.keep_bad_rows = in.goes_on();
  options.csv = {fuzz::delimiter, kind % 4 == 2};
  const Input input = fuzz::MemoryInput(kCsv, "/file.csv", in.text);
  const auto sample = input.format->sample(input, options);
  if (!sample.ok()) return 0;
  const ReadOptions stable = fuzz::StableOptions(options, *sample->schema, false);
  fuzz::CheckCuts(input, stable, fuzz::SplitterOf, CountLineEnds, in.steps());
  return 0;
}
