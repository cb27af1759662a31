// SPDX-License-Identifier: Apache-2.0
//
// Strings and binary values, in all their layouts.

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/binary_view_util.h>

#include <algorithm>
#include <string_view>

#include "bindings/converter.h"
#include "bindings/unicode.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

PyObject* FailUtf8(std::string_view text, const arrow::DataType& type) {
  if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return nullptr;
  PyErr_Clear();
  constexpr size_t kShown = 40;
  const auto shown = static_cast<Py_ssize_t>(std::min(text.size(), kShown));
  nb::object bytes = nb::steal(PyBytes_FromStringAndSize(text.data(), shown));
  if (!bytes.is_valid()) return nullptr;
  nb::object repr = nb::steal(PyObject_Repr(bytes.ptr()));
  const char* quoted = repr.is_valid() ? PyUnicode_AsUTF8(repr.ptr()) : nullptr;
  if (quoted == nullptr) return nullptr;
  return Fail("a value of type " + type.ToString() + " is not valid UTF-8: " + quoted +
              (text.size() > kShown ? "..." : "") + kUseSchema);
}

PyObject* NewString(std::string_view text, const arrow::DataType& type) {
  PyObject* string = NewUnicode(text);
  return string != nullptr ? string : FailUtf8(text, type);
}

PyObject* NewBytes(std::string_view bytes) {
  return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
}

// `get(row, &view)` is false where the row points outside the array's buffers.
template <typename Get>
ConverterPtr MakeBinary(const arrow::Array& array, bool text, Get get) {
  const arrow::DataType* type = array.type().get();
  if (text) {
    return MakeLeaf(array, [get, type](int64_t row) -> PyObject* {
      std::string_view view;
      return get(row, &view) ? NewString(view, *type) : FailBounds(*type);
    });
  }
  return MakeLeaf(array, [get, type](int64_t row) -> PyObject* {
    std::string_view view;
    return get(row, &view) ? NewBytes(view) : FailBounds(*type);
  });
}

template <typename Offset>
ConverterPtr MakeWithOffsets(const arrow::Array& array, bool text) {
  const Offset* offsets = nullptr;
  if (!GetValues(array, 1, &offsets, 1)) return nullptr;
  const auto& buffer = array.data()->buffers[2];
  // Not null even when empty: Python's decoder may be handed the pointer.
  const char* data = "";
  int64_t size = 0;
  if (buffer != nullptr && buffer->size() > 0) {
    data = reinterpret_cast<const char*>(buffer->data());
    size = buffer->size();
  }
  return MakeBinary(array, text, [=](int64_t row, std::string_view* view) {
    const int64_t begin = offsets[row];
    const int64_t end = offsets[row + 1];
    if (begin < 0 || begin > end || end > size) return false;
    *view = std::string_view(data + begin, static_cast<size_t>(end - begin));
    return true;
  });
}

ConverterPtr MakeView(const arrow::Array& array, bool text) {
  using View = arrow::BinaryViewType::c_type;
  const View* views = nullptr;
  if (!GetValues(array, 1, &views)) return nullptr;
  const auto& buffers = array.data()->buffers;
  return MakeBinary(array, text, [views, &buffers](int64_t row, std::string_view* view) {
    const View& entry = views[row];
    if (entry.size() < 0) return false;
    const auto size = static_cast<size_t>(entry.size());
    if (entry.is_inline()) {
      *view = std::string_view(reinterpret_cast<const char*>(entry.inline_data()), size);
      return true;
    }
    const auto index = static_cast<size_t>(entry.ref.buffer_index);
    if (entry.ref.buffer_index < 0 || index + 2 >= buffers.size()) return false;
    const auto& buffer = buffers[index + 2];
    const int64_t begin = entry.ref.offset;
    if (buffer == nullptr || begin < 0 || begin + entry.size() > buffer->size()) {
      return false;
    }
    *view = std::string_view(reinterpret_cast<const char*>(buffer->data()) + begin, size);
    return true;
  });
}

ConverterPtr MakeFixed(const arrow::Array& array) {
  const int64_t width =
      static_cast<const arrow::FixedSizeBinaryType&>(*array.type()).byte_width();
  const char* first = "";
  if (array.length() > 0 && width > 0) {
    const int64_t end = array.offset() + array.length();
    if (!CheckBuffer(array, 1, end, width * 8)) return nullptr;
    first = reinterpret_cast<const char*>(array.data()->buffers[1]->data()) +
            array.offset() * width;
  }
  return MakeLeaf(array, [first, width](int64_t row) {
    return PyBytes_FromStringAndSize(first + row * width, width);
  });
}

}  // namespace

ConverterPtr MakeTextConverter(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return MakeWithOffsets<int32_t>(array, true);
    case arrow::Type::LARGE_STRING:
      return MakeWithOffsets<int64_t>(array, true);
    case arrow::Type::STRING_VIEW:
      return MakeView(array, true);
    case arrow::Type::BINARY:
      return MakeWithOffsets<int32_t>(array, false);
    case arrow::Type::LARGE_BINARY:
      return MakeWithOffsets<int64_t>(array, false);
    case arrow::Type::BINARY_VIEW:
      return MakeView(array, false);
    default:
      return MakeFixed(array);
  }
}

}  // namespace fast_axolotl
