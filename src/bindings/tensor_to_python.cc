// SPDX-License-Identifier: Apache-2.0
#include "bindings/tensor_to_python.h"

#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <nanobind/ndarray.h>

#include <utility>
#include <vector>

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

nb::dlpack::dtype DtypeOf(const arrow::DataType& type, bool boolean) {
  using Code = nb::dlpack::dtype_code;
  const Code code = boolean                               ? Code::Bool
                    : arrow::is_floating(type.id())       ? Code::Float
                    : arrow::is_signed_integer(type.id()) ? Code::Int
                                                          : Code::UInt;
  return {static_cast<uint8_t>(code), static_cast<uint8_t>(type.bit_width()), 1};
}

template <typename... Framework>
nb::object Make(std::shared_ptr<arrow::Tensor> tensor, bool boolean) {
  std::vector<size_t> shape(tensor->shape().begin(), tensor->shape().end());
  const nb::dlpack::dtype dtype = DtypeOf(*tensor->type(), boolean);
  // numpy and torch know no array of nothing at no address.
  static uint64_t nothing = 0;
  void* data = tensor->size() > 0 ? const_cast<uint8_t*>(tensor->raw_data())
                                  : reinterpret_cast<uint8_t*>(&nothing);
  auto* kept = new std::shared_ptr<arrow::Tensor>(std::move(tensor));
  const nb::capsule owner(kept, [](void* p) noexcept {
    delete static_cast<std::shared_ptr<arrow::Tensor>*>(p);
  });
  return nb::cast(
      nb::ndarray<Framework...>(data, shape.size(), shape.data(), owner, nullptr, dtype));
}

}  // namespace

nb::object TensorToPython(std::shared_ptr<arrow::Tensor> tensor, ArrayKind kind,
                          TensorFlags flags) {
  // The first import takes long, and of what interrupts it nanobind makes a TypeError.
  nb::module_::import_(kind == ArrayKind::kTorch ? "torch" : "numpy");
  if (kind == ArrayKind::kTorch)
    return Make<nb::pytorch>(std::move(tensor), flags.boolean);
  if (flags.read_only) return Make<nb::numpy, nb::ro>(std::move(tensor), flags.boolean);
  return Make<nb::numpy>(std::move(tensor), flags.boolean);
}

}  // namespace fast_axolotl
