// SPDX-License-Identifier: Apache-2.0
//
// Structs as dicts, and the entries of maps as tuples.

#include <arrow/array.h>
#include <arrow/type.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bindings/converter.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

// How many rows of a struct are filled field by field before they are put together.
constexpr int64_t kRows = 64;

// The values of a few rows, all rows of the first field first.
class Cells {
 public:
  explicit Cells(size_t fields) : cells_(fields * kRows, nullptr) {}
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;
  ~Cells() { Clear(); }

  PyObject** field(size_t index) { return cells_.data() + index * kRows; }
  void Clear() {
    for (PyObject*& cell : cells_) Py_CLEAR(cell);
  }

 private:
  std::vector<PyObject*> cells_;
};

// Rows made of one value of each field. A Row has New(), which returns a new object, and
// Set(row, field, value), which takes over `value`; both report failure as Python does.
template <typename Row>
class RowConverter final : public Converter {
 public:
  RowConverter(Validity validity, std::vector<ConverterPtr> fields, Row row,
               std::string problem)
      : validity_(validity),
        fields_(std::move(fields)),
        row_(std::move(row)),
        problem_(std::move(problem)),
        cells_(fields_.size()) {
    shareable = false;
  }

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    Slots slots(out);
    int64_t at_once = kRows;
    while (slots.size() < count) {
      const int64_t row = begin + slots.size();
      if (!validity_(row)) {
        slots.PushNone();
        continue;
      }
      if (!problem_.empty()) {
        Fail(problem_);
        return slots.size();
      }
      // What stands under a null row need not be a value: only runs of valid rows.
      const int64_t most = std::min(at_once, count - slots.size());
      int64_t run = 1;
      while (run < most && validity_(row + run)) ++run;
      if (FillRun(row, run, slots.next())) {
        slots.Extend(run);
        continue;
      }
      if (run == 1) return slots.size();
      // Some field failed at some row: one by one finds the first such row.
      PyErr_Clear();
      at_once = 1;
    }
    return slots.Keep();
  }

 private:
  bool FillRun(int64_t begin, int64_t count, PyObject** out) {
    for (size_t f = 0; f < fields_.size(); ++f) {
      if (fields_[f]->Fill(begin, count, cells_.field(f)) != kFilled) {
        cells_.Clear();
        return false;
      }
    }
    Slots rows(out);
    for (int64_t i = 0; i < count; ++i) {
      nb::object row = nb::steal(row_.New());
      bool made = row.is_valid();
      for (size_t f = 0; made && f < fields_.size(); ++f) {
        made = row_.Set(row.ptr(), f, std::exchange(cells_.field(f)[i], nullptr));
      }
      if (!made) {
        cells_.Clear();
        return false;
      }
      rows.Push(row.release().ptr());
    }
    rows.Keep();
    return true;
  }

  Validity validity_;
  std::vector<ConverterPtr> fields_;
  Row row_;
  std::string problem_;
  Cells cells_;
};

class DictRow {
 public:
  bool AddKey(const std::string& name) {
    PyObject* key =
        PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
    if (key == nullptr) return false;
    PyUnicode_InternInPlace(&key);
    keys_.push_back(nb::steal(key));
    if (!model_.is_valid()) model_ = nb::steal(PyDict_New());
    return model_.is_valid() && PyDict_SetItem(model_.ptr(), key, Py_None) == 0;
  }

  // A copy has room for all keys at once, which the public API offers no other way. A new
  // dict has room for five.
  PyObject* New() { return keys_.size() > 4 ? PyDict_Copy(model_.ptr()) : PyDict_New(); }

  bool Set(PyObject* row, size_t field, PyObject* value) {
    const int failed = PyDict_SetItem(row, keys_[field].ptr(), value);
    Py_DECREF(value);
    return failed == 0;
  }

 private:
  std::vector<nb::object> keys_;
  nb::object model_;
};

struct PairRow {
  PyObject* New() { return PyTuple_New(2); }
  bool Set(PyObject* row, size_t field, PyObject* value) {
    PyTuple_SET_ITEM(row, static_cast<Py_ssize_t>(field), value);
    return true;
  }
};

bool AddField(const arrow::StructArray& array, int index, int depth,
              std::vector<ConverterPtr>* fields) {
  const auto field = array.field(index);
  fields->push_back(MakeConverter(*field, depth + 1));
  if (fields->back() == nullptr) return false;
  if (field->length() >= array.length()) return true;
  Fail("a field of type " + field->type()->ToString() + " is shorter than its struct");
  return false;
}

}  // namespace

ConverterPtr MakeStructConverter(const arrow::StructArray& array, int depth) {
  Validity validity;
  if (!GetValidity(array, &validity)) return nullptr;
  DictRow row;
  std::string problem;
  std::set<std::string> names;
  std::vector<ConverterPtr> fields;
  for (int i = 0; i < array.num_fields(); ++i) {
    const std::string& name = array.type()->field(i)->name();
    if (!names.insert(name).second && problem.empty()) {
      problem = "a value of type " + array.type()->ToString() +
                " has two fields with the name \"" + name + "\" and makes no dict" +
                kUseSchema;
    } else if (!row.AddKey(name)) {
      if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return nullptr;
      return Fail("a field name in the type " + array.type()->ToString() +
                  " is not valid UTF-8" + kUseSchema);
    }
    if (!AddField(array, i, depth, &fields)) return nullptr;
  }
  return std::make_unique<RowConverter<DictRow>>(validity, std::move(fields),
                                                 std::move(row), std::move(problem));
}

ConverterPtr MakePairsConverter(const arrow::StructArray& array, int depth) {
  // The entries of a map are never null, whatever their bitmap says.
  std::vector<ConverterPtr> fields;
  for (int i = 0; i < 2; ++i) {
    if (!AddField(array, i, depth, &fields)) return nullptr;
  }
  auto pairs = std::make_unique<RowConverter<PairRow>>(Validity(), std::move(fields),
                                                       PairRow(), std::string());
  pairs->length = array.length();
  return pairs;
}

}  // namespace fast_axolotl
