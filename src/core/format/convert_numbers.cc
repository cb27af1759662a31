// SPDX-License-Identifier: Apache-2.0
#include "core/format/convert_numbers.h"

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <utility>

#include "arrow/array/array_primitive.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/compute/cast.h"
#include "arrow/type_traits.h"
#include "arrow/util/bitmap_ops.h"
#include "core/common/memory.h"
#include "core/common/number.h"

namespace fast_axolotl {
namespace {

using arrow::Type;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

Result<ArrayPtr> Cast(const ArrayPtr& array, const TypePtr& type) {
  ARROW_ASSIGN_OR_RAISE(
      const auto datum,
      arrow::compute::Cast(array, arrow::compute::CastOptions::Safe(type)));
  return datum.make_array();
}

// Calls `body` with a value of the C++ type that stands for a type of numbers.
template <typename Body>
auto WithNumber(const arrow::DataType& type, Body&& body) -> decltype(body(int64_t{})) {
  switch (type.id()) {
    case Type::INT8:
      return body(int8_t{});
    case Type::INT16:
      return body(int16_t{});
    case Type::INT32:
      return body(int32_t{});
    case Type::INT64:
      return body(int64_t{});
    case Type::UINT8:
      return body(uint8_t{});
    case Type::UINT16:
      return body(uint16_t{});
    case Type::UINT32:
      return body(uint32_t{});
    case Type::UINT64:
      return body(uint64_t{});
    case Type::FLOAT:
      return body(float{});
    case Type::DOUBLE:
      return body(double{});
    default:
      return Status::Invalid("no number");
  }
}

template <typename From, typename To>
bool ConvertNumber(From value, bool nearest, To* out) {
  if constexpr (std::integral<From> && std::integral<To>) {
    *out = static_cast<To>(value);
    return std::in_range<To>(value);
  } else if constexpr (std::integral<From>) {
    *out = static_cast<To>(value);
    return IsExact<To>(value);
  } else if constexpr (std::integral<To>) {
    // Powers of two, which a float holds exactly even where it does not hold the limits.
    constexpr From kBegin = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kEnd =
        From{2} * static_cast<From>(To{1} << (std::numeric_limits<To>::digits - 1));
    const bool in_range = value >= kBegin && value < kEnd;
    *out = static_cast<To>(in_range ? value : From{0});
    return in_range && static_cast<From>(*out) == value;
  } else {
    *out = static_cast<To>(value);
    if (nearest) return std::isfinite(*out) || !std::isfinite(value);
    return static_cast<From>(*out) == value || std::isnan(value);
  }
}

// Arrow's own conversion, of which only what the result tells is trusted.
Result<ArrayPtr> ToHalfFloats(const ArrayPtr& array, const TypePtr& type, bool nearest) {
  ARROW_ASSIGN_OR_RAISE(const auto doubles,
                        ConvertNumbers(array, arrow::float64(), nearest));
  ARROW_ASSIGN_OR_RAISE(const auto halves, Cast(doubles, type));
  ARROW_ASSIGN_OR_RAISE(const auto back, Cast(halves, arrow::float64()));
  const auto& wanted = static_cast<const arrow::DoubleArray&>(*doubles);
  const auto& found = static_cast<const arrow::DoubleArray&>(*back);
  for (int64_t i = 0; i < wanted.length(); ++i) {
    if (wanted.IsNull(i)) continue;
    double same;
    if (!ConvertNumber(found.Value(i), false, &same) ||
        (nearest ? std::isinf(same) && !std::isinf(wanted.Value(i))
                 : same != wanted.Value(i) && !std::isnan(same))) {
      return Status::Invalid("does not fit into a half float");
    }
  }
  return halves;
}

}  // namespace

Result<ArrayPtr> ConvertNumbers(const ArrayPtr& array, const TypePtr& type,
                                bool nearest) {
  if (array->type()->Equals(*type)) return array;
  if (array->type_id() == Type::HALF_FLOAT) {
    ARROW_ASSIGN_OR_RAISE(const auto floats, Cast(array, arrow::float32()));
    return ConvertNumbers(floats, type, nearest);
  }
  if (type->id() == Type::HALF_FLOAT) return ToHalfFloats(array, type, nearest);
  const int64_t size = array->length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values,
                        arrow::AllocateBuffer(size * type->byte_width(), BufferPool()));
  ARROW_RETURN_NOT_OK(WithNumber(*array->type(), [&](auto source) {
    return WithNumber(*type, [&](auto target) -> Status {
      using From = decltype(source);
      using To = decltype(target);
      const From* from = array->data()->GetValues<From>(1);
      To* to = values->mutable_data_as<To>();
      for (int64_t i = 0; i < size; ++i) {
        if (!ConvertNumber(from[i], nearest, &to[i]) && array->IsValid(i)) {
          return Status::Invalid("does not fit into ", type->ToString());
        }
      }
      return Status::OK();
    });
  }));
  ARROW_ASSIGN_OR_RAISE(auto valid, ValidityOf(*array));
  return arrow::MakeArray(arrow::ArrayData::Make(
      type, size, {std::move(valid), std::move(values)}, array->null_count()));
}

Result<std::shared_ptr<arrow::Buffer>> ValidityOf(const arrow::Array& array) {
  if (array.null_count() == 0) return nullptr;
  if (array.offset() == 0) return array.null_bitmap();
  return arrow::internal::CopyBitmap(BufferPool(), array.null_bitmap_data(),
                                     array.offset(), array.length());
}

}  // namespace fast_axolotl
