// SPDX-License-Identifier: Apache-2.0

// The types that hold the values of several.

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/key_value_metadata.h"
#include "core/format/family.h"
#include "core/format/options.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

using arrow::Type;
using TypePtr = std::shared_ptr<arrow::DataType>;

TypePtr Widen(TypePtr a, TypePtr b);

// Numbers of one sort widen among themselves; integers with a sign and without meet in
// int64, which does not hold those of uint64, and with fractions in double.
TypePtr WidenNumbers(const TypePtr& a, const TypePtr& b) {
  const bool fractions = arrow::is_floating(a->id());
  if (fractions != arrow::is_floating(b->id())) return arrow::float64();
  if (fractions ||
      arrow::is_signed_integer(a->id()) == arrow::is_signed_integer(b->id())) {
    return a->bit_width() >= b->bit_width() ? a : b;
  }
  const bool huge = a->id() == Type::UINT64 || b->id() == Type::UINT64;
  return huge ? nullptr : arrow::int64();
}

template <typename TimeType>
arrow::TimeUnit::type FinerUnit(const arrow::DataType& a, const arrow::DataType& b) {
  return std::max(static_cast<const TimeType&>(a).unit(),
                  static_cast<const TimeType&>(b).unit());
}

TypePtr WidenTimestamps(const arrow::DataType& a, const arrow::DataType& b) {
  const std::string& zone = static_cast<const arrow::TimestampType&>(a).timezone();
  if (zone != static_cast<const arrow::TimestampType&>(b).timezone()) return nullptr;
  return arrow::timestamp(FinerUnit<arrow::TimestampType>(a, b), zone);
}

TypePtr WidenDecimals(const TypePtr& a, const TypePtr& b) {
  const auto& left = static_cast<const arrow::DecimalType&>(*a);
  const auto& right = static_cast<const arrow::DecimalType&>(*b);
  // Another scale would be other digits.
  if (left.scale() != right.scale()) return nullptr;
  return left.precision() >= right.precision() ? a : b;
}

TypePtr WidenLists(const arrow::DataType& a, const arrow::DataType& b) {
  TypePtr items = Widen(a.field(0)->type(), b.field(0)->type());
  if (!items) return nullptr;
  const auto is_large = [](const arrow::DataType& type) {
    return type.id() == Type::LARGE_LIST || type.id() == Type::LARGE_LIST_VIEW;
  };
  return is_large(a) || is_large(b) ? arrow::large_list(std::move(items))
                                    : arrow::list(std::move(items));
}

// Structs of other names have no common type: values would get keys that they had not.
TypePtr WidenStructs(const arrow::DataType& a, const arrow::DataType& b) {
  if (a.num_fields() != b.num_fields()) return nullptr;
  arrow::FieldVector fields;
  for (int i = 0; i < a.num_fields(); ++i) {
    if (a.field(i)->name() != b.field(i)->name()) return nullptr;
    TypePtr type = Widen(a.field(i)->type(), b.field(i)->type());
    if (!type) return nullptr;
    fields.push_back(arrow::field(a.field(i)->name(), std::move(type)));
  }
  return arrow::struct_(std::move(fields));
}

// The common type of two, or null where there is none.
TypePtr Widen(TypePtr a, TypePtr b) {
  if (a->Equals(*b) || b->id() == Type::NA) return a;
  if (a->id() == Type::NA) return b;
  a = DecodedType(std::move(a));
  b = DecodedType(std::move(b));
  if (a->Equals(*b)) return a;
  const Family family = FamilyOf(*a);
  if (family != FamilyOf(*b)) return nullptr;
  const auto either = [&](Type::type id) { return a->id() == id || b->id() == id; };
  switch (family) {
    case Family::kNumber:
      return WidenNumbers(a, b);
    case Family::kString:
      return either(Type::LARGE_STRING) ? arrow::large_utf8() : arrow::utf8();
    case Family::kBytes:
      return either(Type::LARGE_BINARY) ? arrow::large_binary() : arrow::binary();
    case Family::kDate:
      return arrow::date64();
    case Family::kTime: {
      const auto unit = FinerUnit<arrow::TimeType>(*a, *b);
      return unit <= arrow::TimeUnit::MILLI ? arrow::time32(unit) : arrow::time64(unit);
    }
    case Family::kTimestamp:
      return WidenTimestamps(*a, *b);
    case Family::kDuration:
      return arrow::duration(FinerUnit<arrow::DurationType>(*a, *b));
    case Family::kDecimal:
      return WidenDecimals(a, b);
    case Family::kList:
      return WidenLists(*a, *b);
    case Family::kStruct:
      return WidenStructs(*a, *b);
    default:
      return nullptr;
  }
}

// What a field says of an extension type that Arrow does not know; empty for none.
std::string UnknownExtension(const arrow::Field& field) {
  std::string told;
  for (const char* key : {"ARROW:extension:name", "ARROW:extension:metadata"}) {
    if (field.metadata()) told += field.metadata()->Get(key).ValueOr("") + '\n';
  }
  return told == "\n\n" ? "" : told;
}

std::shared_ptr<arrow::Field> WidenField(const std::shared_ptr<arrow::Field>& a,
                                         const std::shared_ptr<arrow::Field>& b,
                                         Mixed mixed) {
  const auto type_of = [](const arrow::Field& field) {
    return IsJsonField(field) ? TypeOfJsonField(field) : field.type();
  };
  const TypePtr left = type_of(*a);
  const TypePtr right = type_of(*b);
  if (!left || !right) return JsonField(a->name());
  if (TypePtr type = Widen(left, right)) {
    auto field = arrow::field(a->name(), std::move(type));
    const bool same = left->Equals(*right) && !IsJsonField(*a) && !IsJsonField(*b) &&
                      UnknownExtension(*a) == UnknownExtension(*b);
    return same ? field->WithMetadata(a->metadata()) : field;
  }
  return mixed == Mixed::kJson ? JsonField(a->name())
                               : arrow::field(a->name(), arrow::utf8());
}

TypePtr StableType(const TypePtr& type) {
  const auto field = [&] {
    return type->field(0)->WithType(StableType(type->field(0)->type()));
  };
  switch (type->id()) {
    case Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
      if (dictionary.index_type()->bit_width() >= 32) return type;
      return arrow::dictionary(arrow::int32(), dictionary.value_type(),
                               dictionary.ordered());
    }
    case Type::LIST:
      return arrow::list(field());
    case Type::LARGE_LIST:
      return arrow::large_list(field());
    case Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          field(), static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case Type::STRUCT: {
      arrow::FieldVector fields = type->fields();
      for (auto& child : fields) child = child->WithType(StableType(child->type()));
      return arrow::struct_(std::move(fields));
    }
    default:
      return type;
  }
}

}  // namespace

std::shared_ptr<arrow::Field> StableField(const arrow::Field& field) {
  return field.WithNullable(true)->WithType(StableType(field.type()));
}

Family FamilyOf(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
      return Family::kString;
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return Family::kBytes;
    case Type::DATE32:
    case Type::DATE64:
      return Family::kDate;
    case Type::TIME32:
    case Type::TIME64:
      return Family::kTime;
    case Type::TIMESTAMP:
      return Family::kTimestamp;
    case Type::DURATION:
      return Family::kDuration;
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW:
    case Type::FIXED_SIZE_LIST:
      return Family::kList;
    case Type::STRUCT:
      return Family::kStruct;
    default:
      if (arrow::is_integer(type.id()) || arrow::is_floating(type.id())) {
        return Family::kNumber;
      }
      return arrow::is_decimal(type.id()) ? Family::kDecimal : Family::kNone;
  }
}

TypePtr DecodedType(TypePtr type) {
  while (type->id() == Type::DICTIONARY || type->id() == Type::RUN_END_ENCODED) {
    type = type->id() == Type::DICTIONARY
               ? static_cast<const arrow::DictionaryType&>(*type).value_type()
               : static_cast<const arrow::RunEndEncodedType&>(*type).value_type();
  }
  return type;
}

std::shared_ptr<arrow::Schema> WidenSchema(const arrow::Schema& a, const arrow::Schema& b,
                                           Mixed mixed) {
  arrow::FieldVector fields = a.fields();
  std::unordered_map<std::string, size_t> by_name;
  for (size_t i = 0; i < fields.size(); ++i) by_name.emplace(fields[i]->name(), i);
  for (const auto& field : b.fields()) {
    const auto [found, added] = by_name.emplace(field->name(), fields.size());
    if (added) {
      fields.push_back(field);
    } else {
      auto& known = fields[found->second];
      known = WidenField(known, field, mixed);
    }
  }
  return arrow::schema(std::move(fields));
}

}  // namespace fast_axolotl
