// SPDX-License-Identifier: Apache-2.0
#include "core/output/list_column.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "core/common/memory.h"

namespace fast_axolotl {
namespace {

// The lists of one piece: where their items begin, and the items.
struct Lists {
  const arrow::Array* array = nullptr;
  std::shared_ptr<arrow::Array> items;
  const uint8_t* values = nullptr;
  int64_t first = 0;  // the item that `values` begins with
  int64_t width = 0;
  std::shared_ptr<const void> owner;

  int64_t begin(int64_t i) const {
    switch (array->type_id()) {
      case arrow::Type::LIST:
        return static_cast<const arrow::ListArray&>(*array).value_offset(i);
      case arrow::Type::LARGE_LIST:
        return static_cast<const arrow::LargeListArray&>(*array).value_offset(i);
      default:
        return static_cast<const arrow::FixedSizeListArray&>(*array).value_offset(i);
    }
  }
  int64_t length(int64_t i) const {
    if (array->IsNull(i)) return 0;
    return begin(i + 1) - begin(i);
  }
};

Result<Lists> Open(const std::shared_ptr<arrow::Array>& array) {
  Lists lists;
  lists.array = array.get();
  lists.owner = array;
  switch (array->type_id()) {
    case arrow::Type::LIST:
      lists.items = static_cast<const arrow::ListArray&>(*array).values();
      break;
    case arrow::Type::LARGE_LIST:
      lists.items = static_cast<const arrow::LargeListArray&>(*array).values();
      break;
    default:
      lists.items = static_cast<const arrow::FixedSizeListArray&>(*array).values();
  }
  return lists;
}

// Makes `[begin, end)` of the items readable as numbers in memory. A batch is a small
// part of a block, and what has to be copied is copied for that part only.
Status Prepare(int64_t begin, int64_t end, Lists* lists) {
  const arrow::ArrayData& data = *lists->items->data();
  const bool boolean = data.type->id() == arrow::Type::BOOL;
  lists->width = boolean ? 1 : data.type->byte_width();
  if (begin >= end) return Status::OK();
  const uint8_t* values =
      boolean ? nullptr : data.buffers[1]->data() + data.offset * lists->width;
  // Files may be written without alignment.
  if (!boolean && reinterpret_cast<uintptr_t>(values) % lists->width == 0) {
    lists->values = values;
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> copy,
      arrow::AllocateBuffer((end - begin) * lists->width, BufferPool()));
  uint8_t* out = copy->mutable_data();
  if (boolean) {
    const auto& bits = static_cast<const arrow::BooleanArray&>(*lists->items);
    for (int64_t i = begin; i < end; ++i) out[i - begin] = bits.Value(i);
  } else {
    std::memcpy(out, values + begin * lists->width, copy->size());
  }
  lists->values = out;
  lists->first = begin;
  lists->owner = std::move(copy);
  return Status::OK();
}

}  // namespace

bool IsListOfNumbers(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST: {
      const arrow::Type::type items = type.field(0)->type()->id();
      return items == arrow::Type::BOOL || arrow::is_integer(items) ||
             items == arrow::Type::FLOAT || items == arrow::Type::DOUBLE;
    }
    default:
      return false;
  }
}

Result<Sequences> ListColumn(const Batch& batch, const std::string& name, int64_t* row) {
  Sequences sequences;
  sequences.rows.resize(batch.rows);
  int64_t next = 0;
  for (const Piece& piece : batch.pieces) {
    const auto column = piece.rows->GetColumnByName(name);
    if (!column || !IsListOfNumbers(*column->type())) {
      return Status::TypeError("column '", name, "' holds no lists of numbers");
    }
    ARROW_ASSIGN_OR_RAISE(Lists lists, Open(column));
    sequences.type = lists.items->type();
    if (sequences.type->id() == arrow::Type::BOOL) sequences.type = arrow::uint8();
    int64_t first = std::numeric_limits<int64_t>::max();
    int64_t last = 0;
    for (int64_t i = 0; i < piece.num_rows(); ++i) {
      const int64_t source = piece.source(i);
      if (lists.length(source) == 0) continue;
      first = std::min(first, lists.begin(source));
      last = std::max(last, lists.begin(source) + lists.length(source));
    }
    ARROW_RETURN_NOT_OK(Prepare(first, last, &lists));
    sequences.owners.push_back(lists.owner);
    const bool nulls = lists.items->null_count() > 0;
    for (int64_t i = 0; i < piece.num_rows(); ++i) {
      const int64_t place = piece.gathered() ? piece.places[i] : next++;
      const int64_t source = piece.source(i);
      const int64_t begin = lists.begin(source);
      const int64_t length = lists.length(source);
      for (int64_t k = 0; nulls && k < length; ++k) {
        if (lists.items->IsValid(begin + k)) continue;
        *row = place;
        return Status::Invalid("a null among the numbers of a list");
      }
      if (length > 0) {
        sequences.rows[place] = {lists.values + (begin - lists.first) * lists.width,
                                 length};
      }
    }
  }
  return sequences;
}

}  // namespace fast_axolotl
