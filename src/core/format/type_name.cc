// SPDX-License-Identifier: Apache-2.0

// Type names: Arrow's own way of writing types, both ways, for the types a caller may
// want to fix.

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "arrow/type.h"
#include "core/common/text.h"
#include "core/format/options.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;

class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}

  Result<TypePtr> Parse() {
    ARROW_ASSIGN_OR_RAISE(TypePtr type, Type());
    SkipSpace();
    if (!rest().empty()) return Unknown();
    return type;
  }

 private:
  Result<TypePtr> Type() {
    // What is nested deeper would overflow the stack, here or in whoever walks the type.
    if (++depth_ > kMaxDepth) return Unknown();
    ARROW_ASSIGN_OR_RAISE(TypePtr type, OneType());
    --depth_;
    return type;
  }

  Result<TypePtr> OneType() {
    const std::string_view name = Word();
    if (name == "list" || name == "large_list") {
      ARROW_RETURN_NOT_OK(Expect('<'));
      SkipItemName();
      ARROW_ASSIGN_OR_RAISE(TypePtr item, Type());
      ARROW_RETURN_NOT_OK(Expect('>'));
      return name == "list" ? arrow::list(item) : arrow::large_list(item);
    }
    if (name == "struct") return Struct();
    if (name == "timestamp") return Timestamp();
    if (name == "duration" || name == "time32" || name == "time64") {
      ARROW_RETURN_NOT_OK(Expect('['));
      ARROW_ASSIGN_OR_RAISE(auto unit, Unit());
      ARROW_RETURN_NOT_OK(Expect(']'));
      if (name == "duration") return arrow::duration(unit);
      const bool coarse = unit <= arrow::TimeUnit::MILLI;
      if ((name == "time32") != coarse) return Unknown();
      return coarse ? arrow::time32(unit) : arrow::time64(unit);
    }
    if (name == "decimal" || name == "decimal128" || name == "decimal256") {
      ARROW_RETURN_NOT_OK(Expect('('));
      ARROW_ASSIGN_OR_RAISE(const int precision, Integer());
      ARROW_RETURN_NOT_OK(Expect(','));
      ARROW_ASSIGN_OR_RAISE(const int scale, Integer());
      ARROW_RETURN_NOT_OK(Expect(')'));
      return name == "decimal256" ? arrow::Decimal256Type::Make(precision, scale)
                                  : arrow::Decimal128Type::Make(precision, scale);
    }
    static const std::pair<std::string_view, TypePtr> kPlain[] = {
        {"null", arrow::null()},
        {"bool", arrow::boolean()},
        {"boolean", arrow::boolean()},
        {"int8", arrow::int8()},
        {"int16", arrow::int16()},
        {"int32", arrow::int32()},
        {"int64", arrow::int64()},
        {"int", arrow::int64()},
        {"uint8", arrow::uint8()},
        {"uint16", arrow::uint16()},
        {"uint32", arrow::uint32()},
        {"uint64", arrow::uint64()},
        {"float16", arrow::float16()},
        {"halffloat", arrow::float16()},
        {"float32", arrow::float32()},
        {"float64", arrow::float64()},
        {"float", arrow::float32()},  // as Arrow and Hugging Face name them
        {"double", arrow::float64()},
        {"string", arrow::utf8()},
        {"str", arrow::utf8()},
        {"utf8", arrow::utf8()},
        {"large_string", arrow::large_utf8()},
        {"large_utf8", arrow::large_utf8()},
        {"binary", arrow::binary()},
        {"large_binary", arrow::large_binary()},
        {"date32", arrow::date32()},
        {"date64", arrow::date64()},
    };
    for (const auto& [known, type] : kPlain) {
      if (name != known) continue;
      // Arrow prints dates with their unit.
      if (name == "date32" && rest().starts_with("[day]")) at_ += 5;
      if (name == "date64" && rest().starts_with("[ms]")) at_ += 4;
      return type;
    }
    return Unknown();
  }

  Result<TypePtr> Struct() {
    arrow::FieldVector fields;
    ARROW_RETURN_NOT_OK(Expect('<'));
    while (fields.empty() || Take(',')) {
      SkipSpace();
      const size_t colon = rest().find(':');
      if (colon == std::string_view::npos) return Unknown();
      const std::string field_name(rest().substr(0, colon));
      at_ += colon + 1;
      ARROW_ASSIGN_OR_RAISE(TypePtr type, Type());
      fields.push_back(arrow::field(field_name, std::move(type)));
    }
    ARROW_RETURN_NOT_OK(Expect('>'));
    return arrow::struct_(std::move(fields));
  }

  Result<TypePtr> Timestamp() {
    ARROW_RETURN_NOT_OK(Expect('['));
    ARROW_ASSIGN_OR_RAISE(auto unit, Unit());
    std::string zone;
    if (Take(',')) {
      SkipSpace();
      if (rest().starts_with("tz=")) at_ += 3;
      const size_t close = rest().find(']');
      if (close == std::string_view::npos) return Unknown();
      zone = rest().substr(0, close);
      at_ += close;
    }
    ARROW_RETURN_NOT_OK(Expect(']'));
    return arrow::timestamp(unit, zone);
  }

  Result<arrow::TimeUnit::type> Unit() {
    const std::string_view unit = Word();
    if (unit == "s") return arrow::TimeUnit::SECOND;
    if (unit == "ms") return arrow::TimeUnit::MILLI;
    if (unit == "us") return arrow::TimeUnit::MICRO;
    if (unit == "ns") return arrow::TimeUnit::NANO;
    return Unknown();
  }

  Result<int> Integer() {
    SkipSpace();
    int value = 0;
    const auto [end, error] =
        std::from_chars(rest().data(), rest().data() + rest().size(), value);
    if (error != std::errc()) return Unknown();
    at_ += end - rest().data();
    return value;
  }

  // Arrow prints a list's item with the item's name, HF and others without.
  void SkipItemName() {
    SkipSpace();
    for (std::string_view item : {"item:", "element:"}) {
      if (rest().starts_with(item)) at_ += item.size();
    }
  }

  std::string_view Word() {
    SkipSpace();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  bool Take(char c) {
    SkipSpace();
    if (!rest().starts_with(c)) return false;
    ++at_;
    return true;
  }

  Status Expect(char c) { return Take(c) ? Status::OK() : Unknown(); }
  void SkipSpace() {
    while (rest().starts_with(' ')) ++at_;
  }
  std::string_view rest() const { return text_.substr(at_); }
  Status Unknown() const {
    return Status::Invalid(
        "unknown type ", Quoted(text_),
        " in schema=; types are bool, int8..int64, uint8..uint64, float16, float32, "
        "float64, string, binary, date32, timestamp[unit], duration[unit], time64[unit], "
        "decimal128(precision, scale), list<type>, struct<name: type, ...>, json, or an "
        "Arrow type");
  }

  static constexpr int kMaxDepth = 64;
  const std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string TypeName(const arrow::Field& field) {
  if (IsJsonField(field)) return "json";
  const arrow::DataType& type = *field.type();
  switch (type.id()) {
    case arrow::Type::FLOAT:
      return "float32";
    case arrow::Type::DOUBLE:
      return "float64";
    case arrow::Type::HALF_FLOAT:
      return "float16";
    case arrow::Type::LIST:
      return "list<" + TypeName(*type.field(0)) + ">";
    case arrow::Type::LARGE_LIST:
      return "large_list<" + TypeName(*type.field(0)) + ">";
    default:
      return type.ToString();
  }
}

std::string ColumnNames(const arrow::FieldVector& fields) {
  constexpr size_t kShown = 50;
  std::string names;
  for (size_t i = 0; i < std::min(fields.size(), kShown); ++i) {
    // Bare where that is clear; a file may call its columns anything.
    const std::string& name = fields[i]->name();
    const std::string quoted = Quoted(name);
    names += i ? ", " : "";
    names += quoted == '"' + name + '"' ? name : quoted;
  }
  if (fields.size() > kShown) {
    names += ", ... (" + std::to_string(fields.size()) + " in all)";
  }
  return fields.empty() ? "none" : names;
}

Result<std::shared_ptr<arrow::Field>> ParseField(const std::string& name,
                                                 const std::string& type_name) {
  if (type_name == "json") return JsonField(name);
  ARROW_ASSIGN_OR_RAISE(auto type, TypeParser(type_name).Parse());
  return arrow::field(name, std::move(type));
}

}  // namespace fast_axolotl
