// SPDX-License-Identifier: Apache-2.0
#include "core/format/csv/tokenizer.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fast_axolotl::csv {
namespace {

bool IsRowEnd(char c) { return c == '\n' || c == '\r'; }

// The first delimiter or row end from `p` on, at most `end`. Reads into the padding.
char* FindCellEnd(char* p, char* end, char delimiter) {
#if defined(__SSE2__)
  const __m128i wanted = _mm_set1_epi8(delimiter);
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i cr = _mm_set1_epi8('\r');
  for (; p < end; p += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i hit =
        _mm_or_si128(_mm_cmpeq_epi8(text, wanted),
                     _mm_or_si128(_mm_cmpeq_epi8(text, lf), _mm_cmpeq_epi8(text, cr)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(hit));
    if (mask != 0) return std::min(p + __builtin_ctz(mask), end);
  }
  return end;
#else
  while (p < end && *p != delimiter && !IsRowEnd(*p)) ++p;
  return p;
#endif
}

char* FindQuote(char* p, char* end) {
  auto* found = static_cast<char*>(std::memchr(p, '"', end - p));
  return found ? found : end;
}

// Where the row end at `p` is over.
char* SkipRowEnd(char* p, char* end) {
  return p + (*p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1);
}

// Reads the quoted cell at `p`, whose text moves left over its doubled quotes; returns
// the delimiter or row end behind it, or null if its quote is not closed.
char* ReadQuoted(char* text, char* p, char* end, char delimiter, Cell* cell) {
  char* const begin = p + 1;
  char* out = begin;
  char* from = begin;
  char* quote;
  for (;;) {
    quote = FindQuote(from, end);
    if (quote == end) return nullptr;
    if (out != from) std::memmove(out, from, quote - from);
    out += quote - from;
    if (quote + 1 == end || quote[1] != '"') break;
    *out++ = '"';
    from = quote + 2;
  }
  char* const stop = FindCellEnd(quote + 1, end, delimiter);
  std::memmove(out, quote + 1, stop - quote - 1);
  out += stop - quote - 1;
  *cell = {static_cast<uint32_t>(begin - text), static_cast<uint32_t>(out - begin), 1};
  // Lines are counted in this text later: what is left over must not repeat a newline.
  std::memset(out, ' ', stop - out);
  return stop;
}

// Appends the cells of the row at `p`; returns where the next row begins, or null.
char* AppendRow(char* text, char* p, char* end, char delimiter,
                std::vector<Cell>* cells) {
  for (;;) {
    Cell cell;
    char* stop;
    if (p < end && *p == '"') {
      stop = ReadQuoted(text, p, end, delimiter, &cell);
      if (!stop) return nullptr;
    } else {
      stop = FindCellEnd(p, end, delimiter);
      cell = {static_cast<uint32_t>(p - text), static_cast<uint32_t>(stop - p), 0};
    }
    cells->push_back(cell);
    if (stop == end) return end;
    if (*stop != delimiter) return SkipRowEnd(stop, end);
    p = stop + 1;
  }
}

// Where the last row that is whole ends; 0 if none does. A row end inside quotes is none.
size_t LastRowEnd(std::string_view text, char delimiter) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  size_t last = 0;
  const auto search = [&](const char* from, const char* to) {
    const std::string_view part(from, to - from);
    size_t at = part.rfind('\n');
    // A "\r" that ends the text may be half of a "\r\n".
    if (at == std::string_view::npos) {
      at = part.substr(0, part.size() - (to == end && from < to ? 1 : 0)).rfind('\r');
    }
    if (at != std::string_view::npos) last = static_cast<size_t>(from + at + 1 - begin);
  };
  const char* p = begin;
  const char* plain = begin;  // where the text outside quotes goes on
  while ((p = static_cast<const char*>(std::memchr(p, '"', end - p)))) {
    const bool opens = p == begin || p[-1] == delimiter || IsRowEnd(p[-1]);
    if (!opens) {
      ++p;
      continue;
    }
    search(plain, p);
    do {
      p = static_cast<const char*>(std::memchr(p + 1, '"', end - p - 1));
      if (p && p + 1 < end && p[1] == '"') {
        ++p;
        continue;
      }
      break;
    } while (true);
    if (!p) return last;
    plain = ++p;
  }
  search(plain, end);
  return last;
}

}  // namespace

RowSplitter MakeSplitter(char delimiter) {
  return [delimiter](std::string_view text, size_t, bool at_end) -> Result<Cut> {
    Cut cut;
    cut.end = at_end ? text.size() : LastRowEnd(text, delimiter);
    return cut;
  };
}

bool ReadRow(char* text, uint32_t begin, uint32_t end, char delimiter,
             std::vector<Cell>* cells, uint32_t* next) {
  cells->clear();
  char* stop = AppendRow(text, text + begin, text + end, delimiter, cells);
  if (stop) *next = static_cast<uint32_t>(stop - text);
  return stop != nullptr;
}

void RowBegins(char* text, uint32_t begin, uint32_t end, char delimiter, size_t columns,
               std::vector<uint32_t>* begins) {
  std::vector<Cell> cells;
  char* p = text + begin;
  char* const stop = text + end;
  while (p < stop) {
    if (IsRowEnd(*p) && columns != 1) {
      p = SkipRowEnd(p, stop);
      continue;
    }
    begins->push_back(static_cast<uint32_t>(p - text));
    cells.clear();
    p = AppendRow(text, p, stop, delimiter, &cells);
    if (!p) return;  // an open quote: the rest is one row
  }
}

Cells ReadRows(char* text, uint32_t begin, uint32_t end, char delimiter, size_t columns,
               bool goes_on) {
  Cells rows;
  rows.columns = columns;
  char* p = text + begin;
  char* const stop = text + end;
  while (p < stop) {
    if (IsRowEnd(*p) && columns != 1) {
      p = SkipRowEnd(p, stop);
      continue;
    }
    const size_t before = rows.cells.size();
    char* next = AppendRow(text, p, stop, delimiter, &rows.cells);
    const size_t found = rows.cells.size() - before;
    if (!next || found != columns) {
      rows.faults.push_back(
          {static_cast<uint32_t>(p - text),
           next ? "expected " + std::to_string(columns) + " cells, found " +
                      std::to_string(found)
                : "a quoted cell is not closed before the end of the file"});
      rows.cells.resize(before);
      if (!next || !goes_on) break;
    } else {
      rows.row_begins.push_back(static_cast<uint32_t>(p - text));
    }
    p = next;
  }
  return rows;
}

}  // namespace fast_axolotl::csv
