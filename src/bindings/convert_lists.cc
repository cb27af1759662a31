// SPDX-License-Identifier: Apache-2.0
//
// Lists of all layouts, and maps, which are lists of (key, value).

#include <arrow/array.h>
#include <arrow/type.h>

#include <utility>

#include "bindings/converter.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

struct Range {
  int64_t begin;
  int64_t size;
};

// `range_of(row)` are the row's values in the child.
template <typename RangeOf>
class ListConverter final : public Converter {
 public:
  ListConverter(Validity validity, ConverterPtr child, RangeOf range_of,
                const arrow::DataType* type)
      : validity_(validity), child_(std::move(child)), range_of_(range_of), type_(type) {
    shareable = false;
  }

  int64_t Fill(int64_t begin, int64_t count, PyObject** out) override {
    Slots slots(out);
    for (int64_t i = 0; i < count; ++i) {
      if (!validity_(begin + i)) {
        slots.PushNone();
        continue;
      }
      const Range range = range_of_(begin + i);
      if (range.begin < 0 || range.size < 0 ||
          range.size > child_->length - range.begin) {
        FailBounds(*type_);
        return i;
      }
      nb::object list = nb::steal(PyList_New(range.size));
      if (!list.is_valid()) return i;
      // Straight into the new list, whose items are null until then.
      PyObject** items = PySequence_Fast_ITEMS(list.ptr());
      if (child_->Fill(range.begin, range.size, items) != kFilled) return i;
      slots.Push(list.release().ptr());
    }
    return slots.Keep();
  }

 private:
  Validity validity_;
  ConverterPtr child_;
  RangeOf range_of_;
  const arrow::DataType* type_;
};

template <typename RangeOf>
ConverterPtr MakeList(const arrow::Array& array, ConverterPtr child, RangeOf range_of) {
  Validity validity;
  if (child == nullptr || !GetValidity(array, &validity)) return nullptr;
  return std::make_unique<ListConverter<RangeOf>>(validity, std::move(child), range_of,
                                                  array.type().get());
}

template <typename Offset>
ConverterPtr MakeWithOffsets(const arrow::Array& array, ConverterPtr child) {
  const Offset* offsets = nullptr;
  if (!GetValues(array, 1, &offsets, 1)) return nullptr;
  return MakeList(array, std::move(child), [offsets](int64_t row) {
    const int64_t begin = offsets[row];
    return Range{begin, static_cast<int64_t>(offsets[row + 1]) - begin};
  });
}

template <typename Offset>
ConverterPtr MakeListView(const arrow::Array& array, ConverterPtr child) {
  const Offset* offsets = nullptr;
  const Offset* sizes = nullptr;
  if (!GetValues(array, 1, &offsets) || !GetValues(array, 2, &sizes)) return nullptr;
  return MakeList(array, std::move(child), [offsets, sizes](int64_t row) {
    return Range{offsets[row], sizes[row]};
  });
}

ConverterPtr MakeFixedList(const arrow::Array& array, ConverterPtr child) {
  const int64_t size =
      static_cast<const arrow::FixedSizeListType&>(*array.type()).list_size();
  return MakeList(array, std::move(child), [size, offset = array.offset()](int64_t row) {
    return Range{(offset + row) * size, size};
  });
}

}  // namespace

ConverterPtr MakeListConverter(const arrow::Array& array, int depth) {
  switch (array.type_id()) {
    case arrow::Type::LIST:
      return MakeWithOffsets<int32_t>(
          array, MakeConverter(*static_cast<const arrow::ListArray&>(array).values(),
                               depth + 1));
    case arrow::Type::LARGE_LIST:
      return MakeWithOffsets<int64_t>(
          array, MakeConverter(*static_cast<const arrow::LargeListArray&>(array).values(),
                               depth + 1));
    case arrow::Type::FIXED_SIZE_LIST:
      return MakeFixedList(
          array,
          MakeConverter(*static_cast<const arrow::FixedSizeListArray&>(array).values(),
                        depth + 1));
    case arrow::Type::LIST_VIEW:
      return MakeListView<int32_t>(
          array, MakeConverter(*static_cast<const arrow::ListViewArray&>(array).values(),
                               depth + 1));
    case arrow::Type::LARGE_LIST_VIEW:
      return MakeListView<int64_t>(
          array,
          MakeConverter(*static_cast<const arrow::LargeListViewArray&>(array).values(),
                        depth + 1));
    default:
      return MakeWithOffsets<int32_t>(
          array,
          MakePairsConverter(static_cast<const arrow::StructArray&>(
                                 *static_cast<const arrow::MapArray&>(array).values()),
                             depth));
  }
}

}  // namespace fast_axolotl
