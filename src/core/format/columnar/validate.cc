// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/validate.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "arrow/array.h"
#include "arrow/type.h"
#include "core/common/text.h"

namespace fast_axolotl {
namespace {

// Whether all bytes of the strings behind each other, those of nulls too, are valid
// UTF-8, and no string begins inside a character. The offsets must be valid.
template <typename StringArray>
bool IsPlainlyUtf8(const StringArray& array) {
  if (array.length() == 0) return true;
  const auto* offsets = array.raw_value_offsets();
  const auto begin = offsets[0];
  const auto end = offsets[array.length()];
  if (begin == end) return true;
  const auto* data = reinterpret_cast<const char*>(array.raw_data());
  const std::string_view text(data + begin, static_cast<size_t>(end - begin));
  return ValidUtf8Prefix(text) == text.size() &&
         std::none_of(offsets, offsets + array.length(), [&](auto offset) {
           return offset < end && (data[offset] & 0xC0) == 0x80;
         });
}

// Whether a column is of strings, and valid: as binary, and as UTF-8.
template <typename StringArray>
bool AreValidStrings(const arrow::Array& column,
                     const std::shared_ptr<arrow::DataType>& binary) {
  const auto data = column.data()->Copy();
  data->type = binary;
  return arrow::MakeArray(data)->ValidateFull().ok() &&
         IsPlainlyUtf8(static_cast<const StringArray&>(column));
}

// False also where only Arrow can judge, one string at a time.
bool AreValidStrings(const arrow::Array& column) {
  // MakeArray trusts the number of buffers.
  if (!column.Validate().ok()) return false;
  switch (column.type_id()) {
    case arrow::Type::STRING:
      return AreValidStrings<arrow::StringArray>(column, arrow::binary());
    case arrow::Type::LARGE_STRING:
      return AreValidStrings<arrow::LargeStringArray>(column, arrow::large_binary());
    default:
      return false;
  }
}

bool HasDictionary(const arrow::DataType& type) {
  return type.id() == arrow::Type::DICTIONARY ||
         std::any_of(type.fields().begin(), type.fields().end(),
                     [](const auto& field) { return HasDictionary(*field->type()); });
}

}  // namespace

Status ValidateBatch(const arrow::RecordBatch& batch) {
  arrow::FieldVector fields;
  arrow::ArrayVector rest;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const arrow::Array& column = *batch.column(i);
    if (column.length() == batch.num_rows() && AreValidStrings(column)) continue;
    fields.push_back(batch.schema()->field(i));
    rest.push_back(batch.column(i));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                  std::move(rest))
      ->ValidateFull();
}

Status ValidateDecoded(const arrow::RecordBatch& batch) {
  ARROW_RETURN_NOT_OK(batch.Validate());
  for (const auto& column : batch.columns()) {
    if (HasDictionary(*column->type())) ARROW_RETURN_NOT_OK(column->ValidateFull());
  }
  return Status::OK();
}

}  // namespace fast_axolotl
