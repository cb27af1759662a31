// SPDX-License-Identifier: Apache-2.0

// CSV: every column has one kind for the whole stream, taken from the sample; a later
// cell that is not of that kind is an error. See cell_kind.h for the kinds, tokenizer.h
// for the syntax.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/util.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "core/common/memory.h"
#include "core/common/text.h"
#include "core/format/block_reader.h"
#include "core/format/csv/cell_kind.h"
#include "core/format/csv/tokenizer.h"
#include "core/format/fit.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/schema.h"
#include "core/format/text_format.h"

namespace fast_axolotl {
namespace csv {
namespace {

// What one pass over a file knows once it has read the header.
struct Pass {
  std::string path;
  ReadOptions options;
  char delimiter;
  std::vector<std::string> names;
  // The kinds of the columns; null for those to be told from each block (in a sample).
  std::vector<std::shared_ptr<arrow::DataType>> types;
};

char DelimiterOf(const Input& input, const CsvOptions& csv) {
  if (csv.delimiter) return csv.delimiter;
  std::string_view name = input.file.path;
  CodecOfName(&name);
  return EndsWithIgnoreCase(name, ".tsv") ? '\t' : ',';
}

std::string PlaceOf(const Pass& pass, const Block& block, uint32_t row_begin) {
  const int64_t line = block.line + CountLineEnds(block.text().substr(0, row_begin)) + 1;
  return pass.path + ": line " + std::to_string(line) + " (byte offset " +
         std::to_string(block.offset + row_begin) + ")";
}

std::string_view TextOf(const Block& block, const Cell& cell) {
  return {block.begin + cell.begin, cell.size};
}

bool IsNull(const Cell& cell) { return cell.size == 0 && !cell.quoted; }

// The kind that all cells of a column have, null if they are all empty.
std::shared_ptr<arrow::DataType> InferType(const Block& block, const Cells& cells,
                                           size_t column, size_t rows) {
  bool any = false;
  bool all_bool = true;
  bool all_int = true;
  bool all_number = true;
  for (size_t row = 0; row < rows; ++row) {
    const Cell& cell = cells.cells[row * cells.columns + column];
    if (IsNull(cell)) continue;
    const CellKind kind = KindOfCell(TextOf(block, cell));
    any = true;
    all_bool &= kind == CellKind::kBool;
    all_int &= kind == CellKind::kInt64;
    all_number &= kind == CellKind::kInt64 || kind == CellKind::kDouble;
    if (!all_bool && !all_number) return arrow::utf8();
  }
  if (!any) return arrow::null();
  return all_bool ? arrow::boolean() : all_int ? arrow::int64() : arrow::float64();
}

// Rows whose cell is not of the column's kind: all of them, or the first.
struct Misfits {
  bool all;
  std::vector<int64_t> rows;
};

// Builds a column with `append(text, builder)`, which says whether the text is of its
// kind.
template <typename Builder, typename Append>
Result<std::shared_ptr<arrow::Array>> BuildColumn(const Block& block, const Cells& cells,
                                                  size_t column, size_t rows,
                                                  Misfits* misfits, Append&& append) {
  Builder builder(BufferPool());
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(rows)));
  for (size_t row = 0; row < rows; ++row) {
    const Cell& cell = cells.cells[row * cells.columns + column];
    if (IsNull(cell)) {
      builder.UnsafeAppendNull();
    } else if (!append(TextOf(block, cell), &builder)) {
      misfits->rows.push_back(static_cast<int64_t>(row));
      if (!misfits->all) break;
      builder.UnsafeAppendNull();
    }
  }
  return builder.Finish();
}

template <typename Builder, typename Value>
Result<std::shared_ptr<arrow::Array>> BuildParsed(
    const Block& block, const Cells& cells, size_t column, size_t rows, Misfits* misfits,
    bool (*parse)(std::string_view, Value*)) {
  return BuildColumn<Builder>(block, cells, column, rows, misfits,
                              [&](std::string_view text, Builder* builder) {
                                Value value;
                                if (!parse(text, &value)) return false;
                                builder->UnsafeAppend(value);
                                return true;
                              });
}

Result<std::shared_ptr<arrow::Array>> Build(const Block& block, const Cells& cells,
                                            size_t column, size_t rows,
                                            const arrow::DataType& type,
                                            Misfits* misfits) {
  switch (type.id()) {
    case arrow::Type::NA:
      return arrow::MakeArrayOfNull(arrow::null(), static_cast<int64_t>(rows));
    case arrow::Type::BOOL:
      return BuildParsed<arrow::BooleanBuilder>(block, cells, column, rows, misfits,
                                                ParseBool);
    case arrow::Type::INT64:
      return BuildParsed<arrow::Int64Builder>(block, cells, column, rows, misfits,
                                              ParseInt64);
    case arrow::Type::DOUBLE:
      return BuildParsed<arrow::DoubleBuilder>(block, cells, column, rows, misfits,
                                               ParseDouble);
    default:
      return BuildColumn<arrow::StringBuilder>(
          block, cells, column, rows, misfits,
          [](std::string_view text, arrow::StringBuilder* builder) {
            return builder->Append(text).ok();
          });
  }
}

// A block's rows, good and bad ones, as they stand in the file.
class BlockRows {
 public:
  // `original`: the block's text before quotes were taken off.
  BlockRows(const Pass& pass, const Block& block, std::string_view original,
            const Cells& cells)
      : pass_(pass), block_(block), original_(original) {
    begins_ = cells.row_begins;
    if (cells.faults.empty()) return;
    for (const RowFault& fault : cells.faults) begins_.push_back(fault.begin);
    std::sort(begins_.begin(), begins_.end());
  }

  // Which of the rows it is that begins there.
  int64_t Number(uint32_t begin) const {
    return std::lower_bound(begins_.begin(), begins_.end(), begin) - begins_.begin();
  }

  std::string_view Text(int64_t row) const {
    const auto i = static_cast<size_t>(row);
    const size_t end = i + 1 < begins_.size() ? begins_[i + 1] : original_.size();
    std::string_view text = original_.substr(begins_[i], end - begins_[i]);
    while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
    return text;
  }

  RowPlace Place(int64_t row) const {
    const uint32_t begin = begins_[static_cast<size_t>(row)];
    const std::string_view before = block_.text().substr(0, begin);
    return {pass_.path, PlaceOf(pass_, block_, begin),
            block_.line + CountLineEnds(before) + 1, block_.offset + begin, Text(row)};
  }

  BadRow Bad(uint32_t begin, const std::string& reason) const {
    const int64_t row = Number(begin);
    const RowPlace place = Place(row);
    BadRow bad = MakeBadRow(row, Status::IOError(place.name, ": ", reason), place.path,
                            place.text);
    bad.line = place.line;
    bad.offset = place.offset;
    return bad;
  }

 private:
  const Pass& pass_;
  const Block& block_;
  const std::string_view original_;
  std::vector<uint32_t> begins_;
};

// What is wrong with a row that is valid up to its byte `at`, and goes on with `from`.
std::string InvalidUtf8(size_t at, std::string_view from) {
  return "expected valid UTF-8 at byte " + std::to_string(at + 1) +
         " of the row, found " + Quoted(from.substr(0, 4)) + kConvertHint;
}

std::string Misfit(const Pass& pass, const Block& block, const Cells& cells,
                   size_t column, int64_t row, const arrow::DataType& type) {
  const Cell& cell = cells.cells[static_cast<size_t>(row) * cells.columns + column];
  const std::string name = Quoted(pass.names[column]);
  return "column " + name + ": " + Quoted(TextOf(block, cell)) + " is not of type " +
         TypeName(*arrow::field("", type.GetSharedPtr())) +
         ", which the column has in the sample at the files' start; fix its type, for "
         "example with schema={" +
         name + ": \"string\"}";
}

bool IsLong(std::string_view row, const Limits& limits) {
  return static_cast<int64_t>(row.size()) > limits.row_bytes;
}

// Turns rows that are too long or not valid UTF-8 into faults.
void RefuseInvalid(const BlockRows& rows, const Limits& limits, Cells* cells) {
  Cells good;
  good.columns = cells->columns;
  good.faults = std::move(cells->faults);
  for (size_t i = 0; i < cells->rows(); ++i) {
    const uint32_t begin = cells->row_begins[i];
    const std::string_view text = rows.Text(rows.Number(begin));
    if (IsLong(text, limits)) {
      good.faults.push_back({begin, RowTooLong(limits)});
      continue;
    }
    const size_t valid = ValidUtf8Prefix(text);
    if (valid < text.size()) {
      good.faults.push_back({begin, InvalidUtf8(valid, text.substr(valid))});
      continue;
    }
    good.row_begins.push_back(begin);
    const auto first = cells->cells.begin() + static_cast<ptrdiff_t>(i * cells->columns);
    good.cells.insert(good.cells.end(), first,
                      first + static_cast<ptrdiff_t>(cells->columns));
  }
  std::sort(good.faults.begin(), good.faults.end(),
            [](const RowFault& a, const RowFault& b) { return a.begin < b.begin; });
  *cells = std::move(good);
}

// The columns of the good rows, each of its kind. Rows with a cell of another kind end
// them, or become bad ones.
Decoded BuildColumns(const Pass& pass, const Block& block, const Cells& cells,
                     const BlockRows& block_rows, size_t rows) {
  Decoded decoded;
  std::map<int64_t, std::string> misfits;  // rows, and what is wrong with them
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < pass.names.size(); ++i) {
    if (!pass.options.Wants(pass.names[i])) continue;
    const auto type = pass.types[i] ? pass.types[i] : InferType(block, cells, i, rows);
    Misfits found{pass.options.keep_bad_rows, {}};
    auto array = Build(block, cells, i, rows, *type, &found);
    if (!array.ok()) return {nullptr, AtFile(pass.path, array.status())};
    for (const int64_t row : found.rows) {
      if (misfits.contains(row)) continue;
      const std::string reason = Misfit(pass, block, cells, i, row, *type);
      if (found.all) {
        misfits.emplace(row, reason);
        continue;
      }
      rows = static_cast<size_t>(row);
      decoded.end =
          Status::IOError(PlaceOf(pass, block, cells.row_begins[rows]), ": ", reason);
    }
    fields.push_back(arrow::field(pass.names[i], (*array)->type()));
    arrays.push_back(std::move(*array));
  }
  for (auto& array : arrays) array = array->Slice(0, static_cast<int64_t>(rows));
  decoded.rows = arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                          static_cast<int64_t>(rows), std::move(arrays));
  if (misfits.empty()) return decoded;
  std::vector<int64_t> left_out;
  for (const auto& [row, reason] : misfits) {
    left_out.push_back(row);
    decoded.bad.push_back(
        block_rows.Bad(cells.row_begins[static_cast<size_t>(row)], reason));
  }
  auto good = WithoutRows(*decoded.rows, left_out);
  if (!good.ok()) return {nullptr, AtFile(pass.path, good.status())};
  decoded.rows = std::move(*good);
  return decoded;
}

Decoded DecodeBlock(const Pass& pass, const Block& block) {
  const bool keep = pass.options.keep_bad_rows;
  // Checked before quotes are taken off, so that offsets are those of the file.
  const size_t valid = ValidUtf8Prefix(block.text());
  const std::string invalid(block.text().substr(valid).substr(0, 4));
  const std::string original(keep ? block.text() : std::string_view());
  Cells cells = ReadRows(block.begin, 0, static_cast<uint32_t>(block.size),
                         pass.delimiter, pass.names.size(), keep);
  const BlockRows block_rows(pass, block, keep ? original : block.text(), cells);
  const Limits& limits = pass.options.limits;
  const bool long_rows = block.size > limits.row_bytes;
  if (keep && (valid < original.size() || long_rows)) {
    RefuseInvalid(block_rows, limits, &cells);
  }
  size_t rows = cells.rows();
  Status end;
  if (!keep && valid < static_cast<size_t>(block.size)) {
    // The last row that begins before the fault holds it.
    const auto after = std::upper_bound(cells.row_begins.begin(), cells.row_begins.end(),
                                        static_cast<uint32_t>(valid));
    const auto bad = static_cast<size_t>(after - cells.row_begins.begin());
    if (bad > 0 &&
        (bad < rows || cells.faults.empty() || valid < cells.faults[0].begin)) {
      rows = bad - 1;
      end = Status::IOError(PlaceOf(pass, block, cells.row_begins[rows]), ": ",
                            InvalidUtf8(valid - cells.row_begins[rows], invalid));
    }
  }
  if (!keep && end.ok() && !cells.faults.empty()) {
    const RowFault& fault = cells.faults[0];
    end = Status::IOError(PlaceOf(pass, block, fault.begin), ": ", fault.reason);
  }
  for (size_t row = 0; !keep && long_rows && row < rows; ++row) {
    if (!IsLong(block_rows.Text(static_cast<int64_t>(row)), limits)) continue;
    rows = row;
    end = Status::IOError(PlaceOf(pass, block, cells.row_begins[row]), ": ",
                          RowTooLong(limits));
  }
  Decoded decoded = BuildColumns(pass, block, cells, block_rows, rows);
  if (decoded.end.ok()) decoded.end = end;
  if (keep) {
    for (const RowFault& fault : cells.faults) {
      decoded.bad.push_back(block_rows.Bad(fault.begin, fault.reason));
    }
    std::sort(decoded.bad.begin(), decoded.bad.end(),
              [](const BadRow& a, const BadRow& b) { return a.at < b.at; });
  }
  return FitTypes(std::move(decoded), pass.options, Typing::kSpelling,
                  [&](int64_t row) { return block_rows.Place(row); });
}

Result<TextFile> OpenFile(const Input& input, const ReadOptions& options,
                          const FileIndex* index);

// The kinds of the columns `names`: the caller's come as strings and are converted
// afterwards, the sampled ones as they are. A file whose columns the sample of the whole
// dataset did not meet is sampled by itself.
Status FindTypes(const Input& input, Pass* pass) {
  const ReadOptions& options = pass->options;
  pass->types.assign(pass->names.size(), nullptr);
  std::shared_ptr<arrow::Schema> own;
  for (size_t i = 0; i < pass->names.size(); ++i) {
    const std::string& name = pass->names[i];
    if (!options.Wants(name)) continue;
    if (options.FixedField(name)) {
      pass->types[i] = arrow::utf8();
      continue;
    }
    if (!options.sampled) continue;
    auto field = options.sampled->GetFieldByName(name);
    if (!field) {
      if (!own) {
        ReadOptions alone = options;
        alone.sampled = nullptr;
        ARROW_ASSIGN_OR_RAISE(Sample sample, SampleText(input, alone, OpenFile));
        own = sample.schema;
      }
      field = own->GetFieldByName(name);
    }
    pass->types[i] =
        field && field->type()->id() != arrow::Type::NA ? field->type() : arrow::utf8();
  }
  return Status::OK();
}

// Takes the column names off the first block that has a row.
Status ReadHeader(const Input& input, Pass* pass, Block* block) {
  uint32_t begin = 0;
  const auto size = static_cast<uint32_t>(block->size);
  while (begin < size && (block->begin[begin] == '\n' || block->begin[begin] == '\r')) {
    ++begin;
  }
  if (begin == size) return Status::OK();
  std::vector<Cell> cells;
  uint32_t next = 0;
  // Reading a row undoes its quotes: where the row is data it is read a second time.
  std::string copy(block->text().substr(begin));
  copy.append(Block::kPadding, '\0');
  if (!ReadRow(copy.data(), 0, size - begin, pass->delimiter, &cells, &next)) {
    return Status::IOError(PlaceOf(*pass, *block, begin),
                           ": a quoted cell is not closed before the end of the file");
  }
  ARROW_RETURN_NOT_OK(CheckColumns(static_cast<int64_t>(cells.size()),
                                   pass->options.limits, PlaceOf(*pass, *block, begin)));
  std::vector<std::string> names(cells.size());
  // Without a header nothing is taken away: blank lines may be rows.
  if (!pass->options.csv.header) {
    begin = 0;
  } else {
    for (size_t i = 0; i < cells.size(); ++i) {
      names[i] = std::string(copy.data() + cells[i].begin, cells[i].size);
      if (ValidUtf8Prefix(names[i]) < names[i].size()) {
        return Status::IOError(PlaceOf(*pass, *block, begin),
                               ": expected valid UTF-8 in the column names",
                               kConvertHint);
      }
    }
    begin += next;
  }
  block->line += CountLineEnds(block->text().substr(0, begin));
  block->begin += begin;
  block->offset += begin;
  block->size -= begin;
  pass->names = UniqueNames(names);
  return FindTypes(input, pass);
}

TextPass PassOver(const Input& input, std::shared_ptr<Pass> pass) {
  const auto skip_header = [input, pass](Block* block) {
    // Set from the first block on, or from the start where the header was read before.
    return pass->names.empty() ? ReadHeader(input, pass.get(), block) : Status::OK();
  };
  return TextPass{
      MakeSplitter(pass->delimiter),
      [skip_header, pass](Block block) -> Result<std::function<Decoded()>> {
        ARROW_RETURN_NOT_OK(skip_header(&block));
        // A block of nothing but blank lines before the header.
        if (pass->names.empty()) return [] { return Decoded{}; };
        // From here on the pass does not change: tasks may share it.
        return [pass = std::shared_ptr<const Pass>(pass), block = std::move(block)] {
          return DecodeBlock(*pass, block);
        };
      },
      [skip_header, pass](const Block& block, std::vector<uint32_t>* begins) -> Status {
        Block rest = block;
        ARROW_RETURN_NOT_OK(skip_header(&rest));
        if (pass->names.empty()) return Status::OK();
        RowBegins(block.begin, static_cast<uint32_t>(rest.begin - block.begin),
                  static_cast<uint32_t>(block.size), pass->delimiter, pass->names.size(),
                  begins);
        return Status::OK();
      },
      CountLineEnds};
}

// Fills in the column names from the start of the file.
Status ReadNames(const Input& input, Pass* pass) {
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(pass->options.counter));
  BlockReader reader(std::move(stream), input.file.path, MakeSplitter(pass->delimiter),
                     {.count_lines = CountLineEnds}, pass->options.limits);
  while (pass->names.empty()) {
    ARROW_ASSIGN_OR_RAISE(std::optional<Block> block, reader.Next());
    if (!block) break;
    ARROW_RETURN_NOT_OK(ReadHeader(input, pass, &*block));
  }
  return Status::OK();
}

Result<TextFile> OpenFile(const Input& input, const ReadOptions& options,
                          const FileIndex* index) {
  Pass start;
  start.path = input.file.path;
  start.options = options;
  start.delimiter = DelimiterOf(input, options.csv);
  if (index) ARROW_RETURN_NOT_OK(ReadNames(input, &start));
  return [input, start](const Fragment*) {
    return PassOver(input, std::make_shared<Pass>(start));
  };
}

Result<Sample> SampleCsv(const Input& input, const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(Sample sample, SampleText(input, options, OpenFile));
  // Only the first block says what the columns are called.
  sample.begun = nullptr;
  return sample;
}

Result<OpenedFile> OpenCsv(const Input& input, const ReadOptions& options,
                           std::shared_ptr<const FileIndex> index) {
  return OpenText(input, options, std::move(index), OpenFile);
}

Result<FileIndex> IndexCsv(const Input& input, const ReadOptions& options) {
  return IndexText(input, options, OpenFile);
}

}  // namespace
}  // namespace csv

const Format kCsv{"csv",        {".csv", ".tsv"}, nullptr, csv::SampleCsv,
                  csv::OpenCsv, csv::IndexCsv,    nullptr};

}  // namespace fast_axolotl
