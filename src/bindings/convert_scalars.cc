// SPDX-License-Identifier: Apache-2.0
//
// Nulls, booleans, numbers, decimals, and the extension types over them.

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>

#include <array>
#include <string>

#include "bindings/converter.h"
#include "bindings/small_ints.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

class NullConverter final : public Converter {
 public:
  int64_t Fill(int64_t /*begin*/, int64_t count, PyObject** out) override {
    for (int64_t i = 0; i < count; ++i) out[i] = Py_NewRef(Py_None);
    return kFilled;
  }
};

template <typename T, typename Make>
ConverterPtr MakeNumber(const arrow::Array& array, Make make) {
  const T* values = nullptr;
  if (!GetValues(array, 1, &values)) return nullptr;
  return MakeLeaf(array, [values, make](int64_t row) { return make(values[row]); });
}

template <typename T>
ConverterPtr MakeInt(const arrow::Array& array) {
  return MakeNumber<T>(array, [](T number) { return NewInt(number); });
}

ConverterPtr MakeBool(const arrow::Array& array) {
  if (array.length() > 0 && !CheckBuffer(array, 1, array.offset() + array.length(), 1)) {
    return nullptr;
  }
  const auto& buffer = array.data()->buffers[1];
  const Validity bits{buffer == nullptr ? nullptr : buffer->data(), array.offset()};
  // Looked up, not branched on: real flags are hard to predict.
  return MakeLeaf(array, [bits, objects = std::array{Py_False, Py_True}](int64_t row) {
    return Py_NewRef(objects[bits(row) ? 1 : 0]);
  });
}

// Decimal takes any number of digits from text and keeps the trailing zeros that the
// scale asks for.
template <typename Value>
ConverterPtr MakeDecimal(const arrow::Array& array) {
  const uint8_t* first = nullptr;
  constexpr int64_t kWidth = Value::kByteWidth;
  if (array.length() > 0) {
    const int64_t end = array.offset() + array.length();
    if (!CheckBuffer(array, 1, end, kWidth * 8)) return nullptr;
    first = array.data()->buffers[1]->data() + array.offset() * kWidth;
  }
  const int32_t scale = static_cast<const arrow::DecimalType&>(*array.type()).scale();
  return MakeLeaf(
      array, [first, scale, type = nb::object()](int64_t row) mutable -> PyObject* {
        if (!type.is_valid()) {
          type = ImportAttribute("decimal", "Decimal");
          if (!type.is_valid()) return nullptr;
        }
        const std::string digits = Value(first + row * kWidth).ToString(scale);
        nb::object text = nb::steal(PyUnicode_FromStringAndSize(
            digits.data(), static_cast<Py_ssize_t>(digits.size())));
        if (!text.is_valid()) return nullptr;
        return PyObject_CallOneArg(type.ptr(), text.ptr());
      });
}

ConverterPtr MakeUuid(const arrow::Array& storage) {
  constexpr int64_t kWidth = 16;
  const uint8_t* first = nullptr;
  if (storage.length() > 0) {
    const int64_t end = storage.offset() + storage.length();
    if (!CheckBuffer(storage, 1, end, kWidth * 8)) return nullptr;
    first = storage.data()->buffers[1]->data() + storage.offset() * kWidth;
  }
  return MakeLeaf(storage,
                  [first, type = nb::object(),
                   names = nb::object()](int64_t row) mutable -> PyObject* {
                    if (!type.is_valid()) {
                      names = nb::steal(Py_BuildValue("(s)", "bytes"));
                      if (!names.is_valid()) return nullptr;
                      type = ImportAttribute("uuid", "UUID");
                      if (!type.is_valid()) return nullptr;
                    }
                    nb::object bytes = nb::steal(PyBytes_FromStringAndSize(
                        reinterpret_cast<const char*>(first + row * kWidth), kWidth));
                    if (!bytes.is_valid()) return nullptr;
                    PyObject* arguments[] = {bytes.ptr()};
                    return PyObject_Vectorcall(type.ptr(), arguments, 0, names.ptr());
                  });
}

}  // namespace

ConverterPtr MakeScalarConverter(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::NA:
      return std::make_unique<NullConverter>();
    case arrow::Type::BOOL:
      return MakeBool(array);
    case arrow::Type::INT8:
      return MakeInt<int8_t>(array);
    case arrow::Type::INT16:
      return MakeInt<int16_t>(array);
    case arrow::Type::INT32:
      return MakeInt<int32_t>(array);
    case arrow::Type::INT64:
      return MakeInt<int64_t>(array);
    case arrow::Type::UINT8:
      return MakeInt<uint8_t>(array);
    case arrow::Type::UINT16:
      return MakeInt<uint16_t>(array);
    case arrow::Type::UINT32:
      return MakeInt<uint32_t>(array);
    case arrow::Type::UINT64:
      return MakeInt<uint64_t>(array);
    case arrow::Type::HALF_FLOAT:
      return MakeNumber<uint16_t>(array, [](uint16_t bits) {
        return PyFloat_FromDouble(arrow::util::Float16::FromBits(bits).ToDouble());
      });
    case arrow::Type::FLOAT:
      return MakeNumber<float>(array, [](float number) {
        return PyFloat_FromDouble(static_cast<double>(number));
      });
    case arrow::Type::DOUBLE:
      return MakeNumber<double>(array, PyFloat_FromDouble);
    case arrow::Type::DECIMAL32:
      return MakeDecimal<arrow::Decimal32>(array);
    case arrow::Type::DECIMAL64:
      return MakeDecimal<arrow::Decimal64>(array);
    case arrow::Type::DECIMAL128:
      return MakeDecimal<arrow::Decimal128>(array);
    case arrow::Type::DECIMAL256:
      return MakeDecimal<arrow::Decimal256>(array);
    default:
      return Fail("values of type " + array.type()->ToString() + " have no Python value" +
                  kUseSchema);
  }
}

ConverterPtr MakeExtensionConverter(const arrow::Array& array, int depth) {
  const auto& type = static_cast<const arrow::ExtensionType&>(*array.type());
  const arrow::Array& storage =
      *static_cast<const arrow::ExtensionArray&>(array).storage();
  const std::string name = type.extension_name();
  if (name == "arrow.uuid" && storage.type_id() == arrow::Type::FIXED_SIZE_BINARY &&
      static_cast<const arrow::FixedSizeBinaryType&>(*storage.type()).byte_width() ==
          16) {
    return MakeUuid(storage);
  }
  if (name == "arrow.bool8" && storage.type_id() == arrow::Type::INT8) {
    return MakeNumber<int8_t>(storage,
                              [](int8_t number) { return PyBool_FromLong(number != 0); });
  }
  return MakeConverter(storage, depth + 1);
}

}  // namespace fast_axolotl
