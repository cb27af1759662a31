// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/columnar.h"

#include <utility>

#include "core/common/text.h"
#include "core/format/fit.h"
#include "core/format/schema.h"

namespace fast_axolotl {

Result<std::shared_ptr<arrow::Schema>> ColumnsOf(const arrow::Schema& schema) {
  for (const std::string& name : schema.field_names()) {
    if (ValidUtf8Prefix(name) < name.size()) {
      return Status::IOError("the column name ", Quoted(name), " is not valid UTF-8");
    }
  }
  return WithUniqueNames(schema);
}

Projection MakeProjection(const arrow::Schema& schema, const ReadOptions& options) {
  Projection projection;
  const auto names = UniqueNames(schema.field_names());
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (!options.Wants(names[i])) continue;
    projection.indices.push_back(i);
    projection.names.push_back(names[i]);
  }
  return projection;
}

Decoded Finish(const arrow::RecordBatch& batch, const Projection& projection,
               const ReadOptions& options, const std::string& path, int64_t first_row) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  // A reader that was asked for no column may still have read one.
  for (size_t i = 0; i < projection.names.size(); ++i) {
    const int at = static_cast<int>(i);
    fields.push_back(batch.schema()->field(at)->WithName(projection.names[i]));
    columns.push_back(batch.column(at));
  }
  Decoded decoded;
  decoded.rows = arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                          batch.num_rows(), std::move(columns));
  return FitTypes(std::move(decoded), options, Typing::kOwn, [&](int64_t row) {
    return RowPlace{path,
                    path + ": row " + std::to_string(first_row + row + 1),
                    BadRow::kUnknown,
                    BadRow::kUnknown,
                    {}};
  });
}

Decoded Lost(Decoded good, const Status& error, int64_t rows, const ReadOptions& options,
             const std::string& path) {
  if (!options.keep_bad_rows || !IsOfData(error) || rows == 0) {
    good.end = error;
    return good;
  }
  BadRow bad = MakeBadRow(0, error, path);
  bad.rows = rows;
  auto joined = [&]() -> Result<std::shared_ptr<arrow::RecordBatch>> {
    if (!good.rows) return WithBadRows(nullptr, {bad});
    const int hidden = BadRowsIndex(*good.rows->schema());
    if (hidden < 0) {
      bad.at = good.rows->num_rows();
      return WithBadRows(good.rows, {bad});
    }
    // Among the good rows there are bad ones already.
    ARROW_ASSIGN_OR_RAISE(const auto none, good.rows->Slice(0, 0)->RemoveColumn(hidden));
    ARROW_ASSIGN_OR_RAISE(auto lost, WithBadRows(none, {bad}));
    return arrow::ConcatenateRecordBatches({good.rows, lost}, DecodePool());
  }();
  if (!joined.ok()) return {nullptr, joined.status()};
  return {std::move(*joined), Status::OK()};
}

Status CheckFooter(arrow::io::RandomAccessFile& file, int64_t magic_bytes,
                   const Input& input) {
  uint32_t length = 0;
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file.GetSize());
  const int64_t end = size - magic_bytes - static_cast<int64_t>(sizeof length);
  if (end < 0) return Status::OK();
  ARROW_RETURN_NOT_OK(file.ReadAt(end, sizeof length, &length).status());
  // One that is longer than the file has an error of its own.
  if (length > end) return Status::OK();
  return CheckMetadata(length, input.limits, input.file.path);
}

}  // namespace fast_axolotl
