// SPDX-License-Identifier: Apache-2.0
#include "core/output/batch.h"

#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/compute/api_vector.h>

#include <utility>

namespace fast_axolotl {
namespace {

// The values of `column` at `indices`. Arrow's own function has no string views and no
// run-end encoded values: those are put together row by row.
Result<std::shared_ptr<arrow::Array>> TakeColumn(
    const std::shared_ptr<arrow::Array>& column, const arrow::UInt32Array& indices) {
  auto taken = arrow::compute::Take(*column, indices);
  if (taken.ok() || !taken.status().IsNotImplemented()) return taken;
  arrow::ArrayVector rows;
  for (int64_t i = 0; i < indices.length(); ++i) {
    rows.push_back(column->Slice(indices.Value(i), 1));
  }
  return arrow::Concatenate(rows);
}

Result<std::shared_ptr<arrow::UInt32Array>> Indices(const std::vector<uint32_t>& rows) {
  arrow::UInt32Builder builder;
  ARROW_RETURN_NOT_OK(builder.AppendValues(rows));
  std::shared_ptr<arrow::UInt32Array> indices;
  ARROW_RETURN_NOT_OK(builder.Finish(&indices));
  return indices;
}

// For each place of the batch, which of the rows behind each other stands there.
std::vector<uint32_t> OrderOf(const Batch& batch) {
  std::vector<uint32_t> order(batch.rows);
  uint32_t row = 0;
  for (const Piece& piece : batch.pieces) {
    for (uint32_t place : piece.places) order[place] = row++;
  }
  return order;
}

}  // namespace

void Batch::Shorten(int64_t count) {
  rows = count;
  for (size_t i = 0; i < pieces.size(); ++i) {
    auto& piece = pieces[i].rows;
    if (piece->num_rows() >= count) {
      piece = piece->Slice(0, count);
      pieces.resize(i + 1);
      return;
    }
    count -= piece->num_rows();
  }
}

Result<Piece> Gather(const Piece& piece) {
  if (!piece.gathered()) return piece;
  ARROW_ASSIGN_OR_RAISE(auto indices, Indices(piece.sources));
  Piece gathered = piece;
  arrow::ArrayVector columns;
  for (const auto& column : piece.rows->columns()) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), TakeColumn(column, *indices));
  }
  gathered.rows = arrow::RecordBatch::Make(piece.rows->schema(), indices->length(),
                                           std::move(columns));
  return gathered;
}

Result<std::shared_ptr<arrow::RecordBatch>> Collect(
    const Batch& batch, const std::shared_ptr<arrow::Schema>& schema) {
  std::shared_ptr<arrow::UInt32Array> order;
  if (batch.gathered()) {
    ARROW_ASSIGN_OR_RAISE(order, Indices(OrderOf(batch)));
  }
  std::vector<Piece> pieces;
  for (const Piece& piece : batch.pieces) {
    ARROW_ASSIGN_OR_RAISE(pieces.emplace_back(), Gather(piece));
  }
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    arrow::ArrayVector parts;
    for (const Piece& piece : pieces) {
      parts.push_back(piece.rows->GetColumnByName(field->name()));
      if (!parts.back()) return Status::KeyError("no column ", field->name());
    }
    std::shared_ptr<arrow::Array> column;
    if (parts.empty()) {
      ARROW_ASSIGN_OR_RAISE(column, arrow::MakeEmptyArray(field->type()));
    } else if (parts.size() == 1) {
      column = std::move(parts[0]);
    } else {
      ARROW_ASSIGN_OR_RAISE(column, arrow::Concatenate(parts));
    }
    if (order) {
      ARROW_ASSIGN_OR_RAISE(column, TakeColumn(column, *order));
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch.rows, std::move(columns));
}

}  // namespace fast_axolotl
