// SPDX-License-Identifier: Apache-2.0
#include "core/format/fit.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/array/array_binary.h"
#include "arrow/array/builder_base.h"
#include "arrow/array/concatenate.h"
#include "arrow/array/util.h"
#include "arrow/compute/cast.h"
#include "arrow/json/options.h"
#include "arrow/json/reader.h"
#include "arrow/scalar.h"
#include "arrow/type.h"
#include "core/common/text.h"
#include "core/format/block_reader.h"
#include "core/format/json/column.h"
#include "core/format/json/lexer.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

// `type`, or what its values are read as where Arrow's JSON reader does not know it.
TypePtr Readable(const TypePtr& type) {
  switch (type->id()) {
    case arrow::Type::HALF_FLOAT:
      return arrow::float64();
    case arrow::Type::DURATION:
      return arrow::int64();
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
      return arrow::list(Readable(type->field(0)->type()));
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields = type->fields();
      for (auto& field : fields) field = field->WithType(Readable(field->type()));
      return arrow::struct_(std::move(fields));
    }
    default:
      return type;
  }
}

// JSON values in text form as values of `type`, by Arrow's JSON reader.
Result<ArrayPtr> FromJsonText(const arrow::Array& array, const TypePtr& type) {
  const auto& texts = static_cast<const arrow::StringArray&>(array);
  std::string lines;
  for (int64_t i = 0; i < texts.length(); ++i) {
    lines += "{\"v\":";
    // A value may be written over several lines; a newline is a blank there.
    const size_t begin = lines.size();
    lines += texts.IsNull(i) ? std::string_view("null") : texts.GetView(i);
    for (size_t k = begin; k < lines.size(); ++k) {
      if (lines[k] == '\n' || lines[k] == '\r') lines[k] = ' ';
    }
    lines += "}\n";
  }
  auto options = arrow::json::ParseOptions::Defaults();
  options.explicit_schema = arrow::schema({arrow::field("v", Readable(type))});
  options.unexpected_field_behavior = arrow::json::UnexpectedFieldBehavior::Error;
  ARROW_ASSIGN_OR_RAISE(
      auto batch,
      arrow::json::ParseOne(options, arrow::Buffer::FromString(std::move(lines))));
  ARROW_ASSIGN_OR_RAISE(auto datum, arrow::compute::Cast(batch->column(0), type));
  return datum.make_array();
}

// Strings that hold one JSON value each, as they are.
Result<ArrayPtr> CheckJson(const ArrayPtr& array) {
  const auto& texts = static_cast<const arrow::StringArray&>(*array);
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsNull(i)) continue;
    // The parser stops at a zero byte and reads a little beyond it.
    std::string text(texts.GetView(i));
    const size_t size = text.size();
    text.append(Block::kPadding, '\0');
    json::Fault fault;
    const char* end = json::SkipValue(json::SkipSpace(text.data()), 0, &fault);
    if (!end || json::SkipSpace(end) != text.data() + size) {
      return Status::Invalid("not JSON");
    }
  }
  return array;
}

bool Comparable(const arrow::DataType& from, const arrow::DataType& to, Typing typing) {
  const auto is_text = [](const arrow::DataType& type) {
    return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
  };
  if (typing == Typing::kSpelling || from.id() == arrow::Type::NA) return true;
  if ((from.id() == arrow::Type::BOOL) != (to.id() == arrow::Type::BOOL)) return false;
  return is_text(from) == is_text(to) || (is_text(from) && arrow::is_temporal(to.id()));
}

Result<ArrayPtr> CastSafely(const ArrayPtr& array, const TypePtr& type) {
  if (array->type()->Equals(*type)) return array;
  ARROW_ASSIGN_OR_RAISE(
      auto datum, arrow::compute::Cast(array, arrow::compute::CastOptions::Safe(type)));
  return datum.make_array();
}

// JSON values in text form, of several kinds, each converted as it would be in a column
// of its own kind: what a value becomes must not depend on the rows it shares a block
// with.
Result<ArrayPtr> FromMixedText(const arrow::Array& array, const TypePtr& type) {
  const auto& texts = static_cast<const arrow::StringArray&>(array);
  std::string buffer;
  std::vector<size_t> begins;
  for (int64_t i = 0; i < texts.length(); ++i) {
    begins.push_back(buffer.size());
    buffer += texts.IsNull(i) ? std::string_view("null") : texts.GetView(i);
    buffer += '\0';
  }
  buffer.append(Block::kPadding, '\0');
  arrow::ArrayVector parts;
  size_t row = 0;
  while (row < begins.size()) {
    // As many rows as stay typed; a row that is not by itself is a misfit.
    size_t count = 1;
    const auto read = [&](size_t rows) -> Result<json::Column::Finished> {
      json::Column column("", 0, json::Column::Use::kTyped);
      json::Fault fault;
      for (size_t i = 0; i < rows; ++i) {
        const char* p = buffer.data() + begins[row + i];
        if (!column.Parse(p, static_cast<int64_t>(i), buffer.data(), &fault)) {
          return Status::Invalid("not JSON");
        }
      }
      return column.Finish(static_cast<int64_t>(rows), buffer.data());
    };
    ARROW_ASSIGN_OR_RAISE(auto typed, read(count));
    if (IsJsonField(*typed.field) ||
        !Comparable(*typed.field->type(), *type, Typing::kOwn)) {
      return Status::Invalid("not comparable");
    }
    // Doubled as long as it stays so: columns mostly change their kind once.
    while (row + count < begins.size()) {
      const size_t more = std::min(count * 2, begins.size() - row);
      ARROW_ASSIGN_OR_RAISE(auto longer, read(more));
      if (!longer.field->type()->Equals(*typed.field->type()) ||
          IsJsonField(*longer.field)) {
        break;
      }
      typed = std::move(longer);
      count = more;
    }
    ARROW_ASSIGN_OR_RAISE(auto part, CastSafely(typed.array, type));
    parts.push_back(std::move(part));
    row += count;
  }
  return arrow::Concatenate(parts);
}

Result<ArrayPtr> Convert(const ArrayPtr& array, bool json, const arrow::Field& wanted) {
  const TypePtr& type = wanted.type();
  if (array->length() == 0) return arrow::MakeEmptyArray(type);
  if (IsJsonField(wanted) && array->type_id() == arrow::Type::STRING) {
    return CheckJson(array);
  }
  if (!json) return CastSafely(array, type);
  return IsReadTyped(*type) ? FromMixedText(*array, type) : FromJsonText(*array, type);
}

// The first row of `array` that does not convert; some row does not.
int64_t FirstMisfit(const ArrayPtr& array, bool json, const arrow::Field& wanted) {
  int64_t good = 0;
  int64_t size = array->length();
  while (size > 1) {
    const int64_t half = size / 2;
    if (Convert(array->Slice(good, half), json, wanted).ok()) {
      good += half;
      size -= half;
    } else {
      size = half;
    }
  }
  return good;
}

std::string ValueText(const arrow::Array& array, int64_t row) {
  auto scalar = array.GetScalar(row);
  return scalar.ok() ? Quoted((*scalar)->ToString()) : "a value";
}

// The batch with the columns of `schema`, null where it has none of that name.
Result<std::shared_ptr<arrow::RecordBatch>> Arrange(
    const arrow::RecordBatch& rows, const std::shared_ptr<arrow::Schema>& schema,
    LateColumns* late) {
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    auto column = rows.GetColumnByName(field->name());
    if (!column) {
      ARROW_ASSIGN_OR_RAISE(column,
                            arrow::MakeArrayOfNull(field->type(), rows.num_rows()));
    }
    columns.push_back(std::move(column));
  }
  for (const auto& field : rows.schema()->fields()) {
    if (late && !IsPresenceField(*field) && schema->GetFieldIndex(field->name()) < 0) {
      late->Add(field->name());
    }
  }
  return arrow::RecordBatch::Make(schema, rows.num_rows(), std::move(columns));
}

}  // namespace

bool IsReadTyped(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT64:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
      return true;
    case arrow::Type::LIST: {
      const arrow::Type::type items = type.field(0)->type()->id();
      return items == arrow::Type::BOOL || items == arrow::Type::INT64 ||
             items == arrow::Type::DOUBLE || items == arrow::Type::STRING;
    }
    default:
      // Dates and times are written as strings.
      return arrow::is_temporal(type.id());
  }
}

Decoded FitTypes(Decoded decoded, const ReadOptions& options, Typing typing,
                 const Place& place) {
  const auto& schema = options.stable ? options.stable : options.types;
  if (!schema || !decoded.rows) return decoded;
  for (const auto& wanted : schema->fields()) {
    auto& rows = decoded.rows;
    const int index = rows->schema()->GetFieldIndex(wanted->name());
    if (index < 0) continue;
    const auto field = rows->schema()->field(index);
    const bool json = IsJsonField(*field);
    if (json == IsJsonField(*wanted) && (json || field->type()->Equals(wanted->type()))) {
      continue;
    }
    auto column = rows->column(index);
    const bool comparable = json || Comparable(*field->type(), *wanted->type(), typing);
    auto converted = comparable ? Convert(column, json, *wanted)
                                : Result<ArrayPtr>(Status::Invalid("not comparable"));
    if (!converted.ok()) {
      int64_t row = 0;
      if (comparable) {
        row = FirstMisfit(column, json, *wanted);
      } else {
        while (row < column->length() && column->IsNull(row)) ++row;
      }
      if (row < column->length()) {
        decoded.end = Status::IOError(
            place(row), ": column ", Quoted(field->name()), ": ", ValueText(*column, row),
            " is not a value of the type ", TypeName(*wanted),
            options.FixedField(field->name())
                ? " that schema= gives this column"
                : " that a sample of the files shows for this column; "
                  "schema= can give it another");
      }
      rows = rows->Slice(0, row);
      column = rows->column(index);
      converted = comparable ? Convert(column, json, *wanted)
                             : arrow::MakeArrayOfNull(wanted->type(), row);
      if (!converted.ok()) return {nullptr, converted.status()};
    }
    auto replaced = rows->SetColumn(index, wanted->WithName(field->name()), *converted);
    if (!replaced.ok()) return {nullptr, replaced.status()};
    rows = *replaced;
  }
  if (options.stable) {
    auto arranged = Arrange(*decoded.rows, options.stable, options.late.get());
    if (!arranged.ok()) return {nullptr, arranged.status()};
    decoded.rows = std::move(*arranged);
  }
  return decoded;
}

}  // namespace fast_axolotl
