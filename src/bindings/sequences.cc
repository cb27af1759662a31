// SPDX-License-Identifier: Apache-2.0
#include "bindings/sequences.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <concepts>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/python_number.h"
#include "bindings/status.h"
#include "core/output/numbers.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

using Array = nb::ndarray<nb::ro>;

std::string At(const std::string& name, size_t index) {
  return name + "[" + std::to_string(index) + "]";
}

const char* TypeOf(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// Text is a sequence too, but never one of numbers.
bool IsText(nb::handle object) {
  return PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) ||
         PyByteArray_Check(object.ptr());
}

bool IsListOrTuple(nb::handle object) {
  return PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

// Whether the object is an array; sets `*array` to a view of it.
bool IsArray(nb::handle object, Array* array) {
  return !IsListOrTuple(object) && nb::try_cast<Array>(object, *array, false);
}

// A list or tuple of the items of any sequence but text, or null.
nb::object ItemsOf(nb::handle object) {
  if (IsListOrTuple(object)) return nb::borrow(object);
  if (IsText(object) || !PySequence_Check(object.ptr())) return {};
  nb::object items = nb::steal(PySequence_List(object.ptr()));
  if (!items.is_valid()) throw nb::python_error();
  return items;
}

// The type of an array's values, truth values being bytes; null for what is no number.
std::shared_ptr<arrow::DataType> TypeOf(const Array& array) {
  using Code = nb::dlpack::dtype_code;
  const auto [code, bits, lanes] = array.dtype();
  if (lanes != 1) return nullptr;
  const auto of = [bits = bits](auto&& i8, auto&& i16, auto&& i32, auto&& i64) {
    return bits == 8    ? i8
           : bits == 16 ? i16
           : bits == 32 ? i32
           : bits == 64 ? i64
                        : nullptr;
  };
  const std::shared_ptr<arrow::DataType> none;
  switch (static_cast<Code>(code)) {
    case Code::Bool:
      return of(arrow::uint8(), none, none, none);
    case Code::Int:
      return of(arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64());
    case Code::UInt:
      return of(arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::uint64());
    case Code::Float:
      return of(none, none, arrow::float32(), arrow::float64());
    default:
      return nullptr;
  }
}

// Puts the rows together.
class Reading {
 public:
  Reading(const std::string& name, Numbers numbers) : name_(name), numbers_(numbers) {}

  Sequences Run(nb::handle object) {
    if (Array array; IsArray(object, &array)) {
      AddMatrix(std::move(array));
      return std::move(result_);
    }
    const nb::object items = ItemsOf(object);
    if (!items.is_valid()) {
      Throw(Status::TypeError(name_, " must be a sequence of rows or a 2-D array, not ",
                              TypeOf(object)));
    }
    Sort(items);
    result_.type = TypeOfAll();
    result_.rows.resize(sources_.size());
    if (list_items_ > 0 && !FillLists<int64_t>()) {
      result_.type = arrow::float64();
      FillLists<double>();
    }
    FillArrays();
    return std::move(result_);
  }

 private:
  // Where a row comes from: the items of a list or tuple, or an array.
  struct Source {
    nb::object items;
    size_t array = 0;
  };

  struct Arrays {
    std::vector<Array> views;
    std::vector<std::shared_ptr<arrow::DataType>> types;
  };

  // Adds a view, or throws where it is not one of numbers with `dimensions`.
  void AddView(Array array, size_t dimensions, const std::string& place) {
    const auto type = TypeOf(array);
    if (array.device_type() != nb::device::cpu::value) {
      Throw(Status::TypeError(place, " is not in the memory of the CPU"));
    }
    if (array.ndim() != dimensions) {
      Throw(Status::TypeError(place, " must have ", dimensions, " dimension",
                              dimensions == 1 ? "" : "s", ", not ", array.ndim()));
    }
    if (!type) {
      Throw(Status::TypeError(place, " is an array of ",
                              "values that are neither integers nor float32 or float64"));
    }
    if (numbers_ == Numbers::kIntegers && arrow::is_floating(type->id())) {
      Throw(Status::TypeError(place, " is an array of ", type->ToString(),
                              ", not of integers"));
    }
    arrays_->views.push_back(std::move(array));
    arrays_->types.push_back(type);
  }

  void AddMatrix(Array array) {
    AddView(std::move(array), 2, name_);
    const Array& matrix = arrays_->views[0];
    result_.type = arrays_->types[0];
    const int64_t width = result_.type->byte_width();
    const auto* values = static_cast<const uint8_t*>(matrix.data());
    for (size_t row = 0; row < matrix.shape(0); ++row) {
      result_.rows.push_back(
          Row(values + static_cast<int64_t>(row) * matrix.stride(0) * width,
              static_cast<int64_t>(matrix.shape(1)), matrix.stride(1), width));
    }
    result_.owners.push_back(arrays_);
  }

  // Tells lists from arrays.
  void Sort(nb::handle rows) {
    sources_.reserve(static_cast<size_t>(PySequence_Fast_GET_SIZE(rows.ptr())));
    // Asking an object for its items may run code that shortens the list.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(rows.ptr()); ++i) {
      const nb::object row = nb::borrow(PySequence_Fast_GET_ITEM(rows.ptr(), i));
      const std::string place = At(name_, sources_.size());
      if (Array array; IsArray(row, &array)) {
        sources_.push_back({{}, arrays_->views.size()});
        AddView(std::move(array), 1, place);
        continue;
      }
      nb::object items = ItemsOf(row);
      if (!items.is_valid()) {
        Throw(Status::TypeError(place, " must be a sequence of numbers, not ",
                                TypeOf(row)));
      }
      list_items_ += PySequence_Fast_GET_SIZE(items.ptr());
      sources_.push_back({std::move(items)});
    }
  }

  // The type of all rows, unless items of lists turn out to be floats.
  std::shared_ptr<arrow::DataType> TypeOfAll() const {
    const auto& types = arrays_->types;
    if (list_items_ == 0 && !types.empty() &&
        std::all_of(types.begin(), types.end(),
                    [&](const auto& type) { return type->id() == types[0]->id(); })) {
      return types[0];
    }
    return std::any_of(types.begin(), types.end(),
                       [](const auto& type) { return arrow::is_floating(type->id()); })
               ? arrow::float64()
               : arrow::int64();
  }

  // Copies the items of all lists as numbers of T; false where T is integer and an item,
  // or another row, is not.
  template <typename T>
  bool FillLists() {
    if (std::integral<T> && result_.type->id() == arrow::Type::DOUBLE) return false;
    auto tensor = ValueOf(EmptyTensor(result_.type, {list_items_}));
    auto* out = reinterpret_cast<T*>(tensor->raw_mutable_data());
    for (size_t row = 0; row < sources_.size(); ++row) {
      if (!sources_[row].items.is_valid()) continue;
      PyObject* list = sources_[row].items.ptr();
      const Py_ssize_t length = PySequence_Fast_GET_SIZE(list);
      // Code that ran since the list was sized may have changed it.
      const auto* end = reinterpret_cast<const T*>(tensor->raw_data()) + tensor->size();
      if (length > end - out || !FillRow(list, length, row, out)) {
        if (length <= end - out) return false;
        Throw(Status::Invalid(At(name_, row), " changed while it was read"));
      }
      result_.rows[row] = {reinterpret_cast<const uint8_t*>(out), length};
      out += length;
    }
    result_.owners.push_back(std::move(tensor));
    return true;
  }

  template <typename T>
  bool FillRow(PyObject* list, Py_ssize_t length, size_t row, T* out) const {
    PyObject** items = PySequence_Fast_ITEMS(list);
    for (Py_ssize_t i = 0; i < length; ++i) {
      int64_t small = 0;
      if (PyLong_CheckExact(items[i]) && SmallInt(items[i], &small)) [[likely]] {
        out[i] = static_cast<T>(small);
        continue;
      }
      const nb::object item = nb::borrow(items[i]);
      const NumberKind kind = ReadNumber(item.ptr(), &out[i]);
      if (kind == NumberKind::kFloat && numbers_ == Numbers::kAny) return false;
      if (kind != NumberKind::kFits) Refuse(kind, item, At(At(name_, row), i));
      if (PySequence_Fast_GET_SIZE(list) < length) {
        Throw(Status::Invalid(At(name_, row), " changed while it was read"));
      }
      items = PySequence_Fast_ITEMS(list);
    }
    return true;
  }

  [[noreturn]] static void Refuse(NumberKind kind, nb::handle item,
                                  const std::string& place) {
    if (kind == NumberKind::kTooLarge) {
      Throw(Status::Invalid(place, ": ", nb::repr(item).c_str(),
                            " does not fit into 64 bits, or not into a double among "
                            "floats"));
    }
    Throw(Status::TypeError(place,
                            kind == NumberKind::kFloat ? " must be an integer, not "
                                                       : " must be a number, not ",
                            TypeOf(item)));
  }

  // A row of an array, copied where its values are not one behind the other.
  Sequences::Row Row(const uint8_t* values, int64_t length, int64_t stride,
                     int64_t width) {
    const bool aligned = reinterpret_cast<uintptr_t>(values) % width == 0;
    if (length == 0 || ((stride == 1 || length == 1) && aligned)) return {values, length};
    const auto copy = std::make_shared<std::vector<uint64_t>>((length * width + 7) / 8);
    auto* out = reinterpret_cast<uint8_t*>(copy->data());
    for (int64_t i = 0; i < length; ++i) {
      std::memcpy(out + i * width, values + i * stride * width, width);
    }
    result_.owners.push_back(copy);
    return {out, length};
  }

  void FillArrays() {
    for (size_t row = 0; row < sources_.size(); ++row) {
      if (sources_[row].items.is_valid()) continue;
      const Array& view = arrays_->views[sources_[row].array];
      const arrow::DataType& type = *arrays_->types[sources_[row].array];
      Sequences::Row& out = result_.rows[row];
      out = Row(static_cast<const uint8_t*>(view.data()),
                static_cast<int64_t>(view.shape(0)), view.stride(0), type.byte_width());
      if (type.id() == result_.type->id()) continue;
      auto tensor = ValueOf(EmptyTensor(result_.type, {out.length}));
      const auto copy = ValueOf(CopierOf(type, *result_.type));
      const int64_t failed = copy(out.values, out.length, tensor->raw_mutable_data());
      if (failed >= 0) {
        Throw(DoesNotFit(At(At(name_, row), failed), type,
                         out.values + failed * type.byte_width(), *result_.type));
      }
      out.values = tensor->raw_data();
      result_.owners.push_back(std::move(tensor));
    }
    if (!arrays_->views.empty()) result_.owners.push_back(arrays_);
  }

  const std::string& name_;
  const Numbers numbers_;
  std::vector<Source> sources_;
  std::shared_ptr<Arrays> arrays_ = std::make_shared<Arrays>();
  int64_t list_items_ = 0;
  Sequences result_;
};

}  // namespace

Sequences SequencesOf(nb::handle rows, const std::string& name, Numbers numbers) {
  return Reading(name, numbers).Run(rows);
}

}  // namespace fast_axolotl
