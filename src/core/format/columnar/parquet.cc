// SPDX-License-Identifier: Apache-2.0

// Parquet, through Arrow's reader, page by page: a row group of a million rows must not
// be held whole. Every row group is a fragment.

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "core/common/text.h"
#include "core/format/columnar/caught.h"
#include "core/format/columnar/column_group.h"
#include "core/format/columnar/columnar.h"
#include "core/format/columnar/good_rows.h"
#include "core/format/columnar/list_reader.h"
#include "core/format/columnar/pages.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/schema.h"
#include "parquet/arrow/reader.h"
#include "parquet/arrow/schema.h"
#include "parquet/column_reader.h"
#include "parquet/file_reader.h"
#include "parquet/metadata.h"
#include "parquet/size_statistics.h"
#include "parquet/types.h"

namespace fast_axolotl {
namespace {

using parquet::arrow::FileReader;
using parquet::arrow::SchemaField;

constexpr std::string_view kMagic{"PAR1"};
constexpr int64_t kMaxBatchRows = int64_t{1} << 16;
// How far behind its own batch a thread reads that would have to wait for others.
constexpr int64_t kBatchesAhead = 2;
constexpr int64_t kReadBuffer = int64_t{256} << 10;

bool Matches(std::string_view head) { return head.starts_with(kMagic); }

Result<std::shared_ptr<FileReader>> OpenReader(
    const Input& input, std::shared_ptr<ByteCounter> counter,
    std::shared_ptr<parquet::FileMetaData> metadata) {
  const bool fresh = metadata == nullptr;
  ARROW_ASSIGN_OR_RAISE(auto file, input.OpenRandomAccess(std::move(counter)));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  if (fresh) ARROW_RETURN_NOT_OK(CheckFooter(*file, kMagic.size(), input));
  parquet::ReaderProperties properties(DecodePool());
  properties.enable_buffered_stream();
  properties.set_buffer_size(kReadBuffer);
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_pre_buffer(false);
  arrow_properties.set_arrow_extensions_enabled(true);
  auto reader = Caught([&]() -> Result<std::shared_ptr<FileReader>> {
    auto contents = parquet::ParquetFileReader::Contents::Open(
        std::move(file), properties, std::move(metadata));
    if (fresh) {
      ARROW_RETURN_NOT_OK(CheckColumns(contents->metadata()->num_columns(), input.limits,
                                       input.file.path));
    }
    auto opened = std::make_unique<parquet::ParquetFileReader>();
    opened->Open(LimitPages(std::move(contents), input.limits, size));
    ARROW_ASSIGN_OR_RAISE(
        std::unique_ptr<FileReader> built,
        FileReader::Make(DecodePool(), std::move(opened), arrow_properties));
    return std::shared_ptr<FileReader>(std::move(built));
  });
  if (!reader.ok()) return AtFile(input.file.path, reader.status());
  return reader;
}

Result<std::shared_ptr<arrow::Schema>> SchemaOf(FileReader& reader) {
  std::shared_ptr<arrow::Schema> schema;
  ARROW_RETURN_NOT_OK(Caught([&] { return reader.GetSchema(&schema); }));
  return schema;
}

void AppendLeaves(const SchemaField& field, std::vector<int>* leaves) {
  if (field.is_leaf()) leaves->push_back(field.column_index);
  for (const SchemaField& child : field.children) AppendLeaves(child, leaves);
}

// A column of a row group by itself, and its rows as many at a time as the reader of the
// file then says.
Result<std::unique_ptr<arrow::RecordBatchReader>> OpenOne(FileReader& reader,
                                                          int row_group, int column) {
  const SchemaField& field = reader.manifest().schema_fields[column];
  auto lists = MakeListReader(*reader.parquet_reader()->RowGroup(row_group), field,
                              reader.properties());
  if (lists) return lists;
  std::vector<int> leaves;
  AppendLeaves(field, &leaves);
  return reader.GetRecordBatchReader({row_group}, leaves);
}

// Whether libparquet finds as many values in a column's pages as there must be, up to a
// page that it cannot read. A damaged header may be taken for that of a page to be passed
// over, or of one with other numbers of values; what follows stands at other rows then.
// No page is decompressed for that.
bool PagesAreWhole(FileReader& reader, int row_group, int leaf) {
  const auto group = reader.parquet_reader()->RowGroup(row_group);
  int64_t values = 0;
  const Status read = Caught([&] {
    const auto pages = group->GetColumnPageReader(leaf);
    pages->set_data_page_filter([&](const parquet::DataPageStats& page) {
      values += page.num_values;
      return true;
    });
    while (pages->NextPage()) {
    }
    return Status::OK();
  });
  return !read.ok() || values == group->metadata()->ColumnChunk(leaf)->num_values();
}

// A row group on its way through.
struct RowGroup {
  Input input;
  ReadOptions options;
  std::shared_ptr<parquet::FileMetaData> metadata;
  int index;
  int64_t rows;         // in this row group
  int64_t first_row;    // of it, in the file
  int64_t batch_rows;   // in each batch but the last
  int64_t batch_bytes;  // of such a batch, decoded, about
  std::shared_ptr<FileReader> reader;
  Projection projection;
  arrow::FieldVector fields;  // of the projection
  std::deque<ColumnGroup> groups;

  int64_t batches() const { return (rows + batch_rows - 1) / batch_rows; }

  // `column`: where it stands in the projection, or -1.
  Status At(int column, int64_t row, const Status& status) const {
    std::string place = "row group " + std::to_string(index);
    if (column >= 0) place += ", column " + Quoted(projection.names[column]);
    place += ", after row " + std::to_string(first_row + row) + " of the file";
    return AtPlace(input.file.path, place, status);
  }

  // Reads what comes next of some columns, not far behind `batch`; false if there is
  // nothing to do.
  bool ReadAhead(int64_t batch) {
    const int64_t end = std::min(batch + 1 + kBatchesAhead, batches());
    return std::any_of(groups.begin(), groups.end(),
                       [&](ColumnGroup& group) { return group.ReadAhead(end); });
  }

  Decoded Decode(int64_t batch) {
    const int64_t begin = batch * batch_rows;
    arrow::ArrayVector columns(fields.size());
    // Threads that decode batches side by side begin at different columns, and wait for
    // each other only where nothing else is left to do.
    std::vector<size_t> left;
    for (size_t i = 0; i < groups.size(); ++i) {
      left.push_back((static_cast<size_t>(batch) + i) % groups.size());
    }
    bool wait = false;
    while (!left.empty()) {
      std::vector<size_t> later;
      for (const size_t number : left) {
        auto taken = groups[number].Take(batch, std::exchange(wait, false), &columns);
        if (!taken.ok()) {
          return groups[number].FailedAt(batch)
                     ? Rescue(batch, taken.status())
                     : Lost({}, At(-1, begin, taken.status()), BatchRows(batch), options,
                            input.file.path);
        }
        if (!*taken) later.push_back(number);
      }
      wait = later.size() == left.size() && !ReadAhead(batch);
      left = std::move(later);
    }
    return Finished(begin, BatchRows(batch), std::move(columns));
  }

 private:
  int64_t BatchRows(int64_t batch) const {
    return std::min(batch_rows, rows - batch * batch_rows);
  }

  Decoded Finished(int64_t begin, int64_t count, arrow::ArrayVector columns) const {
    const auto read =
        arrow::RecordBatch::Make(arrow::schema(fields), count, std::move(columns));
    return Finish(*read, projection, options, input.file.path, first_row + begin);
  }

  // The rows of a batch that are before the first fault in any of its columns. All that
  // comes before them in the row group is decoded once more.
  Decoded Rescue(int64_t batch, const Status& failure) const {
    const int64_t begin = batch * batch_rows;
    int64_t count = BatchRows(batch);
    int faulty = -1;
    Status fault = failure;
    arrow::ArrayVector columns;
    for (size_t i = 0; i < fields.size() && count > 0; ++i) {
      const int column = projection.indices[i];
      const auto open = [&]() -> Result<ColumnSteps> {
        ARROW_ASSIGN_OR_RAISE(auto file, OpenReader(input, nullptr, metadata));
        std::vector<int> leaves;
        AppendLeaves(file->manifest().schema_fields[column], &leaves);
        for (const int leaf : leaves) {
          if (!PagesAreWhole(*file, index, leaf)) {
            return Status::IOError("values are missing, or there are too many: ",
                                   failure.message());
          }
        }
        ARROW_ASSIGN_OR_RAISE(auto values, OpenOne(*file, index, column));
        return ColumnSteps{std::move(file), std::move(values)};
      };
      GoodRows good = ReadGoodRows(open, begin, count, batch_rows);
      if (!good.end.ok()) {
        count = good.values ? good.values->length() : 0;
        faulty = static_cast<int>(i);
        fault = good.end;
      }
      columns.push_back(std::move(good.values));
    }
    Decoded good;
    if (count > 0) {
      for (auto& column : columns) column = column->Slice(0, count);
      good = Finished(begin, count, std::move(columns));
      if (!good.end.ok()) return good;
    }
    return Lost(std::move(good), At(faulty, begin + count, fault),
                BatchRows(batch) - count, options, input.file.path);
  }
};

// The bytes that a column takes when it is decoded, as far as the metadata tells: they
// may be very many more than are stored.
int64_t DecodedBytes(const parquet::RowGroupMetaData& row_group, int leaf) {
  const auto column = row_group.ColumnChunk(leaf);
  // What a footer says may be nonsense, and must not overflow.
  constexpr int64_t kMost = int64_t{1} << 30;
  const int64_t stored = std::clamp<int64_t>(column->total_uncompressed_size(), 0, kMost);
  const int64_t values = std::clamp<int64_t>(column->num_values(), 0, kMost);
  switch (column->type()) {
    case parquet::Type::BOOLEAN:
      return values / 8;
    case parquet::Type::INT32:
    case parquet::Type::FLOAT:
      return values * 4;
    case parquet::Type::INT64:
    case parquet::Type::DOUBLE:
      return values * 8;
    case parquet::Type::INT96:
      return values * 12;
    case parquet::Type::FIXED_LEN_BYTE_ARRAY:
      return values * std::min(row_group.schema()->Column(leaf)->type_length(), 1 << 20);
    default:
      break;
  }
  const auto sizes = column->size_statistics();
  const auto unencoded = sizes ? sizes->unencoded_byte_array_data_bytes : std::nullopt;
  if (unencoded) return std::clamp(*unencoded, stored, kMost) + values * 4;
  // Where a dictionary is used but the writer did not say: as if of its longer values.
  constexpr int64_t kUnknown = 256;
  return column->has_dictionary_page() ? std::max(stored, values * kUnknown) : stored;
}

// Decides how many rows are decoded at a time.
void SizeBatches(const parquet::RowGroupMetaData& row_group, RowGroup* group) {
  std::vector<int> leaves;
  for (const int column : group->projection.indices) {
    AppendLeaves(group->reader->manifest().schema_fields[column], &leaves);
  }
  int64_t bytes = 0;
  for (const int leaf : leaves) bytes += DecodedBytes(row_group, leaf);
  // Of a small row group several all the same, unless it is tiny: while the first is made
  // into Python values, the next is decoded.
  constexpr int64_t kBatches = 6;
  constexpr int64_t kLeastBytes = int64_t{256} << 10;
  const int64_t row_bytes = bytes / std::max<int64_t>(group->rows, 1) + 1;
  const int64_t most = std::clamp<int64_t>(kBatchBytes / row_bytes, 1, kMaxBatchRows);
  const int64_t few =
      std::max(kLeastBytes / row_bytes, (group->rows + kBatches - 1) / kBatches);
  group->batch_rows = std::clamp<int64_t>(few, 1, most);
  group->batch_bytes =
      std::min(std::min(group->batch_rows, std::max<int64_t>(group->rows, 1)) * row_bytes,
               kBatchBytes);
  group->reader->set_batch_size(group->batch_rows);
}

struct SizedColumn {
  size_t position;  // among all that are read
  int64_t bytes;
};

// Distributes columns over groups that take about as long to decode.
std::vector<std::vector<size_t>> Balance(std::vector<SizedColumn> columns) {
  constexpr size_t kMostGroups = 4;
  constexpr int64_t kWorthIt = int64_t{1} << 20;
  int64_t total = 0;
  for (const SizedColumn& column : columns) total += column.bytes;
  const size_t count = total < kWorthIt ? 1 : std::min(kMostGroups, columns.size());
  std::stable_sort(columns.begin(), columns.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  std::vector<std::vector<size_t>> groups(count);
  std::vector<int64_t> sizes(count);
  for (const SizedColumn& column : columns) {
    const auto least = std::min_element(sizes.begin(), sizes.end()) - sizes.begin();
    groups[least].push_back(column.position);
    sizes[least] += column.bytes;
  }
  for (auto& group : groups) std::sort(group.begin(), group.end());
  return groups;
}

// Opens the groups of columns of a row group.
Status OpenGroups(const parquet::RowGroupMetaData& metadata, RowGroup* group) {
  const auto& columns = group->reader->manifest().schema_fields;
  const auto row_group = group->reader->parquet_reader()->RowGroup(group->index);
  std::vector<std::vector<int>> leaves;
  std::vector<SizedColumn> others;
  for (size_t i = 0; i < group->projection.indices.size(); ++i) {
    const SchemaField& column = columns[group->projection.indices[i]];
    AppendLeaves(column, &leaves.emplace_back());
    if (auto lists = MakeListReader(*row_group, column, group->reader->properties())) {
      group->groups.emplace_back(std::move(lists), std::vector<size_t>{i}, group->rows,
                                 group->batch_rows, group->options.limits);
      continue;
    }
    others.push_back({i, 0});
    for (const int leaf : leaves.back()) {
      others.back().bytes += DecodedBytes(metadata, leaf);
    }
  }
  // Without any column there is nothing to decode, but there are rows.
  if (others.empty()) return Status::OK();
  for (auto& positions : Balance(std::move(others))) {
    std::vector<int> read;
    for (const size_t position : positions) {
      read.insert(read.end(), leaves[position].begin(), leaves[position].end());
    }
    ARROW_ASSIGN_OR_RAISE(auto reader,
                          group->reader->GetRecordBatchReader({group->index}, read));
    group->groups.emplace_back(std::move(reader), std::move(positions), group->rows,
                               group->batch_rows, group->options.limits);
  }
  return Status::OK();
}

Result<FragmentReader> OpenRowGroup(const Input& input, const ReadOptions& options,
                                    std::shared_ptr<parquet::FileMetaData> metadata,
                                    int index, int64_t first_row) {
  auto group = std::make_shared<RowGroup>();
  group->input = input;
  group->options = options;
  group->metadata = metadata;
  group->index = index;
  group->first_row = first_row;
  const auto row_group = metadata->RowGroup(index);
  group->rows = row_group->num_rows();
  ARROW_ASSIGN_OR_RAISE(group->reader,
                        OpenReader(input, options.counter, std::move(metadata)));
  ARROW_ASSIGN_OR_RAISE(auto schema, SchemaOf(*group->reader));
  group->projection = MakeProjection(*schema, options);
  for (const int column : group->projection.indices) {
    group->fields.push_back(schema->field(column));
  }
  const Status opened = Caught([&] {
    SizeBatches(*row_group, group.get());
    return OpenGroups(*row_group, group.get());
  });
  if (!opened.ok()) return group->At(-1, 0, opened);
  return [group, next = int64_t{0}]() mutable -> Result<std::optional<DecodeTask>> {
    if (next == group->batches()) return std::nullopt;
    return DecodeTask{[group, batch = next++] { return group->Decode(batch); },
                      group->batch_bytes};
  };
}

Result<Sample> SampleParquet(const Input& input, const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenReader(input, options.counter, nullptr));
  auto schema = SchemaOf(*reader);
  if (!schema.ok()) return AtFile(input.file.path, schema.status());
  Sample sample;
  auto columns = ColumnsOf(**schema);
  if (!columns.ok()) return AtFile(input.file.path, columns.status());
  sample.schema = *columns;
  sample.rows = reader->parquet_reader()->metadata()->num_rows();
  sample.bytes = input.file.size;
  sample.complete = true;
  return sample;
}

Result<std::vector<Fragment>> RowGroups(const parquet::FileMetaData& metadata) {
  std::vector<Fragment> groups;
  int64_t rows = 0;
  for (int i = 0; i < metadata.num_row_groups(); ++i) {
    Fragment group{i, i + 1, metadata.RowGroup(i)->num_rows(), rows, 0};
    if (group.rows < 0 || group.rows > metadata.num_rows() - rows) {
      return Status::IOError("row group ", i, " cannot have ", group.rows, " rows");
    }
    rows += group.rows;
    groups.push_back(group);
  }
  if (rows != metadata.num_rows()) {
    return Status::IOError("the footer promises ", metadata.num_rows(),
                           " rows, the row groups hold ", rows);
  }
  return groups;
}

Result<OpenedFile> OpenParquet(const Input& input, const ReadOptions& options,
                               std::shared_ptr<const FileIndex> index) {
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenReader(input, options.counter, nullptr));
  const auto metadata = reader->parquet_reader()->metadata();
  OpenedFile file;
  auto groups = Caught([&] { return RowGroups(*metadata); });
  if (!groups.ok()) return AtFile(input.file.path, groups.status());
  if (index && index->damages.empty()) {
    const int64_t indexed = index->rows() + static_cast<int64_t>(index->bad.size());
    if (indexed != metadata->num_rows()) {
      return Status::IOError(input.file.path, ": expected ", indexed, " rows, found ",
                             metadata->num_rows(), kChangedSinceIndexed);
    }
  }
  file.fragments = std::move(*groups);
  file.open = [input, options, metadata](const Fragment& group) {
    return Caught([&] {
      return OpenRowGroup(input, options, metadata, static_cast<int>(group.begin),
                          group.first_row());
    });
  };
  return file;
}

Result<FileIndex> IndexParquet(const Input& input, const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const OpenedFile file, OpenParquet(input, options, nullptr));
  FileIndex index;
  index.fragments = file.fragments;
  return index;
}

Result<int64_t> CountParquet(const Input& input, const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto sample, SampleParquet(input, options));
  return sample.rows;
}

}  // namespace

const Format kParquet{"parquet",   {".parquet", ".pq"}, Matches,     SampleParquet,
                      OpenParquet, IndexParquet,        CountParquet};

}  // namespace fast_axolotl
