// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/format/csv/cell_kind.h"
#include "core/format/csv/tokenizer.h"
#include "streams.h"

namespace fast_axolotl::csv {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// The rows of two columns, quoted cells with a '^' before them.
Rows Read(std::string_view text, size_t columns, std::string* fault,
          char delimiter = ',') {
  PaddedText padded(text);
  const auto size = static_cast<uint32_t>(padded.size());
  const Cells cells = ReadRows(padded.begin(), 0, size, delimiter, columns);
  EXPECT_EQ(cells.cells.size(), cells.rows() * columns);
  Rows rows(cells.rows());
  for (size_t i = 0; i < cells.cells.size(); ++i) {
    const Cell& cell = cells.cells[i];
    rows[i / columns].push_back((cell.quoted ? "^" : "") +
                                std::string(padded.begin() + cell.begin, cell.size));
  }
  *fault = cells.faults.empty() ? "" : cells.faults[0].reason;
  return rows;
}

TEST(CsvTokenizer, Rows) {
  std::string fault;
  EXPECT_EQ(Read("a,b\nc,d\r\ne,f\rg,h", 2, &fault),
            (Rows{{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}}));
  EXPECT_EQ(fault, "");
  EXPECT_EQ(Read(",\n\"\",\n", 2, &fault), (Rows{{"", ""}, {"^", ""}}));
  EXPECT_EQ(Read("\"a,\"\"b\"\"\n\",\"\r\n\"\n", 2, &fault),
            (Rows{{"^a,\"b\"\n", "^\r\n"}}));
  EXPECT_EQ(Read("a\"b\",\"c\"d\n", 2, &fault), (Rows{{"a\"b\"", "^cd"}}));
  EXPECT_EQ(Read("a\tb,c\n", 2, &fault, '\t'), (Rows{{"a", "b,c"}}));
  EXPECT_EQ(fault, "");
}

TEST(CsvTokenizer, BlankLines) {
  std::string fault;
  EXPECT_EQ(Read("\n\na,b\n\r\n", 2, &fault), (Rows{{"a", "b"}}));
  EXPECT_EQ(Read("\na\n\n", 1, &fault), (Rows{{""}, {"a"}, {""}}));
  EXPECT_EQ(fault, "");
}

TEST(CsvTokenizer, FaultsComeAfterTheRowsBeforeThem) {
  std::string fault;
  EXPECT_EQ(Read("a,b\nc\nd,e\n", 2, &fault), (Rows{{"a", "b"}}));
  EXPECT_EQ(fault, "expected 2 cells, found 1");
  EXPECT_EQ(Read("a,b\nc,d,e\n", 2, &fault), (Rows{{"a", "b"}}));
  EXPECT_EQ(fault, "expected 2 cells, found 3");
  EXPECT_EQ(Read("a,b\nc,\"d\n", 2, &fault), (Rows{{"a", "b"}}));
  EXPECT_NE(fault, "");
}

// Whatever is cut off, no byte behind the padding is read or written.
TEST(CsvTokenizer, StopsAtTheEndOfTheText) {
  const std::string text = "\"a\"\"b\",\"c\n\"\r\n\"\"\"\",x\"y\n,\"\"\"\"\"\"\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    std::string fault;
    Read(text.substr(0, size), 2, &fault);
    PaddedText padded(text.substr(0, size));
    std::vector<Cell> cells;
    uint32_t next = 0;
    ReadRow(padded.begin(), 0, static_cast<uint32_t>(size), ',', &cells, &next);
    EXPECT_LE(next, size);
  }
}

TEST(CsvTokenizer, CellsOfEveryLength) {
  for (size_t size = 0; size < 70; ++size) {
    std::string fault;
    const std::string cell(size, 'x');
    EXPECT_EQ(Read(cell + "," + cell + "\n\"" + cell + "\"," + cell, 2, &fault),
              (Rows{{cell, cell}, {"^" + cell, cell}}));
  }
}

TEST(CellKind, IsTheNarrowestThatLosesNothing) {
  for (const char* text : {"true", "false"}) EXPECT_EQ(KindOfCell(text), CellKind::kBool);
  for (const char* text : {"0", "-1", "9223372036854775807", "-9223372036854775808"}) {
    EXPECT_EQ(KindOfCell(text), CellKind::kInt64) << text;
  }
  for (const char* text :
       {"0.5", "1.", ".5", "-1e5", "1E+5", "NaN", "nan", "inf", "-inf"}) {
    EXPECT_EQ(KindOfCell(text), CellKind::kDouble) << text;
  }
  for (const char* text :
       {"", "True", "007", "+1", " 1", "1 ", "-0", "1e", "e5", ".", "-", "0x10", "1_000",
        "9223372036854775808", "00.5", "1,5", "2024-01-01", "--1"}) {
    EXPECT_EQ(KindOfCell(text), CellKind::kString) << text;
  }
}

TEST(CellKind, Values) {
  double real = 0;
  EXPECT_TRUE(ParseDouble("12", &real));
  EXPECT_EQ(real, 12.0);
  EXPECT_TRUE(ParseDouble("-inf", &real));
  EXPECT_EQ(real, -HUGE_VAL);
  EXPECT_FALSE(ParseDouble("1.5x", &real));
  int64_t integer = 0;
  EXPECT_FALSE(ParseInt64("1.0", &integer));
  EXPECT_FALSE(ParseInt64("", &integer));
}

}  // namespace
}  // namespace fast_axolotl::csv
