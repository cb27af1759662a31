// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/block_reader.h"

// CSV as RFC 4180 writes it, read as Python's csv module does where files differ from it:
// a row ends at "\n", "\r\n" or "\r"; a cell that begins with a quote ends at the next
// one that is not doubled; a quote elsewhere is a character like any other, as is what
// stands between a closing quote and the delimiter.

namespace fast_axolotl::csv {

/// A cell's text, quotes and doubled quotes taken off.
struct Cell {
  uint32_t begin;  // in the block
  uint32_t size : 31;
  uint32_t quoted : 1;
};

/// A row that cannot be read.
struct RowFault {
  uint32_t begin;
  std::string reason;
};

/// The cells of a block, row after row.
struct Cells {
  size_t columns = 0;
  std::vector<Cell> cells;
  std::vector<uint32_t> row_begins;
  std::vector<RowFault> faults;  // among the rows, in their order

  size_t rows() const { return row_begins.size(); }
};

/// Finds the rows' ends.
RowSplitter MakeSplitter(char delimiter);

/// Reads one row at `begin`; returns where the next one begins. `cells` is replaced.
/// False if a quote is not closed.
bool ReadRow(char* text, uint32_t begin, uint32_t end, char delimiter,
             std::vector<Cell>* cells, uint32_t* next);

/// Where the rows of `[begin, end)` begin, whatever their number of cells; blank lines as
/// in ReadRows.
void RowBegins(char* text, uint32_t begin, uint32_t end, char delimiter, size_t columns,
               std::vector<uint32_t>* begins);

/// Reads the rows of `[begin, end)`, all of which must have `columns` cells. A blank line
/// is left out, unless there is but one column: its cell is empty then. Doubled quotes
/// are undone in the text. Stops at the first row that cannot be read, or `goes_on`.
Cells ReadRows(char* text, uint32_t begin, uint32_t end, char delimiter, size_t columns,
               bool goes_on = false);

}  // namespace fast_axolotl::csv
