// SPDX-License-Identifier: Apache-2.0

// Lists from repetition and definition levels, as the Parquet format describes them
// ("Nested Encoding"; Melnik et al., Dremel, 2010): a repetition level of 0 begins a row,
// and the definition level says whether there is a list, an element in it, and a value.

#include "core/format/columnar/list_reader.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer_builder.h"
#include "arrow/type.h"
#include "core/format/columnar/columnar.h"
#include "parquet/arrow/schema.h"
#include "parquet/column_reader.h"
#include "parquet/file_reader.h"
#include "parquet/types.h"

namespace fast_axolotl {
namespace {

using parquet::arrow::SchemaField;

// Levels read at a time; with their values they stay in the cache.
constexpr int64_t kChunk = int64_t{1} << 14;

// Where the next row begins, from `from` on, or `end`.
int64_t NextRow(const int16_t* repetition, int64_t from, int64_t end) {
  constexpr int64_t kStep = 32;
  while (from + kStep <= end) {
    int16_t begins = 0;
    for (int64_t i = 0; i < kStep; ++i) begins |= repetition[from + i] == 0;
    if (begins) break;
    from += kStep;
  }
  return std::find(repetition + from, repetition + end, 0) - repetition;
}

// A bitmap that is made only if a bit of it is 0.
class Validity {
 public:
  Status Append(bool valid, int64_t before) {
    if (valid && builder_.length() == 0) return Status::OK();
    if (builder_.length() == 0) ARROW_RETURN_NOT_OK(builder_.Append(before, true));
    return builder_.Append(valid);
  }
  Status AppendValid(int64_t count) {
    return builder_.length() == 0 ? Status::OK() : builder_.Append(count, true);
  }
  int64_t nulls() const { return builder_.false_count(); }
  Result<std::shared_ptr<arrow::Buffer>> Finish() {
    if (builder_.length() == 0) return nullptr;
    return builder_.Finish();
  }

 private:
  arrow::TypedBufferBuilder<bool> builder_{DecodePool()};
};

// Reads values of the physical type `Stored` as numbers of type `Number`.
template <typename Stored, typename Number>
class ListReader : public arrow::RecordBatchReader {
 public:
  ListReader(std::shared_ptr<parquet::ColumnReader> column, const SchemaField& field,
             int64_t batch_rows)
      : column_(std::move(column)),
        schema_(arrow::schema({field.field})),
        list_level_(field.level_info.def_level),
        value_level_(field.children[0].level_info.def_level),
        batch_rows_(batch_rows),
        definition_(kChunk),
        repetition_(kChunk),
        values_(kChunk) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    Lists lists;
    for (;;) {
      if (next_ == levels_ && !Fill()) break;
      if (repetition_[next_] == 0 && lists.rows == batch_rows_) break;
      ARROW_RETURN_NOT_OK(TakeList(&lists));
    }
    *batch = nullptr;
    if (lists.rows == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(auto array, Finish(&lists));
    *batch = arrow::RecordBatch::Make(schema_, lists.rows, {std::move(array)});
    return Status::OK();
  }

 private:
  // The rows of a batch so far.
  struct Lists {
    int64_t rows = 0;
    int64_t elements = 0;
    arrow::TypedBufferBuilder<int32_t> offsets{DecodePool()};
    arrow::TypedBufferBuilder<Number> values{DecodePool()};
    Validity lists;
    Validity elements_valid;
  };

  // Reads more levels and values; false at the end. Throws as Parquet's readers do.
  bool Fill() {
    auto& reader = static_cast<parquet::TypedColumnReader<Stored>&>(*column_);
    next_ = levels_ = next_value_ = 0;
    int64_t values = 0;
    while (levels_ == 0 && reader.HasNext()) {
      levels_ = reader.ReadBatch(kChunk, definition_.data(), repetition_.data(),
                                 values_.data(), &values);
    }
    only_values_ = values == levels_;
    return levels_ > 0;
  }

  // Takes the levels of one row, as far as they have been read.
  Status TakeList(Lists* lists) {
    if (repetition_[next_] == 0) {
      ARROW_RETURN_NOT_OK(lists->offsets.Append(static_cast<int32_t>(lists->elements)));
      const int16_t level = definition_[next_];
      ARROW_RETURN_NOT_OK(lists->lists.Append(level >= list_level_ - 1, lists->rows));
      ++lists->rows;
      if (level < list_level_) {
        ++next_;
        return Status::OK();
      }
    } else if (lists->rows == 0) {
      return Status::IOError("the first value of a row is missing");
    }
    const int64_t end = NextRow(repetition_.data(), next_ + 1, levels_);
    const int64_t count = end - next_;
    if (lists->elements + count > std::numeric_limits<int32_t>::max()) {
      return Status::CapacityError("there are more than 2^31 elements in ", lists->rows,
                                   " rows");
    }
    if (only_values_) {
      ARROW_RETURN_NOT_OK(TakeValues(count, lists));
      ARROW_RETURN_NOT_OK(lists->elements_valid.AppendValid(count));
      next_ = end;
    } else {
      for (; next_ < end; ++next_) ARROW_RETURN_NOT_OK(TakeElement(lists));
    }
    lists->elements += count;
    return Status::OK();
  }

  Status TakeElement(Lists* lists) {
    const int16_t level = definition_[next_];
    if (level < list_level_) return Status::IOError("an element of a list is missing");
    const bool valid = level == value_level_;
    ARROW_RETURN_NOT_OK(lists->elements_valid.Append(valid, lists->values.length()));
    return valid ? TakeValues(1, lists) : lists->values.Append(Number{});
  }

  Status TakeValues(int64_t count, Lists* lists) {
    ARROW_RETURN_NOT_OK(lists->values.Reserve(count));
    const auto* from = values_.data() + next_value_;
    auto* to = lists->values.mutable_data() + lists->values.length();
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Number>(from[i]);
    lists->values.UnsafeAdvance(count);
    next_value_ += count;
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::Array>> Finish(Lists* lists) {
    ARROW_RETURN_NOT_OK(lists->offsets.Append(static_cast<int32_t>(lists->elements)));
    const auto& type = schema_->field(0)->type();
    const int64_t null_elements = lists->elements_valid.nulls();
    const int64_t null_lists = lists->lists.nulls();
    ARROW_ASSIGN_OR_RAISE(auto offsets, lists->offsets.Finish());
    ARROW_ASSIGN_OR_RAISE(auto values, lists->values.Finish());
    ARROW_ASSIGN_OR_RAISE(auto values_valid, lists->elements_valid.Finish());
    ARROW_ASSIGN_OR_RAISE(auto lists_valid, lists->lists.Finish());
    auto elements = arrow::ArrayData::Make(type->field(0)->type(), lists->elements,
                                           {std::move(values_valid), std::move(values)},
                                           null_elements);
    return arrow::MakeArray(arrow::ArrayData::Make(
        type, lists->rows, {std::move(lists_valid), std::move(offsets)},
        {std::move(elements)}, null_lists));
  }

  const std::shared_ptr<parquet::ColumnReader> column_;
  const std::shared_ptr<arrow::Schema> schema_;
  const int16_t list_level_;   // from which on there is an element
  const int16_t value_level_;  // at which it has a value
  const int64_t batch_rows_;

  // What was read and not taken.
  std::vector<int16_t> definition_;
  std::vector<int16_t> repetition_;
  std::vector<typename Stored::c_type> values_;
  int64_t levels_ = 0;
  int64_t next_ = 0;  // of the levels
  int64_t next_value_ = 0;
  bool only_values_ = false;  // each level has a value
};

// Calls `make` with a value of the type that the numbers are of, and one of the Parquet
// type they are stored as, if that is the one Arrow would take for them.
template <typename Make>
bool WithTypes(arrow::Type::type number, parquet::Type::type stored, Make&& make) {
  using parquet::Type;
  switch (number) {
    case arrow::Type::INT8:
      return stored == Type::INT32 && make(int8_t{}, parquet::Int32Type{});
    case arrow::Type::INT16:
      return stored == Type::INT32 && make(int16_t{}, parquet::Int32Type{});
    case arrow::Type::INT32:
      return stored == Type::INT32 && make(int32_t{}, parquet::Int32Type{});
    case arrow::Type::UINT8:
      return stored == Type::INT32 && make(uint8_t{}, parquet::Int32Type{});
    case arrow::Type::UINT16:
      return stored == Type::INT32 && make(uint16_t{}, parquet::Int32Type{});
    case arrow::Type::UINT32:
      return stored == Type::INT32 && make(uint32_t{}, parquet::Int32Type{});
    case arrow::Type::INT64:
      return stored == Type::INT64 && make(int64_t{}, parquet::Int64Type{});
    case arrow::Type::UINT64:
      return stored == Type::INT64 && make(uint64_t{}, parquet::Int64Type{});
    case arrow::Type::FLOAT:
      return stored == Type::FLOAT && make(float{}, parquet::FloatType{});
    case arrow::Type::DOUBLE:
      return stored == Type::DOUBLE && make(double{}, parquet::DoubleType{});
    default:
      return false;
  }
}

}  // namespace

bool IsPlainListColumn(const SchemaField& column) {
  if (column.field->type()->id() != arrow::Type::LIST) return false;
  if (column.children.size() != 1) return false;
  const SchemaField& element = column.children[0];
  return element.is_leaf() && column.level_info.rep_level == 1 &&
         element.level_info.rep_level == 1 &&
         column.level_info.repeated_ancestor_def_level == 0;
}

Result<std::unique_ptr<arrow::RecordBatchReader>> MakeListReader(
    parquet::RowGroupReader& row_group, const SchemaField& column, int64_t batch_rows) {
  std::unique_ptr<arrow::RecordBatchReader> made;
  auto reader = row_group.Column(column.children[0].column_index);
  const auto number = column.field->type()->field(0)->type()->id();
  WithTypes(number, reader->type(), [&](auto value, auto stored) {
    made = std::make_unique<ListReader<decltype(stored), decltype(value)>>(
        std::move(reader), column, batch_rows);
    return true;
  });
  return made;
}

}  // namespace fast_axolotl
