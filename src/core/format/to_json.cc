// SPDX-License-Identifier: Apache-2.0
#include "core/format/to_json.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "arrow/array.h"
#include "arrow/array/builder_binary.h"
#include "arrow/extension_type.h"
#include "arrow/type_traits.h"
#include "arrow/util/float16.h"
#include "core/common/memory.h"
#include "core/common/text.h"

namespace fast_axolotl {
namespace {

using arrow::Type;

Status NoForm(const arrow::DataType& type) {
  return Status::Invalid("JSON has no form for ", type.ToString());
}

template <typename Integer>
void AppendInteger(Integer value, std::string* out) {
  char text[24];
  out->append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// The shortest digits that are read as the same double, as Python lays them out.
void AppendDouble(double value, std::string* out) {
  if (std::isnan(value)) {
    *out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    *out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  char text[32];
  const char* end =
      std::to_chars(text, text + sizeof text, value,
                    plain ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  const std::string_view written(text, end - text);
  *out += written;
  // Without a fraction it would be an integer.
  if (plain && written.find('.') == std::string_view::npos) *out += ".0";
}

Status AppendString(std::string_view value, std::string* out) {
  if (ValidUtf8Prefix(value) < value.size()) {
    return Status::Invalid("text that is not valid UTF-8");
  }
  constexpr char kHex[] = "0123456789abcdef";
  *out += '"';
  for (const char c : value) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\b':
        *out += "\\b";
        break;
      case '\f':
        *out += "\\f";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          *out += "\\u00";
          *out += kHex[c >> 4];
          *out += kHex[c & 15];
        } else {
          *out += c;
        }
    }
  }
  *out += '"';
  return Status::OK();
}

template <typename Array>
Status AppendList(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& lists = static_cast<const Array&>(array);
  const int64_t begin = lists.value_offset(row);
  const int64_t length = lists.value_length(row);
  *out += '[';
  for (int64_t i = 0; i < length; ++i) {
    if (i > 0) *out += ", ";
    ARROW_RETURN_NOT_OK(AppendJson(*lists.values(), begin + i, out));
  }
  *out += ']';
  return Status::OK();
}

// Writes the members of an object, each under its key, which may come once.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string* out) : out_(out) { *out_ += '{'; }

  Status Add(std::string_view key, const arrow::Array& values, int64_t row) {
    if (!keys_.insert(key).second) {
      return Status::Invalid("JSON has no form for the key ", Quoted(key), " twice");
    }
    if (keys_.size() > 1) *out_ += ", ";
    ARROW_RETURN_NOT_OK(AppendString(key, out_));
    *out_ += ": ";
    return AppendJson(values, row, out_);
  }
  void Close() { *out_ += '}'; }

 private:
  std::string* const out_;
  std::unordered_set<std::string_view> keys_;
};

Status AppendStruct(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& structs = static_cast<const arrow::StructArray&>(array);
  ObjectWriter object(out);
  for (int i = 0; i < structs.num_fields(); ++i) {
    ARROW_RETURN_NOT_OK(
        object.Add(structs.struct_type()->field(i)->name(), *structs.field(i), row));
  }
  object.Close();
  return Status::OK();
}

Result<std::string_view> TextAt(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::STRING:
      return static_cast<const arrow::StringArray&>(array).GetView(row);
    case Type::LARGE_STRING:
      return static_cast<const arrow::LargeStringArray&>(array).GetView(row);
    case Type::STRING_VIEW:
      return static_cast<const arrow::StringViewArray&>(array).GetView(row);
    default:
      return NoForm(*array.type());
  }
}

Status AppendMap(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& maps = static_cast<const arrow::MapArray&>(array);
  const int64_t begin = maps.value_offset(row);
  ObjectWriter object(out);
  for (int64_t i = begin; i < begin + maps.value_length(row); ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto key, TextAt(*maps.keys(), i));
    ARROW_RETURN_NOT_OK(object.Add(key, *maps.items(), i));
  }
  object.Close();
  return Status::OK();
}

Status AppendExtension(const arrow::Array& array, int64_t row, std::string* out) {
  const auto& extension = static_cast<const arrow::ExtensionArray&>(array);
  const std::string name = extension.extension_type()->extension_name();
  if (name == "arrow.uuid") return NoForm(*array.type());
  if (name == "arrow.bool8") {
    const auto& bytes = static_cast<const arrow::Int8Array&>(*extension.storage());
    *out += bytes.Value(row) ? "true" : "false";
    return Status::OK();
  }
  return AppendJson(*extension.storage(), row, out);
}

}  // namespace

Status AppendJson(const arrow::Array& array, int64_t row, std::string* out) {
  switch (array.type_id()) {
    case Type::DICTIONARY: {
      const auto& encoded = static_cast<const arrow::DictionaryArray&>(array);
      if (encoded.IsNull(row)) break;
      return AppendJson(*encoded.dictionary(), encoded.GetValueIndex(row), out);
    }
    case Type::RUN_END_ENCODED: {
      const auto& encoded = static_cast<const arrow::RunEndEncodedArray&>(array);
      const auto one =
          std::static_pointer_cast<arrow::RunEndEncodedArray>(encoded.Slice(row, 1));
      return AppendJson(*one->values(), one->FindPhysicalOffset(), out);
    }
    case Type::SPARSE_UNION: {
      const auto& values = static_cast<const arrow::SparseUnionArray&>(array);
      return AppendJson(*values.field(values.child_id(row)), row, out);
    }
    case Type::DENSE_UNION: {
      const auto& values = static_cast<const arrow::DenseUnionArray&>(array);
      return AppendJson(*values.field(values.child_id(row)), values.value_offset(row),
                        out);
    }
    default:
      break;
  }
  if (array.IsNull(row)) {
    *out += "null";
    return Status::OK();
  }
  switch (array.type_id()) {
    case Type::BOOL:
      *out +=
          static_cast<const arrow::BooleanArray&>(array).Value(row) ? "true" : "false";
      return Status::OK();
    case Type::INT8:
      AppendInteger(static_cast<const arrow::Int8Array&>(array).Value(row), out);
      return Status::OK();
    case Type::INT16:
      AppendInteger(static_cast<const arrow::Int16Array&>(array).Value(row), out);
      return Status::OK();
    case Type::INT32:
      AppendInteger(static_cast<const arrow::Int32Array&>(array).Value(row), out);
      return Status::OK();
    case Type::INT64:
      AppendInteger(static_cast<const arrow::Int64Array&>(array).Value(row), out);
      return Status::OK();
    case Type::UINT8:
      AppendInteger(static_cast<const arrow::UInt8Array&>(array).Value(row), out);
      return Status::OK();
    case Type::UINT16:
      AppendInteger(static_cast<const arrow::UInt16Array&>(array).Value(row), out);
      return Status::OK();
    case Type::UINT32:
      AppendInteger(static_cast<const arrow::UInt32Array&>(array).Value(row), out);
      return Status::OK();
    case Type::UINT64:
      AppendInteger(static_cast<const arrow::UInt64Array&>(array).Value(row), out);
      return Status::OK();
    case Type::HALF_FLOAT: {
      const uint16_t bits = static_cast<const arrow::HalfFloatArray&>(array).Value(row);
      AppendDouble(arrow::util::Float16::FromBits(bits).ToDouble(), out);
      return Status::OK();
    }
    case Type::FLOAT:
      AppendDouble(static_cast<const arrow::FloatArray&>(array).Value(row), out);
      return Status::OK();
    case Type::DOUBLE:
      AppendDouble(static_cast<const arrow::DoubleArray&>(array).Value(row), out);
      return Status::OK();
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW: {
      ARROW_ASSIGN_OR_RAISE(const auto text, TextAt(array, row));
      return AppendString(text, out);
    }
    case Type::LIST:
      return AppendList<arrow::ListArray>(array, row, out);
    case Type::LARGE_LIST:
      return AppendList<arrow::LargeListArray>(array, row, out);
    case Type::LIST_VIEW:
      return AppendList<arrow::ListViewArray>(array, row, out);
    case Type::LARGE_LIST_VIEW:
      return AppendList<arrow::LargeListViewArray>(array, row, out);
    case Type::FIXED_SIZE_LIST:
      return AppendList<arrow::FixedSizeListArray>(array, row, out);
    case Type::MAP:
      return AppendMap(array, row, out);
    case Type::STRUCT:
      return AppendStruct(array, row, out);
    case Type::EXTENSION:
      return AppendExtension(array, row, out);
    default:
      return NoForm(*array.type());
  }
}

Result<std::shared_ptr<arrow::Array>> ToJson(const arrow::Array& array) {
  arrow::StringBuilder builder(BufferPool());
  std::string text;
  for (int64_t row = 0; row < array.length(); ++row) {
    text.clear();
    ARROW_RETURN_NOT_OK(AppendJson(array, row, &text));
    ARROW_RETURN_NOT_OK(text == "null" ? builder.AppendNull() : builder.Append(text));
  }
  return builder.Finish();
}

}  // namespace fast_axolotl
