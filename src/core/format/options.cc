// SPDX-License-Identifier: Apache-2.0
#include "core/format/options.h"

#include <algorithm>

#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

namespace fast_axolotl {
namespace {

constexpr char kJsonKey[] = "fast_axolotl:json";
constexpr char kPresenceKey[] = "fast_axolotl:presence";

// No key is not UTF-8 but for surrogates, so none begins with this byte.
std::string PresenceName(const std::string& name) { return "\xFF" + name; }

}  // namespace

std::shared_ptr<arrow::Field> ReadOptions::FixedField(const std::string& column) const {
  return types ? types->GetFieldByName(column) : nullptr;
}

bool ReadOptions::Wants(const std::string& column) const {
  return !columns ||
         std::find(columns->begin(), columns->end(), column) != columns->end();
}

std::shared_ptr<arrow::Field> JsonField(const std::string& name) {
  static const auto kMetadata = arrow::key_value_metadata({kJsonKey}, {"text"});
  return arrow::field(name, arrow::utf8(), /*nullable=*/true, kMetadata);
}

bool IsJsonField(const arrow::Field& field) {
  return field.metadata() && field.metadata()->Contains(kJsonKey);
}

std::shared_ptr<arrow::Field> PresenceField(const std::string& name) {
  static const auto kMetadata = arrow::key_value_metadata({kPresenceKey}, {"row"});
  return arrow::field(PresenceName(name), arrow::boolean(), /*nullable=*/false,
                      kMetadata);
}

bool IsPresenceField(const arrow::Field& field) {
  return field.metadata() && field.metadata()->Contains(kPresenceKey);
}

int PresenceIndex(const arrow::Schema& schema, const std::string& name) {
  return schema.GetFieldIndex(PresenceName(name));
}

}  // namespace fast_axolotl
