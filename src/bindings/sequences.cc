// SPDX-License-Identifier: Apache-2.0
#include "bindings/sequences.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/array_view.h"
#include "bindings/python_number.h"
#include "bindings/status.h"
#include "core/output/numbers.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Signals are looked at after so many rows.
constexpr size_t kGlance = 1024;

std::string At(const std::string& name, int64_t index) {
  return name + "[" + std::to_string(index) + "]";
}

const char* TypeName(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

bool IsListOrTuple(nb::handle object) {
  return PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

// Text is a sequence too, but never one of numbers.
bool IsText(nb::handle object) {
  return PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) ||
         PyByteArray_Check(object.ptr());
}

// A list or tuple of the items of any sequence but text, or null.
nb::object ItemsOf(nb::handle object) {
  if (IsListOrTuple(object)) return nb::borrow(object);
  if (IsText(object) || !PySequence_Check(object.ptr())) return {};
  nb::object items = nb::steal(PySequence_List(object.ptr()));
  if (!items.is_valid()) throw nb::python_error();
  return items;
}

// Reads one object. Other code runs meanwhile: methods of the items, and threads while
// they run; so lists are sized anew after each such call, and items held during it.
class Reading {
 public:
  Reading(const std::string& name, Numbers numbers) : name_(name), numbers_(numbers) {}

  Sequences Run(nb::handle object) {
    if (ArrayView matrix; !IsListOrTuple(object) && ViewArray(object, &matrix)) {
      AddRows(std::move(matrix));
      return std::move(result_);
    }
    const nb::object rows = ItemsOf(object);
    if (!rows.is_valid()) {
      Throw(Status::TypeError(name_, " must be a sequence of rows or a 2-D array, not ",
                              TypeName(object)));
    }
    Collect(rows);
    result_.type = CommonType();
    result_.rows.resize(sources_.size());
    const bool floats = arrow::is_floating(result_.type->id());
    if (list_items_ > 0 && (floats || !FillLists<int64_t>())) {
      result_.type = arrow::float64();
      FillLists<double>();
    }
    FillArrays();
    return std::move(result_);
  }

 private:
  // A row: the list or tuple of its items, or else an array.
  struct Source {
    nb::object items;
    size_t array = 0;
  };

  void AddRows(ArrayView matrix) {
    CheckView(matrix, 2, numbers_, name_);
    arrays_->push_back(std::move(matrix));
    const ArrayView& view = arrays_->front();
    result_.type = CommonType();
    result_.rows.reserve(view.array.shape(0));
    for (size_t row = 0; row < view.array.shape(0); ++row) {
      result_.rows.push_back(ReadArray(view, row, row));
    }
    result_.owners.push_back(arrays_);
  }

  void Collect(nb::handle rows) {
    sources_.reserve(static_cast<size_t>(PySequence_Fast_GET_SIZE(rows.ptr())));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(rows.ptr()); ++i) {
      const nb::object row = nb::borrow(PySequence_Fast_GET_ITEM(rows.ptr(), i));
      Source source;
      if (ArrayView array;
          !IsListOrTuple(row) && !IsText(row) && ViewArray(row, &array)) {
        CheckView(array, 1, numbers_, At(name_, i));
        source.array = arrays_->size();
        arrays_->push_back(std::move(array));
      } else {
        source.items = ItemsOf(row);
        if (!source.items.is_valid()) {
          Throw(Status::TypeError(At(name_, i), " must be a sequence of numbers, not ",
                                  TypeName(row)));
        }
        list_items_ += PySequence_Fast_GET_SIZE(source.items.ptr());
      }
      sources_.push_back(std::move(source));
    }
  }

  // The type of all rows, unless items of lists turn out to be floats.
  std::shared_ptr<arrow::DataType> CommonType() const {
    const auto same = [&](const ArrayView& view) {
      return view.type->id() == arrays_->front().type->id();
    };
    const auto floating = [](const ArrayView& view) {
      return arrow::is_floating(view.type->id());
    };
    const bool all_same = std::all_of(arrays_->begin(), arrays_->end(), same);
    if (list_items_ == 0 && !arrays_->empty() && all_same) {
      const auto& type = arrays_->front().type;
      const bool too_wide =
          numbers_ == Numbers::kIntegers && type->id() == arrow::Type::UINT64;
      return too_wide ? arrow::int64() : type;
    }
    const bool floats = std::any_of(arrays_->begin(), arrays_->end(), floating);
    return floats ? arrow::float64() : arrow::int64();
  }

  // Copies the items of all lists; false where T is an integer and an item a float.
  template <typename T>
  bool FillLists() {
    const auto tensor = ValueOf(EmptyTensor(result_.type, {list_items_}));
    auto* out = reinterpret_cast<T*>(tensor->raw_mutable_data());
    int64_t room = list_items_;
    for (size_t row = 0; row < sources_.size(); ++row) {
      if (row % kGlance == 0 && PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!sources_[row].items.is_valid()) continue;
      const Py_ssize_t length = PySequence_Fast_GET_SIZE(sources_[row].items.ptr());
      if (length > room) ThrowChanged(row);
      if (!FillRow(row, length, out)) return false;
      result_.rows[row] = {reinterpret_cast<const uint8_t*>(out), length};
      out += length;
      room -= length;
    }
    result_.owners.push_back(tensor);
    return true;
  }

  template <typename T>
  bool FillRow(size_t row, Py_ssize_t length, T* out) const {
    PyObject* list = sources_[row].items.ptr();
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
      if (kind != NumberKind::kFits) {
        Refuse(kind, std::floating_point<T>, item, At(At(name_, row), i));
      }
      if (PySequence_Fast_GET_SIZE(list) != length) ThrowChanged(row);
      items = PySequence_Fast_ITEMS(list);
    }
    return true;
  }

  [[noreturn]] void ThrowChanged(size_t row) const {
    Throw(Status::Invalid(At(name_, row), " changed while it was read"));
  }

  [[noreturn]] void Refuse(NumberKind kind, bool among_floats, nb::handle item,
                           const std::string& place) const {
    if (kind == NumberKind::kTooLarge) {
      Throw(Status::Invalid(place, among_floats
                                       ? " is an integer that a double cannot hold"
                                       : " is an integer beyond 64 bits"));
    }
    const char* wanted = numbers_ == Numbers::kAny ? " must be a number, not "
                                                   : " must be an integer, not ";
    Throw(Status::TypeError(place, wanted, TypeName(item)));
  }

  void FillArrays() {
    for (size_t row = 0; row < sources_.size(); ++row) {
      if (sources_[row].items.is_valid()) continue;
      const ArrayView& view = (*arrays_)[sources_[row].array];
      result_.rows[row] = ReadArray(view, 0, row);
    }
    if (!arrays_->empty()) result_.owners.push_back(arrays_);
  }

  // Row `number` of all, which is row `part` of an array, in the type of all.
  Sequences::Row ReadArray(const ArrayView& view, size_t part, size_t number) {
    const Sequences::Row values = RowOf(view, part, &result_.owners);
    if (view.type->id() == result_.type->id()) return values;
    const auto copy = ValueOf(CopierOf(*view.type, *result_.type));
    const auto tensor = ValueOf(EmptyTensor(result_.type, {values.length}));
    const int64_t failed = copy(values.values, values.length, tensor->raw_mutable_data());
    if (failed >= 0) {
      Check(DoesNotFit(At(At(name_, number), failed), *view.type,
                       values.values + failed * view.type->byte_width(), *result_.type));
    }
    result_.owners.push_back(tensor);
    return {tensor->raw_data(), values.length};
  }

  const std::string& name_;
  const Numbers numbers_;
  std::vector<Source> sources_;
  std::shared_ptr<std::vector<ArrayView>> arrays_ =
      std::make_shared<std::vector<ArrayView>>();
  int64_t list_items_ = 0;
  Sequences result_;
};

}  // namespace

Sequences SequencesOf(nb::handle rows, const std::string& name, Numbers numbers) {
  return Reading(name, numbers).Run(rows);
}

}  // namespace fast_axolotl
