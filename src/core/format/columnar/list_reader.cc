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
#include "parquet/properties.h"
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
  ListReader(std::shared_ptr<parquet::ColumnReader> column, int64_t levels,
             const SchemaField& field, const parquet::ArrowReaderProperties& properties)
      : column_(std::static_pointer_cast<Reader>(std::move(column))),
        levels_left_(levels),
        schema_(arrow::schema({field.field})),
        list_level_(field.level_info.def_level),
        value_level_(field.children[0].level_info.def_level),
        properties_(properties),
        definition_(kChunk),
        repetition_(kChunk),
        values_(kChunk) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    const int64_t batch_rows = properties_.batch_size();
    Rows rows;
    for (;;) {
      if (next_ == level_count_) ARROW_RETURN_NOT_OK(Fill());
      if (level_count_ == 0) break;
      if (repetition_[next_] == 0 && rows.count == batch_rows) break;
      ARROW_RETURN_NOT_OK(TakeLevels(&rows));
    }
    *batch = nullptr;
    if (rows.count == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(auto array, Finish(&rows));
    *batch = arrow::RecordBatch::Make(schema_, rows.count, {std::move(array)});
    return Status::OK();
  }

 private:
  using Reader = parquet::TypedColumnReader<Stored>;

  // The rows of a batch so far.
  struct Rows {
    int64_t count = 0;
    Validity valid;
    arrow::TypedBufferBuilder<int32_t> offsets{DecodePool()};
    Validity values_valid;
    arrow::TypedBufferBuilder<Number> values{DecodePool()};
  };

  // Reads more levels and values, none at the end. Throws as Parquet's readers do.
  Status Fill() {
    if (next_value_ != value_count_) {
      return Status::IOError("there are more values than their levels promise");
    }
    next_ = level_count_ = next_value_ = value_count_ = 0;
    // HasNext is false at the end, and before each page of no values, which writers make
    // where pages are very small.
    constexpr int kEmptyPages = 16;
    for (int empty = 0; level_count_ == 0 && levels_left_ > 0; ++empty) {
      if (column_->HasNext()) {
        level_count_ = column_->ReadBatch(kChunk, definition_.data(), repetition_.data(),
                                          values_.data(), &value_count_);
      } else if (empty == kEmptyPages) {
        return Status::IOError("there are fewer levels than the footer promises");
      }
    }
    if (level_count_ > levels_left_) {
      return Status::IOError("there are more levels than the footer promises");
    }
    levels_left_ -= level_count_;
    return Status::OK();
  }

  // Takes the levels of one row, as far as they have been read.
  Status TakeLevels(Rows* rows) {
    if (repetition_[next_] == 0) {
      ARROW_RETURN_NOT_OK(
          rows->offsets.Append(static_cast<int32_t>(rows->values.length())));
      const int16_t level = definition_[next_];
      ARROW_RETURN_NOT_OK(rows->valid.Append(level >= list_level_ - 1, rows->count));
      ++rows->count;
      if (level < list_level_) {
        ++next_;
        return Status::OK();
      }
    } else if (rows->count == 0) {
      return Status::IOError("the first value of a row is missing");
    }
    const int64_t end = NextRow(repetition_.data(), next_ + 1, level_count_);
    const int64_t count = end - next_;
    if (rows->values.length() + count > std::numeric_limits<int32_t>::max()) {
      return Status::CapacityError("there are more than 2^31 elements in ", rows->count,
                                   " rows");
    }
    if (value_count_ == level_count_) {
      ARROW_RETURN_NOT_OK(rows->values_valid.AppendValid(count));
      next_ = end;
      return TakeValues(count, rows);
    }
    for (; next_ < end; ++next_) ARROW_RETURN_NOT_OK(TakeElement(rows));
    return Status::OK();
  }

  Status TakeElement(Rows* rows) {
    const int16_t level = definition_[next_];
    if (level < list_level_) return Status::IOError("an element of a list is missing");
    const bool valid = level == value_level_;
    ARROW_RETURN_NOT_OK(rows->values_valid.Append(valid, rows->values.length()));
    return valid ? TakeValues(1, rows) : rows->values.Append(Number{});
  }

  Status TakeValues(int64_t count, Rows* rows) {
    // A damaged page may hold fewer values than its levels promise.
    if (count > value_count_ - next_value_) {
      return Status::IOError("there are fewer values than their levels promise");
    }
    ARROW_RETURN_NOT_OK(rows->values.Reserve(count));
    const auto* from = values_.data() + next_value_;
    auto* to = rows->values.mutable_data() + rows->values.length();
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Number>(from[i]);
    rows->values.UnsafeAdvance(count);
    next_value_ += count;
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::Array>> Finish(Rows* rows) {
    const int64_t value_count = rows->values.length();
    ARROW_RETURN_NOT_OK(rows->offsets.Append(static_cast<int32_t>(value_count)));
    const auto& type = schema_->field(0)->type();
    const int64_t null_values = rows->values_valid.nulls();
    const int64_t null_rows = rows->valid.nulls();
    ARROW_ASSIGN_OR_RAISE(auto offsets, rows->offsets.Finish());
    ARROW_ASSIGN_OR_RAISE(auto values, rows->values.Finish());
    ARROW_ASSIGN_OR_RAISE(auto values_valid, rows->values_valid.Finish());
    ARROW_ASSIGN_OR_RAISE(auto valid, rows->valid.Finish());
    auto elements =
        arrow::ArrayData::Make(type->field(0)->type(), value_count,
                               {std::move(values_valid), std::move(values)}, null_values);
    return arrow::MakeArray(arrow::ArrayData::Make(type, rows->count,
                                                   {std::move(valid), std::move(offsets)},
                                                   {std::move(elements)}, null_rows));
  }

  const std::shared_ptr<Reader> column_;
  int64_t levels_left_;  // to be read
  const std::shared_ptr<arrow::Schema> schema_;
  const int16_t list_level_;   // from which on there is an element
  const int16_t value_level_;  // at which it has a value
  const parquet::ArrowReaderProperties& properties_;

  // What was read, and how much of it was taken.
  std::vector<int16_t> definition_;
  std::vector<int16_t> repetition_;
  std::vector<typename Stored::c_type> values_;
  int64_t level_count_ = 0;
  int64_t next_ = 0;
  int64_t value_count_ = 0;
  int64_t next_value_ = 0;
};

template <typename Stored, typename Number>
std::unique_ptr<arrow::RecordBatchReader> Make(
    parquet::RowGroupReader& row_group, const SchemaField& column,
    const parquet::ArrowReaderProperties& properties) {
  const int leaf = column.children[0].column_index;
  // Numbers that are stored as another type are for Arrow to convert.
  if (row_group.metadata()->schema()->Column(leaf)->physical_type() != Stored::type_num) {
    return nullptr;
  }
  const int64_t levels = row_group.metadata()->ColumnChunk(leaf)->num_values();
  return std::make_unique<ListReader<Stored, Number>>(row_group.Column(leaf), levels,
                                                      column, properties);
}

bool IsPlainList(const SchemaField& column) {
  return column.field->type()->id() == arrow::Type::LIST && column.children.size() == 1 &&
         column.children[0].is_leaf() && column.level_info.rep_level == 1 &&
         column.children[0].level_info.rep_level == 1 &&
         column.level_info.repeated_ancestor_def_level == 0;
}

}  // namespace

std::unique_ptr<arrow::RecordBatchReader> MakeListReader(
    parquet::RowGroupReader& row_group, const SchemaField& column,
    const parquet::ArrowReaderProperties& properties) {
  using parquet::Int32Type;
  using parquet::Int64Type;
  if (!IsPlainList(column)) return nullptr;
  switch (column.field->type()->field(0)->type()->id()) {
    case arrow::Type::INT8:
      return Make<Int32Type, int8_t>(row_group, column, properties);
    case arrow::Type::INT16:
      return Make<Int32Type, int16_t>(row_group, column, properties);
    case arrow::Type::INT32:
      return Make<Int32Type, int32_t>(row_group, column, properties);
    case arrow::Type::INT64:
      return Make<Int64Type, int64_t>(row_group, column, properties);
    case arrow::Type::UINT8:
      return Make<Int32Type, uint8_t>(row_group, column, properties);
    case arrow::Type::UINT16:
      return Make<Int32Type, uint16_t>(row_group, column, properties);
    case arrow::Type::UINT32:
      return Make<Int32Type, uint32_t>(row_group, column, properties);
    case arrow::Type::UINT64:
      return Make<Int64Type, uint64_t>(row_group, column, properties);
    case arrow::Type::FLOAT:
      return Make<parquet::FloatType, float>(row_group, column, properties);
    case arrow::Type::DOUBLE:
      return Make<parquet::DoubleType, double>(row_group, column, properties);
    default:
      return nullptr;
  }
}

}  // namespace fast_axolotl
