// SPDX-License-Identifier: Apache-2.0
//
// A tree of converters, one per array of a nested column, made once and then asked for
// slices. The one virtual call is per slice; the loops over values know their type.

#pragma once

#include <Python.h>
#include <arrow/array.h>
#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace fast_axolotl {

constexpr int64_t kFilled = -1;

class Converter {
 public:
  virtual ~Converter() = default;

  // Writes new references for rows [begin, begin + count) and returns kFilled; or sets a
  // Python exception, leaves nothing in `out` and returns the row that failed, counted
  // from `begin`. The rows must lie within `length`.
  virtual int64_t Fill(int64_t begin, int64_t count, PyObject** out) = 0;

  int64_t length = 0;
  // The values are immutable, so that equal rows may share one object.
  bool shareable = true;
};

using ConverterPtr = std::unique_ptr<Converter>;

// Null with a Python exception set where the array cannot be converted. The array must
// outlive the converter.
ConverterPtr MakeConverter(const arrow::Array& array, int depth = 0);

ConverterPtr MakeScalarConverter(const arrow::Array& array);
ConverterPtr MakeTextConverter(const arrow::Array& array);
ConverterPtr MakeTemporalConverter(const arrow::Array& array);
ConverterPtr MakeIntervalConverter(const arrow::Array& array);
ConverterPtr MakeExtensionConverter(const arrow::Array& array, int depth);
ConverterPtr MakeListConverter(const arrow::Array& array, int depth);
ConverterPtr MakeStructConverter(const arrow::StructArray& array, int depth);
// The entries of a map: tuples of key and value.
ConverterPtr MakePairsConverter(const arrow::StructArray& array, int depth);
ConverterPtr MakeEncodedConverter(const arrow::Array& array, int depth);

// Sets an OSError. Returns null, so that a maker can `return Fail(...)`.
std::nullptr_t Fail(const std::string& message);

// For a value that refers to something beyond its array's buffers or children.
std::nullptr_t FailBounds(const arrow::DataType& type);

inline constexpr char kUseSchema[] =
    "; schema= can give the column a type that has a value for it, such as \"int64\" or "
    "\"binary\", and output=\"arrow\" gives it as it is";

// The attribute of a module imported now, or null with the exception set.
nanobind::object ImportAttribute(const char* module, const char* name);

// The output of one Fill: forgets nothing, even when an exception passes.
class Slots {
 public:
  explicit Slots(PyObject** out) : out_(out) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots() {
    while (size_ > 0) {
      --size_;
      Py_CLEAR(out_[size_]);
    }
  }

  void Push(PyObject* value) { out_[size_++] = value; }
  void PushNone() { Push(Py_NewRef(Py_None)); }
  // The next `count` entries were written by someone else.
  void Extend(int64_t count) { size_ += count; }
  PyObject** next() const { return out_ + size_; }
  int64_t size() const { return size_; }

  int64_t Keep() {
    size_ = 0;
    return kFilled;
  }

 private:
  PyObject** out_;
  int64_t size_ = 0;
};

struct Validity {
  bool all() const { return bits == nullptr; }
  bool operator()(int64_t row) const {
    const int64_t bit = row + offset;
    return bits == nullptr || ((bits[bit >> 3] >> (bit & 7)) & 1) != 0;
  }

  const uint8_t* bits = nullptr;
  int64_t offset = 0;
};

// False with an OSError set where the array's buffers are shorter than its length.
bool GetValidity(const arrow::Array& array, Validity* validity);

// Checks that buffer `index` holds `elements` items of `width` bits; an array without
// rows may lack it.
bool CheckBuffer(const arrow::Array& array, int index, int64_t elements, int64_t width);

// The array's values in buffer `index`, from its own offset on. `extra` is 1 for the
// offsets of lists and strings.
template <typename T>
bool GetValues(const arrow::Array& array, int index, const T** values, int extra = 0) {
  *values = nullptr;
  if (array.length() == 0) return true;
  const int64_t end = array.offset() + array.length() + extra;
  if (!CheckBuffer(array, index, end, static_cast<int64_t>(sizeof(T)) * 8)) return false;
  *values =
      reinterpret_cast<const T*>(array.data()->buffers[index]->data()) + array.offset();
  return true;
}

// Rows that are made one by one: make(row) returns a new reference, or null with a Python
// exception set, and is asked for valid rows only.
template <typename Make>
class LeafConverter final : public Converter {
 public:
  LeafConverter(Validity validity, Make make)
      : validity_(validity), make_(std::move(make)) {}

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    return validity_.all() ? FillRows<false>(begin, count, out)
                           : FillRows<true>(begin, count, out);
  }

 private:
  template <bool kNulls>
  int64_t FillRows(int64_t begin, int64_t count, PyObject** out) {
    Slots slots(out);
    for (int64_t i = 0; i < count; ++i) {
      if (kNulls && !validity_(begin + i)) {
        slots.PushNone();
        continue;
      }
      PyObject* value = make_(begin + i);
      if (value == nullptr) return i;
      slots.Push(value);
    }
    return slots.Keep();
  }

  Validity validity_;
  Make make_;
};

template <typename Make>
ConverterPtr MakeLeaf(const arrow::Array& array, Make make) {
  Validity validity;
  if (!GetValidity(array, &validity)) return nullptr;
  return std::make_unique<LeafConverter<Make>>(validity, std::move(make));
}

}  // namespace fast_axolotl
