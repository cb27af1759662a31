// SPDX-License-Identifier: Apache-2.0
#include "core/format/fit.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/array/array_binary.h"
#include "arrow/array/concatenate.h"
#include "arrow/array/util.h"
#include "arrow/compute/cast.h"
#include "arrow/json/options.h"
#include "arrow/json/reader.h"
#include "arrow/scalar.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "core/common/memory.h"
#include "core/common/text.h"
#include "core/format/block_reader.h"
#include "core/format/convert.h"
#include "core/format/family.h"
#include "core/format/json/lexer.h"
#include "core/format/schema.h"
#include "core/format/to_json.h"

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

// JSON values in text form, of several kinds, each converted as it would be in a column
// of its own kind: what a value becomes must not depend on the rows it shares a block
// with.
Result<ArrayPtr> FromMixedText(const arrow::Array& array, const TypePtr& type,
                               json::Column::Use use, Change change) {
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
  const auto read = [&](size_t rows) -> Result<json::Column::Finished> {
    const size_t end = row + rows < begins.size() ? begins[row + rows] : buffer.size();
    const std::string_view text(buffer.data() + begins[row], end - begins[row]);
    json::Column column("", 0, use, text);
    json::Fault fault;
    for (size_t i = 0; i < rows; ++i) {
      const char* p = buffer.data() + begins[row + i];
      if (!column.Parse(p, static_cast<int64_t>(i), &fault)) {
        return fault.out_of_memory ? Status::OutOfMemory("out of memory")
                                   : Status::Invalid("not JSON");
      }
    }
    return column.Finish(static_cast<int64_t>(rows));
  };
  while (row < begins.size()) {
    // As many rows as stay typed; a row that is not by itself is a misfit.
    size_t count = 1;
    ARROW_ASSIGN_OR_RAISE(auto typed, read(count));
    if (IsJsonField(*typed.field)) return Status::Invalid("of no kind that is typed");
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
    ARROW_ASSIGN_OR_RAISE(auto part, ConvertArray(typed.array, type, change));
    parts.push_back(std::move(part));
    row += count;
  }
  return arrow::Concatenate(parts, BufferPool());
}

// What a column is, what it is to be, and how far its values may change for that.
struct Fitting {
  bool json;  // the values are JSON texts
  const arrow::Field& wanted;
  bool asked;  // by the caller, and not found in a sample
  Change change;

  Result<ArrayPtr> operator()(const ArrayPtr& array) const {
    const TypePtr& type = wanted.type();
    if (array->length() == 0) return arrow::MakeEmptyArray(type);
    if (IsJsonField(wanted)) {
      // Strings are often kept as JSON texts, but only the caller knows.
      if (!asked || FamilyOf(*DecodedType(array->type())) != Family::kString) {
        return ToJson(*array);
      }
      ARROW_ASSIGN_OR_RAISE(const auto texts, ConvertArray(array, type, change));
      return CheckJson(texts);
    }
    if (!json) return ConvertArray(array, type, change);
    const json::Column::Use use = UseFor(*type, asked);
    return use == json::Column::Use::kText ? FromJsonText(*array, type)
                                           : FromMixedText(*array, type, use, change);
  }

  // Appends the rows of `[begin, begin + size)` that do not fit, at most `most` of them;
  // some row does not.
  void FindMisfits(const ArrayPtr& array, int64_t begin, int64_t size, size_t most,
                   std::vector<int64_t>* misfits) const {
    if (size == 1) {
      misfits->push_back(begin);
      return;
    }
    const int64_t half = size / 2;
    const auto fits = [&](int64_t from, int64_t count) {
      return (*this)(array->Slice(from, count)).ok();
    };
    const bool first = fits(begin, half);
    if (!first) FindMisfits(array, begin, half, most, misfits);
    // Where the first half fits, the other does not.
    if (misfits->size() < most && (first || !fits(begin + half, size - half))) {
      FindMisfits(array, begin + half, size - half, most, misfits);
    }
  }
};

std::string ValueText(const arrow::Array& array, int64_t row) {
  std::string text;
  if (FamilyOf(*DecodedType(array.type())) != Family::kString &&
      AppendJson(array, row, &text).ok()) {
    return Quoted(text);
  }
  auto scalar = array.GetScalar(row);
  return scalar.ok() ? Quoted((*scalar)->ToString()) : "a value";
}

Status MisfitError(const ReadOptions& options, const arrow::Field& wanted,
                   const arrow::Array& array, int64_t row, const RowPlace& place) {
  return Status::IOError(
      place.name, ": column ", Quoted(wanted.name()), ": ", ValueText(array, row),
      " is not a value of the type ", TypeName(wanted),
      options.FixedField(wanted.name())
          ? " that schema= gives this column"
          : " that a sample of the files shows for this column; schema= can give it "
            "another");
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
    if (late && rows.num_rows() > 0 && !IsPresenceField(*field) &&
        schema->GetFieldIndex(field->name()) < 0) {
      late->Add(field->name());
    }
  }
  return arrow::RecordBatch::Make(schema, rows.num_rows(), std::move(columns));
}

// Takes the rows away whose value in `column` does not fit: the first and all behind it,
// or, where bad rows are kept, just those.
Status LeaveMisfits(const ReadOptions& options, const Fitting& fit,
                    const ArrayPtr& column, const Place& place, Decoded* decoded) {
  std::vector<int64_t> misfits;
  const bool all = options.keep_bad_rows;
  fit.FindMisfits(column, 0, column->length(),
                  all ? std::numeric_limits<size_t>::max() : 1, &misfits);
  if (!all) {
    const int64_t row = misfits[0];
    decoded->end = MisfitError(options, fit.wanted, *column, row, place(row));
    decoded->rows = decoded->rows->Slice(0, row);
    return Status::OK();
  }
  std::vector<BadRow>& bad = decoded->bad;
  const size_t known = bad.size();
  int64_t before = 0;  // places of known bad rows before the misfit
  size_t next = 0;
  for (const int64_t row : misfits) {
    for (; next < known && bad[next].at <= row + before; ++next) {
      before += bad[next].places();
    }
    const RowPlace where = place(row + before);
    const Status error = MisfitError(options, fit.wanted, *column, row, where);
    bad.push_back(MakeBadRow(row + before, error, where.path, where.text));
    bad.back().line = where.line;
    bad.back().offset = where.offset;
  }
  std::inplace_merge(bad.begin(), bad.begin() + static_cast<ptrdiff_t>(known), bad.end(),
                     [](const BadRow& a, const BadRow& b) { return a.at < b.at; });
  return WithoutRows(*decoded->rows, misfits).Value(&decoded->rows);
}

// Gives the columns their types; an error leaves nothing.
Status FitColumns(const ReadOptions& options, Typing typing, const Place& place,
                  Decoded* decoded) {
  const auto& schema = options.stable ? options.stable : options.types;
  if (!schema || !decoded->rows) return Status::OK();
  auto& rows = decoded->rows;
  for (const auto& wanted : schema->fields()) {
    const int index = rows->schema()->GetFieldIndex(wanted->name());
    if (index < 0) continue;
    const auto field = rows->schema()->field(index);
    const bool json = IsJsonField(*field);
    if (json == IsJsonField(*wanted) && (json || field->type()->Equals(wanted->type()))) {
      continue;
    }
    const bool asked = options.FixedField(wanted->name()) != nullptr;
    const Fitting fit{json, *wanted, asked,
                      !asked                        ? Change::kNone
                      : typing == Typing::kSpelling ? Change::kParsed
                                                    : Change::kForm};
    const auto column = rows->column(index);
    auto converted = fit(column);
    if (!converted.ok()) {
      if (converted.status().IsOutOfMemory() || converted.status().IsCapacityError()) {
        return AtFile(place(0).name + ": column " + Quoted(wanted->name()),
                      converted.status());
      }
      ARROW_RETURN_NOT_OK(LeaveMisfits(options, fit, column, place, decoded));
      converted = fit(rows->column(index));
      ARROW_RETURN_NOT_OK(converted.status());
    }
    ARROW_ASSIGN_OR_RAISE(
        rows, rows->SetColumn(index, wanted->WithName(field->name()), *converted));
  }
  return Status::OK();
}

}  // namespace

json::Column::Use UseFor(const arrow::DataType& type, bool asked) {
  using Use = json::Column::Use;
  const bool list = FamilyOf(type) == Family::kList;
  const arrow::DataType& value = list ? *type.field(0)->type() : type;
  if (arrow::is_floating(value.id())) return Use::kDoubles;
  // What is not asked for is at most a value of the kind that it shows.
  if (!asked) return Use::kTyped;
  switch (FamilyOf(value)) {
    case Family::kNumber:
    case Family::kString:
      return Use::kTyped;
    case Family::kDuration:
      return list ? Use::kText : Use::kTyped;
    default:
      // Dates and times are written as strings.
      return value.id() == arrow::Type::BOOL || (!list && arrow::is_temporal(value.id()))
                 ? Use::kTyped
                 : Use::kText;
  }
}

Decoded FitTypes(Decoded decoded, const ReadOptions& options, Typing typing,
                 const Place& place) {
  const Status fitted = FitColumns(options, typing, place, &decoded);
  if (!fitted.ok()) return {nullptr, fitted};
  if (options.stable && decoded.rows) {
    auto arranged = Arrange(*decoded.rows, options.stable, options.late.get());
    if (!arranged.ok()) return {nullptr, arranged.status()};
    decoded.rows = std::move(*arranged);
  }
  auto whole = WithBadRows(decoded.rows, decoded.bad);
  if (!whole.ok()) return {nullptr, whole.status()};
  decoded.rows = std::move(*whole);
  return decoded;
}

}  // namespace fast_axolotl
