// SPDX-License-Identifier: Apache-2.0
#include "core/format/schema.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "arrow/type_traits.h"
#include "core/format/options.h"

namespace fast_axolotl {
namespace {

// The common kind of two types, or null where there is none.
std::shared_ptr<arrow::DataType> Widen(const std::shared_ptr<arrow::DataType>& a,
                                       const std::shared_ptr<arrow::DataType>& b) {
  using arrow::Type;
  if (a->Equals(*b)) return a;
  if (a->id() == Type::NA) return b;
  if (b->id() == Type::NA) return a;
  const auto is_number = [](const arrow::DataType& type) {
    return arrow::is_integer(type.id()) || arrow::is_floating(type.id());
  };
  if (is_number(*a) && is_number(*b)) {
    return arrow::is_integer(a->id()) && arrow::is_integer(b->id()) ? arrow::int64()
                                                                    : arrow::float64();
  }
  if (a->id() == Type::LIST && b->id() == Type::LIST) {
    auto items = Widen(a->field(0)->type(), b->field(0)->type());
    return items ? arrow::list(std::move(items)) : nullptr;
  }
  return nullptr;
}

std::shared_ptr<arrow::Field> WidenField(const std::shared_ptr<arrow::Field>& a,
                                         const std::shared_ptr<arrow::Field>& b,
                                         Mixed mixed) {
  const auto type_of = [](const arrow::Field& field) {
    return IsJsonField(field) ? TypeOfJsonField(field) : field.type();
  };
  const auto left = type_of(*a);
  const auto right = type_of(*b);
  if (!left || !right) return JsonField(a->name());
  auto type = Widen(left, right);
  if (type) return arrow::field(a->name(), std::move(type));
  return mixed == Mixed::kJson ? JsonField(a->name())
                               : arrow::field(a->name(), arrow::utf8());
}

}  // namespace

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

std::vector<std::string> UniqueNames(const std::vector<std::string>& names) {
  // Names that stand in the file as they are take precedence over made-up ones.
  std::unordered_set<std::string> taken(names.begin(), names.end());
  std::unordered_set<std::string> used;
  std::unordered_map<std::string, int> last;  // number given out, by name
  std::vector<std::string> unique;
  unique.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    std::string name = names[i].empty() ? "column_" + std::to_string(i) : names[i];
    if (names[i].empty() ? !taken.insert(name).second : !used.insert(name).second) {
      const std::string stem = name;
      int& n = last[stem];
      while (!taken.insert(name = stem + "_" + std::to_string(++n)).second) {
      }
    }
    unique.push_back(std::move(name));
  }
  return unique;
}

std::shared_ptr<arrow::Schema> WithUniqueNames(const arrow::Schema& schema) {
  const auto names = UniqueNames(schema.field_names());
  arrow::FieldVector fields = schema.fields();
  for (size_t i = 0; i < fields.size(); ++i) fields[i] = fields[i]->WithName(names[i]);
  return arrow::schema(std::move(fields), schema.metadata());
}

}  // namespace fast_axolotl
