// SPDX-License-Identifier: Apache-2.0
#include "bindings/array_view.h"

#include <arrow/type_traits.h>

#include <cstring>

#include "bindings/status.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

std::shared_ptr<arrow::DataType> TypeOf(const nb::dlpack::dtype& dtype) {
  using Code = nb::dlpack::dtype_code;
  using Type = std::shared_ptr<arrow::DataType>;
  const auto sized = [bits = dtype.bits](Type i8, Type i16, Type i32, Type i64) {
    return bits == 8    ? i8
           : bits == 16 ? i16
           : bits == 32 ? i32
           : bits == 64 ? i64
                        : Type();
  };
  if (dtype.lanes != 1) return nullptr;
  switch (static_cast<Code>(dtype.code)) {
    case Code::Bool:
      return sized(arrow::uint8(), {}, {}, {});
    case Code::Int:
      return sized(arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64());
    case Code::UInt:
      return sized(arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::uint64());
    case Code::Float:
      return sized({}, {}, arrow::float32(), arrow::float64());
    default:
      return nullptr;
  }
}

}  // namespace

bool ViewArray(nb::handle object, ArrayView* view) {
  if (!nb::try_cast(object, view->array, false)) return false;
  view->type = TypeOf(view->array.dtype());
  return true;
}

void CheckView(const ArrayView& view, size_t dimensions, Numbers numbers,
               const std::string& place) {
  if (view.array.ndim() != dimensions) {
    Throw(Status::TypeError(place, " must be an array of ", dimensions, " dimension",
                            dimensions == 1 ? "" : "s", ", not of ", view.array.ndim()));
  }
  if (view.array.device_type() != nb::device::cpu::value) {
    Throw(Status::TypeError(place, " must be in the CPU's memory"));
  }
  if (!view.type) {
    Throw(Status::TypeError(place, " must be an array of integers",
                            numbers == Numbers::kAny ? ", float32 or float64" : ""));
  }
  if (numbers == Numbers::kIntegers && arrow::is_floating(view.type->id())) {
    Throw(Status::TypeError(place, " must be an array of integers, not of ",
                            view.type->ToString()));
  }
}

Sequences::Row RowOf(const ArrayView& view, size_t row,
                     std::vector<std::shared_ptr<const void>>* owners) {
  const size_t last = view.array.ndim() - 1;
  const auto length = static_cast<int64_t>(view.array.shape(last));
  const int64_t stride = view.array.stride(last);
  const int64_t width = view.type->byte_width();
  const auto* values = static_cast<const uint8_t*>(view.array.data());
  if (last > 0) values += static_cast<int64_t>(row) * view.array.stride(0) * width;
  const bool dense = stride == 1 || length <= 1;
  if (dense && reinterpret_cast<uintptr_t>(values) % width == 0) return {values, length};
  const auto copy = ValueOf(EmptyTensor(view.type, {length}));
  uint8_t* out = copy->raw_mutable_data();
  for (int64_t i = 0; i < length; ++i) {
    std::memcpy(out + i * width, values + i * stride * width, width);
  }
  owners->push_back(copy);
  return {out, length};
}

}  // namespace fast_axolotl
