// SPDX-License-Identifier: Apache-2.0

// Parquet, through Arrow's reader, page by page: a row group of a million rows must not
// be held whole. Every row group is a fragment.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/format/columnar/columnar.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/schema.h"
#include "parquet/arrow/reader.h"
#include "parquet/arrow/schema.h"
#include "parquet/file_reader.h"
#include "parquet/metadata.h"

namespace fast_axolotl {
namespace {

using parquet::arrow::FileReader;
using parquet::arrow::SchemaField;

// Decoded bytes of one batch, about.
constexpr int64_t kBatchBytes = int64_t{2} << 20;
constexpr int64_t kMaxBatchRows = int64_t{1} << 16;
constexpr int64_t kReadBuffer = int64_t{256} << 10;

bool Matches(std::string_view head) { return head.starts_with("PAR1"); }

Result<std::shared_ptr<FileReader>> OpenReader(
    const Input& input, std::shared_ptr<ByteCounter> counter, int64_t batch_rows,
    std::shared_ptr<parquet::FileMetaData> metadata) {
  ARROW_ASSIGN_OR_RAISE(auto file, input.OpenRandomAccess(std::move(counter)));
  parquet::ReaderProperties properties(DecodePool());
  properties.enable_buffered_stream();
  properties.set_buffer_size(kReadBuffer);
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_pre_buffer(false);
  arrow_properties.set_batch_size(batch_rows);
  arrow_properties.set_arrow_extensions_enabled(true);
  auto reader = Guarded([&]() -> Result<std::shared_ptr<FileReader>> {
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::move(file), properties, std::move(metadata)));
    builder.memory_pool(DecodePool())->properties(arrow_properties);
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<FileReader> built, builder.Build());
    return std::shared_ptr<FileReader>(std::move(built));
  });
  if (!reader.ok()) return AtFile(input.file.path, reader.status());
  return reader;
}

Result<std::shared_ptr<arrow::Schema>> SchemaOf(FileReader& reader) {
  std::shared_ptr<arrow::Schema> schema;
  ARROW_RETURN_NOT_OK(Guarded([&] { return reader.GetSchema(&schema); }));
  return schema;
}

void AppendLeaves(const SchemaField& field, std::vector<int>* leaves) {
  if (field.is_leaf()) leaves->push_back(field.column_index);
  for (const SchemaField& child : field.children) AppendLeaves(child, leaves);
}

// A row group on its way through: the reader and what it has given so far.
struct RowGroup {
  std::string path;
  ReadOptions options;
  int index;
  int64_t rows;       // in this row group
  int64_t first_row;  // of it, in the file
  std::shared_ptr<FileReader> reader;
  std::unique_ptr<arrow::RecordBatchReader> batches;
  Projection projection;
  int64_t read = 0;

  Status At(const Status& status) const {
    return Status::IOError(path, ": row group ", index, ", after row ", first_row + read,
                           " of the file: ", status.message());
  }

  Result<std::optional<DecodeTask>> Next() {
    std::shared_ptr<arrow::RecordBatch> batch;
    // Without any column there is nothing to decode, but there are rows.
    if (batches) {
      Status status = Guarded([&] { return batches->ReadNext(&batch); });
      if (status.ok() && batch) status = batch->Validate();
      if (!status.ok()) return At(status);
    } else if (read < rows) {
      batch = arrow::RecordBatch::Make(arrow::schema(arrow::FieldVector{}),
                                       std::min(rows - read, kMaxBatchRows),
                                       arrow::ArrayVector{});
    }
    if (!batch) {
      if (read == rows) return std::nullopt;
      return At(
          Status::IOError("expected ", rows, " rows in this row group, found ", read));
    }
    const int64_t row = first_row + read;
    read += batch->num_rows();
    return DecodeTask{[batch, row, this_options = options, this_path = path,
                       this_projection = projection] {
                        return Finish(*batch, this_projection, this_options, this_path,
                                      row);
                      },
                      kBatchBytes};
  }
};

Result<FragmentReader> OpenRowGroup(const Input& input, const ReadOptions& options,
                                    std::shared_ptr<parquet::FileMetaData> metadata,
                                    int index, int64_t first_row) {
  auto group = std::make_shared<RowGroup>();
  group->path = input.file.path;
  group->options = options;
  group->index = index;
  group->first_row = first_row;
  const auto row_group = metadata->RowGroup(index);
  group->rows = row_group->num_rows();
  const int64_t row_bytes =
      row_group->total_byte_size() / std::max<int64_t>(group->rows, 1) + 1;
  const int64_t batch_rows =
      std::clamp<int64_t>(kBatchBytes / row_bytes, 64, kMaxBatchRows);
  ARROW_ASSIGN_OR_RAISE(
      group->reader, OpenReader(input, options.counter, batch_rows, std::move(metadata)));
  ARROW_ASSIGN_OR_RAISE(auto schema, SchemaOf(*group->reader));
  group->projection = MakeProjection(*schema, options);
  std::vector<int> leaves;
  for (int column : group->projection.indices) {
    AppendLeaves(group->reader->manifest().schema_fields[column], &leaves);
  }
  if (!leaves.empty()) {
    auto batches =
        Guarded([&] { return group->reader->GetRecordBatchReader({index}, leaves); });
    if (!batches.ok()) return group->At(batches.status());
    group->batches = std::move(*batches);
  }
  return [group] { return group->Next(); };
}

Result<Sample> SampleParquet(const Input& input, const ReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenReader(input, options.counter, 1024, nullptr));
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
                               std::shared_ptr<const FileIndex>) {
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenReader(input, options.counter, 1024, nullptr));
  const auto metadata = reader->parquet_reader()->metadata();
  OpenedFile file;
  auto groups = Guarded([&] { return RowGroups(*metadata); });
  if (!groups.ok()) return AtFile(input.file.path, groups.status());
  file.fragments = std::move(*groups);
  file.open = [input, options, metadata](const Fragment& group) {
    return Guarded([&] {
      return OpenRowGroup(input, options, metadata, static_cast<int>(group.begin),
                          group.row);
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
