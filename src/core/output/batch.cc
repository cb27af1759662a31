// SPDX-License-Identifier: Apache-2.0
#include "core/output/batch.h"

#include <arrow/array/array_dict.h>
#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>

#include <algorithm>
#include <utility>

#include "core/common/memory.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/convert.h"

namespace fast_axolotl {
namespace {

// The values of arrays of dictionaries that Arrow cannot unite: all of them, behind each
// other.
Result<std::shared_ptr<arrow::Array>> JoinDictionaries(const arrow::ArrayVector& parts) {
  arrow::ArrayVector dictionaries;
  arrow::ArrayVector indices;
  int64_t before = 0;
  for (const auto& part : parts) {
    const auto& encoded = static_cast<const arrow::DictionaryArray&>(*part);
    arrow::Int64Builder builder;
    for (int64_t i = 0; i < encoded.length(); ++i) {
      ARROW_RETURN_NOT_OK(encoded.IsNull(i)
                              ? builder.AppendNull()
                              : builder.Append(before + encoded.GetValueIndex(i)));
    }
    ARROW_ASSIGN_OR_RAISE(indices.emplace_back(), builder.Finish());
    dictionaries.push_back(encoded.dictionary());
    before += encoded.dictionary()->length();
  }
  const auto& type = parts[0]->type();
  ARROW_ASSIGN_OR_RAISE(auto dictionary, arrow::Concatenate(dictionaries));
  ARROW_ASSIGN_OR_RAISE(const auto wide, arrow::Concatenate(indices));
  ARROW_ASSIGN_OR_RAISE(
      auto narrow,
      ConvertArray(wide, static_cast<const arrow::DictionaryType&>(*type).index_type(),
                   Change::kNone));
  return std::make_shared<arrow::DictionaryArray>(type, std::move(narrow),
                                                  std::move(dictionary));
}

Result<std::shared_ptr<arrow::Array>> Join(const arrow::ArrayVector& parts) {
  auto joined = arrow::Concatenate(parts, BufferPool());
  if (joined.ok() || parts[0]->type_id() != arrow::Type::DICTIONARY) return joined;
  return JoinDictionaries(parts);
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

FileRow Piece::origin(int64_t i) const {
  const int64_t row = first_row + (gathered() ? sources[i] : i);
  if (!joined) return {file, row};
  const auto after = std::upper_bound(
      joined->begin(), joined->end(), row,
      [](int64_t each, const FileStart& start) { return each < start.row; });
  const FileStart& start = *(after - 1);
  return {start.file, row - start.row};
}

Piece Piece::Slice(int64_t from, int64_t count) const {
  Piece slice{.rows = rows,
              .file = file,
              .first_row = first_row,
              .taken = taken,
              .joined = joined};
  if (!gathered()) slice.first_row += from;
  if (!gathered() || taken) slice.rows = rows->Slice(from, count);
  if (gathered()) {
    slice.sources.assign(sources.begin() + from, sources.begin() + from + count);
    slice.places.assign(places.begin() + from, places.begin() + from + count);
  }
  return slice;
}

void Batch::Shorten(int64_t count) {
  rows = count;
  for (size_t i = 0; i < pieces.size(); ++i) {
    Piece& piece = pieces[i];
    if (piece.num_rows() >= count) {
      piece = piece.Slice(0, count);
      pieces.resize(i + 1);
      return;
    }
    count -= piece.num_rows();
  }
}

Result<Piece> Gather(const Piece& piece) {
  if (!piece.gathered() || piece.taken) return piece;
  ARROW_ASSIGN_OR_RAISE(auto indices, Indices(piece.sources));
  Piece gathered = piece;
  gathered.taken = true;
  arrow::ArrayVector columns;
  for (const auto& column : piece.rows->columns()) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), TakeRows(column, *indices));
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
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_ASSIGN_OR_RAISE(pieces.emplace_back(), Gather(piece));
  }
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    ARROW_RETURN_NOT_OK(CheckStop());
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
      auto joined = Join(parts);
      if (!joined.ok()) {
        // Such as strings of more than 2 GiB together.
        return Status::CapacityError("column ", Quoted(field->name()), ": ",
                                     joined.status().message());
      }
      column = std::move(*joined);
    }
    if (order) {
      ARROW_ASSIGN_OR_RAISE(column, TakeRows(column, *order));
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch.rows, std::move(columns));
}

}  // namespace fast_axolotl
