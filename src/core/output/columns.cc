// SPDX-License-Identifier: Apache-2.0
#include "core/output/columns.h"

#include <arrow/array.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/concatenate.h>
#include <arrow/buffer.h>
#include <arrow/extension_type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/float16.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "core/common/memory.h"
#include "core/format/convert.h"
#include "core/format/family.h"
#include "core/format/options.h"

namespace fast_axolotl {
namespace {

bool IsNumeric(const arrow::DataType& type) {
  return type.id() == arrow::Type::BOOL || arrow::is_integer(type.id()) ||
         arrow::is_floating(type.id());
}

// There is one.
int64_t FirstNull(const arrow::Array& array) {
  int64_t i = 0;
  while (array.IsValid(i)) ++i;
  return i;
}

template <typename T>
void PutNaN(const arrow::Array& array, T nan, uint8_t* bytes) {
  auto* values = reinterpret_cast<T*>(bytes);
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsNull(i)) values[i] = nan;
  }
}

Result<std::shared_ptr<arrow::Buffer>> Copy(const uint8_t* values, int64_t size) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(size, BufferPool()));
  if (size > 0) std::memcpy(buffer->mutable_data(), values, size);
  return buffer;
}

// One byte for each bit of an array of truth values.
Result<std::shared_ptr<arrow::Buffer>> Unpack(const arrow::BooleanArray& array) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(array.length(), BufferPool()));
  for (int64_t i = 0; i < array.length(); ++i) {
    buffer->mutable_data()[i] = array.Value(i) ? 1 : 0;
  }
  return buffer;
}

void PutNaNs(const arrow::Array& array, int64_t width, uint8_t* bytes) {
  constexpr uint16_t kHalfNaN = 0x7E00;
  if (width == 2) PutNaN(array, kHalfNaN, bytes);
  if (width == 4) PutNaN(array, std::numeric_limits<float>::quiet_NaN(), bytes);
  if (width == 8) PutNaN(array, std::numeric_limits<double>::quiet_NaN(), bytes);
}

// Sets the column's tensor to all values of a numeric array, in memory that is its alone
// if the column is not `shared`. `*null` is the value that has no number, where one is
// Invalid.
Status SetTensor(const arrow::Array& array, std::vector<int64_t> shape,
                 OutputColumn* column, int64_t* null) {
  std::shared_ptr<arrow::DataType> type = array.type();
  const bool floating = arrow::is_floating(type->id());
  if (!floating && array.null_count() > 0) {
    *null = FirstNull(array);
    return Status::Invalid(
        "null, for which arrays of ", type->ToString(), " have no value; ",
        type->id() == arrow::Type::BOOL
            ? ""
            : "schema= can give the column a type of floats, whose nulls are NaN, and ",
        "output=\"arrow\" and output=\"python\" keep nulls");
  }
  std::shared_ptr<arrow::Buffer> values;
  column->boolean = type->id() == arrow::Type::BOOL;
  if (column->boolean) {
    type = arrow::uint8();
    ARROW_ASSIGN_OR_RAISE(values, Unpack(static_cast<const arrow::BooleanArray&>(array)));
  } else if (array.length() == 0) {
    ARROW_ASSIGN_OR_RAISE(values, arrow::AllocateBuffer(0));
  } else {
    const int64_t width = type->byte_width();
    values = arrow::SliceBuffer(array.data()->buffers[1], array.offset() * width,
                                array.length() * width);
    // Files may be written without alignment, which tensors count on.
    const bool aligned = reinterpret_cast<uintptr_t>(values->data()) % width == 0;
    if (array.null_count() > 0 || !aligned || !column->shared) {
      ARROW_ASSIGN_OR_RAISE(values, Copy(values->data(), values->size()));
      if (array.null_count() > 0) PutNaNs(array, width, values->mutable_data());
    }
  }
  ARROW_ASSIGN_OR_RAISE(column->tensor,
                        arrow::Tensor::Make(std::move(type), std::move(values), shape));
  return Status::OK();
}

// Lists of any length.
Status SetRagged(const arrow::Array& array, OutputColumn* column, int64_t* row) {
  ARROW_ASSIGN_OR_RAISE(const Lists lists, SplitLists(array));
  column->offsets.reserve(lists.lengths.size() + 1);
  column->offsets.push_back(0);
  for (int64_t i = 0; i < array.length(); ++i) {
    column->offsets.push_back(column->offsets.back() + lists.lengths[i]);
    if (array.IsNull(i)) column->null_rows.push_back(i);
  }
  int64_t null = 0;
  const Status status = SetTensor(*lists.items, {lists.items->length()}, column, &null);
  if (!status.ok()) {
    const auto after =
        std::upper_bound(column->offsets.begin(), column->offsets.end(), null);
    *row = after - column->offsets.begin() - 1;
  }
  return status;
}

// The items of lists of one length, those of null lists null.
Result<std::shared_ptr<arrow::Array>> NullItems(
    const arrow::FixedSizeListArray& lists, const std::shared_ptr<arrow::Array>& items) {
  const int64_t size = lists.list_type()->list_size();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> valid,
                        arrow::AllocateEmptyBitmap(items->length()));
  for (int64_t i = 0; i < items->length(); ++i) {
    if (lists.IsValid(i / size) && items->IsValid(i)) {
      arrow::bit_util::SetBit(valid->mutable_data(), i);
    }
  }
  // The bitmap begins at the first item.
  auto data = items->data()->Copy();
  if (data->offset > 0) {
    ARROW_ASSIGN_OR_RAISE(auto moved, arrow::Concatenate({items}));
    data = moved->data()->Copy();
  }
  data->buffers[0] = std::move(valid);
  data->null_count = arrow::kUnknownNullCount;
  return arrow::MakeArray(data);
}

// Lists of one length. A list that is null is one of nulls.
Status SetFixed(const arrow::FixedSizeListArray& lists, OutputColumn* column,
                int64_t* row) {
  const int64_t size = lists.list_type()->list_size();
  auto items = lists.values()->Slice(lists.offset() * size, lists.length() * size);
  if (lists.null_count() > 0 && size == 0) {
    *row = FirstNull(lists);
    return Status::Invalid(
        "null, for which arrays of lists of no items have no value; "
        "output=\"arrow\" and output=\"python\" keep nulls");
  }
  if (lists.null_count() > 0) {
    ARROW_ASSIGN_OR_RAISE(items, NullItems(lists, items));
  }
  int64_t null = 0;
  const Status status = SetTensor(*items, {lists.length(), size}, column, &null);
  if (!status.ok()) *row = null / size;
  return status;
}

// The truth values that Arrow's extension type keeps as bytes.
Result<std::shared_ptr<arrow::Array>> BoolsOf(const arrow::Array& bytes) {
  arrow::BooleanBuilder builder;
  const auto& values = static_cast<const arrow::Int8Array&>(bytes);
  for (int64_t i = 0; i < values.length(); ++i) {
    ARROW_RETURN_NOT_OK(values.IsNull(i) ? builder.AppendNull()
                                         : builder.Append(values.Value(i) != 0));
  }
  return builder.Finish();
}

// The numbers that an extension type, a dictionary or runs stand for, or the array.
Result<std::shared_ptr<arrow::Array>> Plain(const std::shared_ptr<arrow::Array>& array) {
  if (array->type_id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionArray&>(*array);
    const std::string name = extension.extension_type()->extension_name();
    return name == "arrow.bool8" ? BoolsOf(*extension.storage())
                                 : Plain(extension.storage());
  }
  const auto type = DecodedType(array->type());
  return IsNumeric(*type) ? ConvertArray(array, type, Change::kNone) : array;
}

}  // namespace

Result<OutputColumn> LayOutColumn(const arrow::Field& field,
                                  const std::shared_ptr<arrow::Array>& array, bool own,
                                  int64_t* row) {
  OutputColumn column;
  column.name = field.name();
  column.json = IsJsonField(field);
  column.shared = !own;
  ARROW_ASSIGN_OR_RAISE(const auto plain, Plain(array));
  if (IsNumeric(*plain->type())) {
    column.layout = OutputColumn::Layout::kDense;
    ARROW_RETURN_NOT_OK(SetTensor(*plain, {plain->length()}, &column, row));
    return column;
  }
  if (FamilyOf(*plain->type()) != Family::kList ||
      !IsNumeric(*plain->type()->field(0)->type())) {
    column.array = array;
    return column;
  }
  if (plain->type_id() == arrow::Type::FIXED_SIZE_LIST) {
    column.layout = OutputColumn::Layout::kDense;
    ARROW_RETURN_NOT_OK(
        SetFixed(static_cast<const arrow::FixedSizeListArray&>(*plain), &column, row));
  } else {
    column.layout = OutputColumn::Layout::kRagged;
    ARROW_RETURN_NOT_OK(SetRagged(*plain, &column, row));
  }
  return column;
}

}  // namespace fast_axolotl
