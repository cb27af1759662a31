// SPDX-License-Identifier: Apache-2.0

#include "bindings/arrow_to_python.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <exception>
#include <new>
#include <string>

#include "bindings/converter.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

// Deeper than any real schema, and far from the end of the C stack.
constexpr int kMaxDepth = 256;

ConverterPtr MakeForType(const arrow::Array& array, int depth) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY:
      return MakeTextConverter(array);
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      return MakeTemporalConverter(array);
    case arrow::Type::INTERVAL_MONTHS:
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return MakeIntervalConverter(array);
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
    case arrow::Type::MAP:
      return MakeListConverter(array, depth);
    case arrow::Type::STRUCT:
      return MakeStructConverter(static_cast<const arrow::StructArray&>(array), depth);
    case arrow::Type::DICTIONARY:
    case arrow::Type::RUN_END_ENCODED:
    case arrow::Type::SPARSE_UNION:
    case arrow::Type::DENSE_UNION:
      return MakeEncodedConverter(array, depth);
    case arrow::Type::EXTENSION:
      return MakeExtensionConverter(array, depth);
    default:
      return MakeScalarConverter(array);
  }
}

}  // namespace

ConverterPtr MakeConverter(const arrow::Array& array, int depth) {
  if (depth > kMaxDepth) {
    return Fail("a type nested more than " + std::to_string(kMaxDepth) + " deep");
  }
  ConverterPtr converter = MakeForType(array, depth);
  if (converter != nullptr) converter->length = array.length();
  return converter;
}

std::nullptr_t Fail(const std::string& message) {
  // A type's text holds field names, which a damaged file may fill with any bytes.
  nb::object text = nb::steal(PyUnicode_DecodeUTF8(
      message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
  if (text.is_valid()) PyErr_SetObject(PyExc_OSError, text.ptr());
  return nullptr;
}

std::nullptr_t FailBounds(const arrow::DataType& type) {
  return Fail("a value of type " + type.ToString() + " lies outside its column's data");
}

nb::object ImportAttribute(const char* module, const char* name) {
  nb::object imported = nb::steal(PyImport_ImportModule(module));
  if (!imported.is_valid()) return nb::object();
  return nb::steal(PyObject_GetAttrString(imported.ptr(), name));
}

bool CheckBuffer(const arrow::Array& array, int index, int64_t elements, int64_t width) {
  const auto& buffer = array.data()->buffers[index];
  // Divided, not multiplied: the product of two numbers from a file may overflow.
  if (buffer != nullptr && (width == 0 || elements <= buffer->size() * 8 / width)) {
    return true;
  }
  Fail("a column of type " + array.type()->ToString() + " is shorter than its " +
       std::to_string(array.length()) + " rows");
  return false;
}

bool GetValidity(const arrow::Array& array, Validity* validity) {
  *validity = Validity();
  const auto& buffers = array.data()->buffers;
  if (array.length() == 0 || buffers.empty() || buffers[0] == nullptr) return true;
  if (!CheckBuffer(array, 0, array.offset() + array.length(), 1)) return false;
  if (array.null_count() == 0) return true;
  *validity = {buffers[0]->data(), array.offset()};
  return true;
}

bool FillPythonValues(const arrow::Array& array, int64_t offset, int64_t length,
                      PyObject** out, int64_t* failed_row) {
  *failed_row = 0;
  try {
    if (offset < 0 || length < 0 || length > array.length() - offset) {
      PyErr_Format(PyExc_IndexError, "rows [%lld, %lld) of an array of %lld",
                   static_cast<long long>(offset),
                   static_cast<long long>(offset + length),
                   static_cast<long long>(array.length()));
    } else if (ConverterPtr converter = MakeConverter(array)) {
      const int64_t failed = converter->Fill(offset, length, out);
      if (failed == kFilled) return true;
      *failed_row = failed;
    }
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  for (int64_t i = 0; i < length; ++i) out[i] = nullptr;
  return false;
}

}  // namespace fast_axolotl
