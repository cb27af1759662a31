// SPDX-License-Identifier: Apache-2.0
#include "core/format/bad_rows.h"

#include <algorithm>
#include <utility>

#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/util.h"
#include "core/common/memory.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/convert.h"

namespace fast_axolotl {
namespace {

// No column has a name like this one: names are UTF-8, or one such byte and UTF-8 for
// the hidden ones that say which rows have a key.
constexpr char kHidden[] = "\xFF\xFF";

void AppendHex(unsigned char byte, const char* prefix, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  *out += prefix;
  *out += kDigits[byte >> 4];
  *out += kDigits[byte & 15];
}

// Any bytes as a string of JSON. Those that are no UTF-8 become the surrogates by which
// Python's "surrogateescape" stands for them, so that nothing is lost.
void AppendString(std::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    const std::string_view valid = text.substr(0, ValidUtf8Prefix(text));
    for (const char c : valid) {
      if (c == '"' || c == '\\') {
        *out += '\\';
        *out += c;
      } else if (c == '\n') {
        *out += "\\n";
      } else if (static_cast<unsigned char>(c) < 0x20) {
        AppendHex(static_cast<unsigned char>(c), "\\u00", out);
      } else {
        *out += c;
      }
    }
    text.remove_prefix(valid.size());
    if (text.empty()) break;
    AppendHex(static_cast<unsigned char>(text[0]), "\\udc", out);
    text.remove_prefix(1);
  }
  *out += '"';
}

void AppendNumber(const char* key, int64_t number, std::string* out) {
  *out += ", \"";
  *out += key;
  *out += "\": ";
  *out += number == BadRow::kUnknown ? "null" : std::to_string(number);
}

}  // namespace

std::string HiddenText(const BadRow& bad) {
  std::string out;
  AppendNumber("rows", bad.rows, &out);
  AppendNumber("line", bad.line, &out);
  AppendNumber("offset", bad.offset, &out);
  out += ", \"reason\": ";
  AppendString(bad.reason, &out);
  out += ", \"text\": ";
  AppendString(bad.text, &out);
  return out + "}";
}

BadRow MakeBadRow(int64_t at, const Status& error, const std::string& path,
                  std::string_view text) {
  BadRow bad;
  bad.at = at;
  bad.reason = error.message();
  if (bad.reason.starts_with(path + ": ")) bad.reason.erase(0, path.size() + 2);
  bad.text = text.substr(0, kMaxBadText);
  return bad;
}

Damage MakeDamage(int64_t row, const Status& error, const std::string& path,
                  const std::string& then) {
  return {row, MakeBadRow(0, error, path).reason + then};
}

bool IsOfData(const Status& error) {
  // Once the work is to end, any error may be of that.
  if (!CheckStop().ok()) return false;
  return (error.IsIOError() || error.IsInvalid() || error.IsCapacityError() ||
          error.IsSerializationError() || error.IsNotImplemented()) &&
         error.detail() == nullptr;
}

Result<std::shared_ptr<arrow::RecordBatch>> WithBadRows(
    const std::shared_ptr<arrow::RecordBatch>& rows, const std::vector<BadRow>& bad) {
  if (bad.empty()) return rows;
  const int64_t good = rows ? rows->num_rows() : 0;
  arrow::Int64Builder sources(BufferPool());
  arrow::StringBuilder hidden(BufferPool());
  int64_t next = 0;
  const auto append_good = [&](int64_t count) {
    for (; count > 0 && next < good; --count) {
      ARROW_RETURN_NOT_OK(sources.Append(next++));
      ARROW_RETURN_NOT_OK(hidden.AppendNull());
    }
    return Status::OK();
  };
  for (const BadRow& each : bad) {
    ARROW_RETURN_NOT_OK(append_good(each.at - sources.length()));
    ARROW_RETURN_NOT_OK(hidden.Append(HiddenText(each)));
    for (int64_t i = 1; i < each.places(); ++i) {
      ARROW_RETURN_NOT_OK(hidden.Append(std::string_view()));
    }
    ARROW_RETURN_NOT_OK(sources.AppendNulls(each.places()));
  }
  ARROW_RETURN_NOT_OK(append_good(good));
  ARROW_ASSIGN_OR_RAISE(const auto from, sources.Finish());
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int i = 0; rows && i < rows->num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), TakeRows(rows->column(i), *from));
    fields.push_back(rows->schema()->field(i)->WithNullable(true));
  }
  ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), hidden.Finish());
  fields.push_back(arrow::field(kHidden, arrow::utf8()));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), from->length(),
                                  std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> WithoutRows(
    const arrow::RecordBatch& rows, const std::vector<int64_t>& left_out) {
  arrow::Int64Builder kept(BufferPool());
  size_t next = 0;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (next < left_out.size() && left_out[next] == row) {
      ++next;
    } else {
      ARROW_RETURN_NOT_OK(kept.Append(row));
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto indices, kept.Finish());
  arrow::ArrayVector columns;
  for (const auto& column : rows.columns()) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), TakeRows(column, *indices));
  }
  return arrow::RecordBatch::Make(rows.schema(), indices->length(), std::move(columns));
}

int BadRowsIndex(const arrow::Schema& schema) { return schema.GetFieldIndex(kHidden); }

std::string BadRowJson(const std::string& path, int64_t row, std::string_view hidden) {
  if (hidden.empty()) return {};
  std::string out = "{\"file\": ";
  AppendString(path, &out);
  AppendNumber("row", row, &out);
  return out.append(hidden);
}

}  // namespace fast_axolotl
