// SPDX-License-Identifier: Apache-2.0
//
// Arrays that refer to the values of others: dictionary, run-end encoded, unions.

#include <arrow/array.h>
#include <arrow/type.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "bindings/converter.h"

namespace fast_axolotl {

namespace {

// Writes the child's `row` to `count` slots: one object where it cannot be changed, equal
// objects where it can.
bool Repeat(Converter* child, int64_t row, int64_t count, Slots* slots) {
  while (count > 0) {
    PyObject** next = slots->next();
    if (child->Fill(row, 1, next) != kFilled) return false;
    slots->Extend(1);
    --count;
    if (!child->shareable) continue;
    for (; count > 0; --count) slots->Push(Py_NewRef(*next));
  }
  return true;
}

// The objects made of dictionary values, to be shared by the rows that have them. A large
// dictionary gets fewer places than it has values: a batch needs few of them, and setting
// up a place for each would cost more than making some objects twice.
class ValueCache {
 public:
  explicit ValueCache(int64_t values)
      : entries_(std::bit_ceil(
            static_cast<size_t>(std::clamp<int64_t>(values, 1, kMaxEntries)))) {}
  ValueCache(const ValueCache&) = delete;
  ValueCache& operator=(const ValueCache&) = delete;
  ~ValueCache() {
    for (const Entry& entry : entries_) Py_XDECREF(entry.value);
  }

  // A borrowed reference, or null with a Python exception set.
  PyObject* Get(int64_t index, Converter* converter) {
    Entry& entry = entries_[static_cast<size_t>(index) & (entries_.size() - 1)];
    if (entry.value == nullptr || entry.index != index) {
      PyObject* value = nullptr;
      if (converter->Fill(index, 1, &value) != kFilled) return nullptr;
      Py_XSETREF(entry.value, value);
      entry.index = index;
    }
    return entry.value;
  }

 private:
  struct Entry {
    PyObject* value = nullptr;
    int64_t index = 0;
  };
  static constexpr int64_t kMaxEntries = 1 << 14;
  std::vector<Entry> entries_;
};

template <typename Index>
class DictionaryConverter final : public Converter {
 public:
  DictionaryConverter(Validity validity, const Index* indices, ConverterPtr values,
                      const arrow::DataType* type)
      : validity_(validity),
        indices_(indices),
        values_(std::move(values)),
        type_(type),
        cache_(values_->shareable ? values_->length : 1) {
    shareable = values_->shareable;
  }

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    Slots slots(out);
    const auto size = static_cast<uint64_t>(values_->length);
    for (int64_t i = 0; i < count; ++i) {
      if (!validity_(begin + i)) {
        slots.PushNone();
        continue;
      }
      const auto index = static_cast<uint64_t>(indices_[begin + i]);
      if (index >= size) {
        FailBounds(*type_);
        return i;
      }
      const auto row = static_cast<int64_t>(index);
      if (shareable) {
        PyObject* value = cache_.Get(row, values_.get());
        if (value == nullptr) return i;
        slots.Push(Py_NewRef(value));
      } else {
        if (values_->Fill(row, 1, slots.next()) != kFilled) return i;
        slots.Extend(1);
      }
    }
    return slots.Keep();
  }

 private:
  Validity validity_;
  const Index* indices_;
  ConverterPtr values_;
  const arrow::DataType* type_;
  ValueCache cache_;
};

template <typename Index>
ConverterPtr MakeDictionary(const arrow::Array& array, ConverterPtr values) {
  Validity validity;
  const Index* indices = nullptr;
  if (!GetValidity(array, &validity) || !GetValues(array, 1, &indices)) return nullptr;
  return std::make_unique<DictionaryConverter<Index>>(
      validity, indices, std::move(values), array.type().get());
}

ConverterPtr MakeDictionary(const arrow::DictionaryArray& array, int depth) {
  ConverterPtr values = MakeConverter(*array.dictionary(), depth + 1);
  if (values == nullptr) return nullptr;
  switch (array.dict_type()->index_type()->id()) {
    case arrow::Type::INT8:
      return MakeDictionary<int8_t>(array, std::move(values));
    case arrow::Type::UINT8:
      return MakeDictionary<uint8_t>(array, std::move(values));
    case arrow::Type::INT16:
      return MakeDictionary<int16_t>(array, std::move(values));
    case arrow::Type::UINT16:
      return MakeDictionary<uint16_t>(array, std::move(values));
    case arrow::Type::INT32:
      return MakeDictionary<int32_t>(array, std::move(values));
    case arrow::Type::UINT32:
      return MakeDictionary<uint32_t>(array, std::move(values));
    case arrow::Type::INT64:
      return MakeDictionary<int64_t>(array, std::move(values));
    default:
      return MakeDictionary<uint64_t>(array, std::move(values));
  }
}

template <typename End>
class RunEndConverter final : public Converter {
 public:
  RunEndConverter(const End* ends, int64_t runs, int64_t offset, ConverterPtr values,
                  const arrow::DataType* type)
      : ends_(ends),
        runs_(runs),
        offset_(offset),
        values_(std::move(values)),
        type_(type) {
    shareable = values_->shareable;
  }

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    Slots slots(out);
    int64_t run = std::upper_bound(ends_, ends_ + runs_, offset_ + begin) - ends_;
    while (slots.size() < count) {
      const int64_t row = offset_ + begin + slots.size();
      if (run >= runs_ || run >= values_->length || ends_[run] <= row) {
        FailBounds(*type_);
        return slots.size();
      }
      const int64_t rows = std::min<int64_t>(ends_[run] - row, count - slots.size());
      if (!Repeat(values_.get(), run, rows, &slots)) return slots.size();
      ++run;
    }
    return slots.Keep();
  }

 private:
  const End* ends_;
  int64_t runs_;
  int64_t offset_;
  ConverterPtr values_;
  const arrow::DataType* type_;
};

template <typename End>
ConverterPtr MakeRunEnd(const arrow::RunEndEncodedArray& array, ConverterPtr values) {
  const arrow::Array& run_ends = *array.run_ends();
  const End* ends = nullptr;
  if (!GetValues(run_ends, 1, &ends)) return nullptr;
  return std::make_unique<RunEndConverter<End>>(ends, run_ends.length(), array.offset(),
                                                std::move(values), array.type().get());
}

ConverterPtr MakeRunEnd(const arrow::RunEndEncodedArray& array, int depth) {
  ConverterPtr values = MakeConverter(*array.values(), depth + 1);
  if (values == nullptr) return nullptr;
  switch (array.run_ends()->type_id()) {
    case arrow::Type::INT16:
      return MakeRunEnd<int16_t>(array, std::move(values));
    case arrow::Type::INT32:
      return MakeRunEnd<int32_t>(array, std::move(values));
    default:
      return MakeRunEnd<int64_t>(array, std::move(values));
  }
}

class UnionConverter final : public Converter {
 public:
  // `offsets` is null for a sparse union, whose children have a value for every row.
  UnionConverter(const int8_t* codes, const int32_t* offsets,
                 const arrow::UnionType* type, std::vector<ConverterPtr> children)
      : codes_(codes), offsets_(offsets), type_(type), children_(std::move(children)) {
    for (const ConverterPtr& child : children_) shareable &= child->shareable;
  }

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    Slots slots(out);
    while (slots.size() < count) {
      const int64_t row = begin + slots.size();
      const int8_t code = codes_[row];
      const int child = code < 0 ? -1 : type_->child_ids()[static_cast<size_t>(code)];
      const int64_t position = offsets_ == nullptr ? row : offsets_[row];
      // Neighbours of one kind are neighbours in the child too, as a rule.
      int64_t run = 1;
      while (run < count - slots.size() && codes_[row + run] == code &&
             (offsets_ == nullptr || offsets_[row + run] == position + run)) {
        ++run;
      }
      if (child < 0 || static_cast<size_t>(child) >= children_.size() || position < 0 ||
          run > children_[static_cast<size_t>(child)]->length - position) {
        FailBounds(*type_);
        return slots.size();
      }
      const int64_t failed =
          children_[static_cast<size_t>(child)]->Fill(position, run, slots.next());
      if (failed != kFilled) return slots.size() + failed;
      slots.Extend(run);
    }
    return slots.Keep();
  }

 private:
  const int8_t* codes_;
  const int32_t* offsets_;
  const arrow::UnionType* type_;
  std::vector<ConverterPtr> children_;
};

ConverterPtr MakeUnion(const arrow::UnionArray& array, int depth) {
  const int8_t* codes = nullptr;
  const int32_t* offsets = nullptr;
  if (!GetValues(array, 1, &codes)) return nullptr;
  if (array.mode() == arrow::UnionMode::DENSE && !GetValues(array, 2, &offsets)) {
    return nullptr;
  }
  std::vector<ConverterPtr> children;
  for (int i = 0; i < array.num_fields(); ++i) {
    children.push_back(MakeConverter(*array.field(i), depth + 1));
    if (children.back() == nullptr) return nullptr;
  }
  return std::make_unique<UnionConverter>(
      codes, offsets, static_cast<const arrow::UnionType*>(array.type().get()),
      std::move(children));
}

}  // namespace

ConverterPtr MakeEncodedConverter(const arrow::Array& array, int depth) {
  switch (array.type_id()) {
    case arrow::Type::DICTIONARY:
      return MakeDictionary(static_cast<const arrow::DictionaryArray&>(array), depth);
    case arrow::Type::RUN_END_ENCODED:
      return MakeRunEnd(static_cast<const arrow::RunEndEncodedArray&>(array), depth);
    default:
      return MakeUnion(static_cast<const arrow::UnionArray&>(array), depth);
  }
}

}  // namespace fast_axolotl
