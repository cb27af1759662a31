// SPDX-License-Identifier: Apache-2.0
#include "core/format/convert.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "arrow/array/array_dict.h"
#include "arrow/array/array_nested.h"
#include "arrow/array/array_primitive.h"
#include "arrow/array/array_run_end.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/concatenate.h"
#include "arrow/array/util.h"
#include "arrow/compute/api_vector.h"
#include "arrow/compute/cast.h"
#include "arrow/compute/exec.h"
#include "arrow/type_traits.h"
#include "core/common/memory.h"
#include "core/format/convert_numbers.h"
#include "core/format/family.h"

namespace fast_axolotl {
namespace {

using arrow::Type;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using BufferPtr = std::shared_ptr<arrow::Buffer>;
using TypePtr = std::shared_ptr<arrow::DataType>;

Status NotComparable() { return Status::Invalid("values of another kind"); }

Result<ArrayPtr> Cast(const ArrayPtr& array, const TypePtr& type) {
  auto datum = arrow::compute::Cast(array, arrow::compute::CastOptions::Safe(type));
  if (datum.ok()) return datum->make_array();
  // What Arrow cannot convert at all is no value of the type either.
  return datum.status().IsNotImplemented() ? NotComparable() : datum.status();
}

// --- lists ----------------------------------------------------------------------------

template <typename ListArray>
Result<Lists> SplitAs(const ListArray& array) {
  Lists lists;
  bool dense = true;
  int64_t first = 0;
  int64_t end = 0;
  lists.lengths.resize(array.length());
  for (int64_t i = 0; i < array.length(); ++i) {
    const int64_t length = array.IsNull(i) ? 0 : array.value_length(i);
    lists.lengths[i] = length;
    if (length == 0) continue;
    const int64_t begin = array.value_offset(i);
    if (end == 0) first = end = begin;
    dense = dense && begin == end;
    end = begin + length;
  }
  if (dense) {
    lists.items = array.values()->Slice(first, end - first);
    return lists;
  }
  arrow::Int64Builder indices;
  for (int64_t i = 0; i < array.length(); ++i) {
    const int64_t begin = array.value_offset(i);
    for (int64_t k = 0; k < lists.lengths[i]; ++k) {
      ARROW_RETURN_NOT_OK(indices.Append(begin + k));
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto rows, indices.Finish());
  ARROW_ASSIGN_OR_RAISE(lists.items, TakeRows(array.values(), *rows));
  return lists;
}

// Lists behind one another, with offsets of the type `Offset`.
template <typename Offset>
Result<ArrayPtr> Join(const Lists& lists, const TypePtr& type, BufferPtr valid) {
  const auto size = static_cast<int64_t>(lists.lengths.size());
  if (lists.items->length() > std::numeric_limits<Offset>::max()) {
    return Status::CapacityError("lists of more than 2^31 values together");
  }
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> offsets,
      arrow::AllocateBuffer((size + 1) * static_cast<int64_t>(sizeof(Offset)),
                            BufferPool()));
  auto* out = offsets->mutable_data_as<Offset>();
  *out = 0;
  for (const int64_t length : lists.lengths) {
    out[1] = static_cast<Offset>(*out + length);
    ++out;
  }
  return arrow::MakeArray(arrow::ArrayData::Make(
      type, size, {std::move(valid), std::move(offsets)}, {lists.items->data()}));
}

// Lists of one length. A null list has room for its items, too.
Result<ArrayPtr> JoinFixed(Lists lists, const TypePtr& type, BufferPtr valid,
                           const arrow::Array& array) {
  const int64_t length = static_cast<const arrow::FixedSizeListType&>(*type).list_size();
  for (int64_t i = 0; i < array.length(); ++i) {
    if (array.IsValid(i) && lists.lengths[i] != length) {
      return Status::Invalid("a list of another length");
    }
  }
  if (array.null_count() > 0) {
    arrow::Int64Builder indices;
    int64_t next = 0;
    for (int64_t i = 0; i < array.length(); ++i) {
      for (int64_t k = 0; k < length; ++k) {
        ARROW_RETURN_NOT_OK(array.IsNull(i) ? indices.AppendNull()
                                            : indices.Append(next++));
      }
    }
    ARROW_ASSIGN_OR_RAISE(const auto rows, indices.Finish());
    ARROW_ASSIGN_OR_RAISE(lists.items, TakeRows(lists.items, *rows));
  }
  return arrow::MakeArray(arrow::ArrayData::Make(type, array.length(), {std::move(valid)},
                                                 {lists.items->data()}));
}

Result<ArrayPtr> ConvertLists(const ArrayPtr& array, const TypePtr& type, Change change) {
  ARROW_ASSIGN_OR_RAISE(Lists lists, SplitLists(*array));
  ARROW_ASSIGN_OR_RAISE(lists.items,
                        ConvertArray(lists.items, type->field(0)->type(), change));
  ARROW_ASSIGN_OR_RAISE(auto valid, ValidityOf(*array));
  switch (type->id()) {
    case Type::LIST:
      return Join<int32_t>(lists, type, std::move(valid));
    case Type::LARGE_LIST:
      return Join<int64_t>(lists, type, std::move(valid));
    case Type::FIXED_SIZE_LIST:
      return JoinFixed(std::move(lists), type, std::move(valid), *array);
    default:
      return NotComparable();
  }
}

// --- structs --------------------------------------------------------------------------

bool SameNames(const arrow::DataType& a, const arrow::DataType& b) {
  return std::equal(a.fields().begin(), a.fields().end(), b.fields().begin(),
                    b.fields().end(),
                    [](const auto& x, const auto& y) { return x->name() == y->name(); });
}

Result<ArrayPtr> ConvertStructs(const ArrayPtr& array, const TypePtr& type,
                                Change change) {
  // A field is null wherever its struct is.
  ARROW_ASSIGN_OR_RAISE(auto children,
                        static_cast<const arrow::StructArray&>(*array).Flatten());
  std::vector<std::shared_ptr<arrow::ArrayData>> fields;
  for (size_t i = 0; i < children.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(
        const auto child,
        ConvertArray(children[i], type->field(static_cast<int>(i))->type(), change));
    fields.push_back(child->data());
  }
  ARROW_ASSIGN_OR_RAISE(auto valid, ValidityOf(*array));
  return arrow::MakeArray(arrow::ArrayData::Make(
      type, array->length(), {std::move(valid)}, std::move(fields), array->null_count()));
}

// --- encodings ------------------------------------------------------------------------

// For each row, which of the array's values its run is of.
template <typename RunEnds>
Result<ArrayPtr> RunOfRows(const arrow::RunEndEncodedArray& array) {
  const auto& ends = static_cast<const RunEnds&>(*array.run_ends());
  arrow::Int64Builder indices;
  ARROW_RETURN_NOT_OK(indices.Reserve(array.length()));
  int64_t run = array.FindPhysicalOffset();
  for (int64_t i = 0; i < array.length(); ++i) {
    while (ends.Value(run) <= array.offset() + i) ++run;
    indices.UnsafeAppend(run);
  }
  return indices.Finish();
}

Result<ArrayPtr> DecodeRuns(const arrow::RunEndEncodedArray& array) {
  ArrayPtr runs;
  switch (array.run_ends()->type_id()) {
    case Type::INT16: {
      ARROW_ASSIGN_OR_RAISE(runs, RunOfRows<arrow::Int16Array>(array));
      break;
    }
    case Type::INT32: {
      ARROW_ASSIGN_OR_RAISE(runs, RunOfRows<arrow::Int32Array>(array));
      break;
    }
    default: {
      ARROW_ASSIGN_OR_RAISE(runs, RunOfRows<arrow::Int64Array>(array));
    }
  }
  return TakeRows(array.values(), *runs);
}

Result<ArrayPtr> ConvertDictionary(const arrow::DictionaryArray& array,
                                   const TypePtr& type, Change change) {
  if (type->id() == Type::DICTIONARY) {
    const auto& wanted = static_cast<const arrow::DictionaryType&>(*type);
    if (wanted.value_type()->Equals(*array.dictionary()->type())) {
      ARROW_ASSIGN_OR_RAISE(
          auto indices,
          ConvertNumbers(array.indices(), wanted.index_type(), /*nearest=*/false));
      return std::make_shared<arrow::DictionaryArray>(type, std::move(indices),
                                                      array.dictionary());
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto decoded,
                        TakeRows(array.dictionary(), *array.indices()));
  return ConvertArray(decoded, type, change);
}

bool HoldsOnlyNulls(const arrow::Array& array) {
  // Arrow's count crashes on a dictionary of nulls, which has no bitmap to look at.
  return DecodedType(array.type())->id() == Type::NA ||
         array.ComputeLogicalNullCount() == array.length();
}

// Whether a value of the one type can be one of the other without being another value.
bool SameSort(const arrow::DataType& from, const arrow::DataType& to) {
  const Family family = FamilyOf(from);
  if (family != FamilyOf(to)) return false;
  switch (family) {
    case Family::kNone:
    case Family::kList:
    case Family::kStruct:
      return false;
    case Family::kTimestamp:
      return static_cast<const arrow::TimestampType&>(from).timezone() ==
             static_cast<const arrow::TimestampType&>(to).timezone();
    case Family::kDecimal:
      return static_cast<const arrow::DecimalType&>(from).scale() ==
             static_cast<const arrow::DecimalType&>(to).scale();
    default:
      return true;
  }
}

// Whether values of the one type can be read as the other, by their kind.
bool Readable(const arrow::DataType& from, const arrow::DataType& to) {
  const auto is_text = [](const arrow::DataType& type) {
    return FamilyOf(type) == Family::kString || FamilyOf(type) == Family::kBytes;
  };
  const TypePtr value = to.id() == Type::DICTIONARY
                            ? static_cast<const arrow::DictionaryType&>(to).value_type()
                            : nullptr;
  if (value) return Readable(from, *value);
  if ((from.id() == Type::BOOL) != (to.id() == Type::BOOL)) return false;
  return is_text(from) == is_text(to) || (is_text(from) && arrow::is_temporal(to.id()));
}

}  // namespace

Result<Lists> SplitLists(const arrow::Array& array) {
  switch (array.type_id()) {
    case Type::LIST:
      return SplitAs(static_cast<const arrow::ListArray&>(array));
    case Type::LARGE_LIST:
      return SplitAs(static_cast<const arrow::LargeListArray&>(array));
    case Type::LIST_VIEW:
      return SplitAs(static_cast<const arrow::ListViewArray&>(array));
    case Type::LARGE_LIST_VIEW:
      return SplitAs(static_cast<const arrow::LargeListViewArray&>(array));
    default:
      return SplitAs(static_cast<const arrow::FixedSizeListArray&>(array));
  }
}

Result<ArrayPtr> TakeRows(const ArrayPtr& array, const arrow::Array& indices) {
  arrow::compute::ExecContext context(BufferPool());
  auto taken = arrow::compute::Take(*array, indices,
                                    arrow::compute::TakeOptions::Defaults(), &context);
  if (taken.ok() || !taken.status().IsNotImplemented()) return taken;
  // Arrow's own function has no string views and no run-end encoded values: those are put
  // together row by row.
  if (indices.length() == 0) return array->Slice(0, 0);
  ARROW_ASSIGN_OR_RAISE(const auto null, arrow::MakeArrayOfNull(array->type(), 1));
  ARROW_ASSIGN_OR_RAISE(const auto at,
                        Cast(arrow::MakeArray(indices.data()), arrow::int64()));
  const auto& rows = static_cast<const arrow::Int64Array&>(*at);
  arrow::ArrayVector parts;
  for (int64_t i = 0; i < rows.length(); ++i) {
    parts.push_back(rows.IsNull(i) ? null : array->Slice(rows.Value(i), 1));
  }
  return arrow::Concatenate(parts, BufferPool());
}

Result<ArrayPtr> ConvertArray(const ArrayPtr& array, const TypePtr& type, Change change) {
  const arrow::DataType& from = *array->type();
  if (from.Equals(*type)) return array;
  if (array->length() == 0) return arrow::MakeEmptyArray(type);
  if (HoldsOnlyNulls(*array)) {
    return arrow::MakeArrayOfNull(type, array->length());
  }
  if (from.id() == Type::DICTIONARY) {
    return ConvertDictionary(static_cast<const arrow::DictionaryArray&>(*array), type,
                             change);
  }
  if (from.id() == Type::RUN_END_ENCODED) {
    ARROW_ASSIGN_OR_RAISE(
        const auto decoded,
        DecodeRuns(static_cast<const arrow::RunEndEncodedArray&>(*array)));
    return ConvertArray(decoded, type, change);
  }
  const Family family = FamilyOf(from);
  if (family == FamilyOf(*type)) {
    if (family == Family::kNumber) {
      return ConvertNumbers(array, type, /*nearest=*/change != Change::kNone);
    }
    if (family == Family::kList) return ConvertLists(array, type, change);
    if (family == Family::kStruct && SameNames(from, *type)) {
      return ConvertStructs(array, type, change);
    }
  }
  const bool may = change == Change::kNone   ? SameSort(from, *type)
                   : change == Change::kForm ? Readable(from, *type)
                                             : true;
  return may ? Cast(array, type) : NotComparable();
}

}  // namespace fast_axolotl
