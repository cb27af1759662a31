// SPDX-License-Identifier: Apache-2.0
#include "core/format/options.h"

#include <algorithm>
#include <utility>

#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

namespace fast_axolotl {
namespace {

constexpr char kJsonKey[] = "fast_axolotl:json";
constexpr char kPresenceKey[] = "fast_axolotl:presence";

// No key is not UTF-8 but for surrogates, so none begins with this byte.
std::string PresenceName(const std::string& name) { return "\xFF" + name; }

}  // namespace

void LateColumns::Add(const std::string& name) {
  std::lock_guard lock(mutex_);
  // Beyond so many, more of them tell nobody anything.
  constexpr size_t kMostNames = 10'000;
  if (seen_.size() < kMostNames && seen_.insert(name).second) new_.push_back(name);
}

std::vector<std::string> LateColumns::Take() {
  std::lock_guard lock(mutex_);
  return std::exchange(new_, {});
}

std::shared_ptr<arrow::Field> ReadOptions::FixedField(const std::string& column) const {
  return types ? types->GetFieldByName(column) : nullptr;
}

std::shared_ptr<arrow::Field> ReadOptions::WantedField(const std::string& column) const {
  return stable ? stable->GetFieldByName(column) : FixedField(column);
}

bool ReadOptions::Wants(const std::string& column) const {
  return !columns ||
         std::find(columns->begin(), columns->end(), column) != columns->end();
}

Status CheckMetadata(int64_t bytes, const Limits& limits, const std::string& path) {
  if (bytes <= limits.metadata_bytes) return Status::OK();
  return Status::IOError(path, ": the metadata take ", bytes, " bytes, the limit is ",
                         limits.metadata_bytes, RaiseLimit(limits, "metadata_bytes"));
}

Status CheckColumns(int64_t columns, const Limits& limits, const std::string& path) {
  if (columns <= limits.columns) return Status::OK();
  return Status::IOError(path, ": there are ", columns, " columns, the limit is ",
                         limits.columns, RaiseLimit(limits, "columns"));
}

std::shared_ptr<arrow::Field> JsonField(const std::string& name) {
  static const auto kMetadata = arrow::key_value_metadata({kJsonKey}, {"text"});
  return arrow::field(name, arrow::utf8(), /*nullable=*/true, kMetadata);
}

bool IsJsonField(const arrow::Field& field) {
  return field.metadata() && field.metadata()->Contains(kJsonKey);
}

std::shared_ptr<arrow::Field> JsonNumberField(const std::string& name,
                                              const arrow::DataType& type) {
  const char* kind = type.id() == arrow::Type::LIST ? "list<double>" : "double";
  return arrow::field(name, arrow::utf8(), /*nullable=*/true,
                      arrow::key_value_metadata({kJsonKey}, {kind}));
}

std::shared_ptr<arrow::DataType> TypeOfJsonField(const arrow::Field& field) {
  const std::string kind = field.metadata()->Get(kJsonKey).ValueOr("text");
  if (kind == "double") return arrow::float64();
  if (kind == "list<double>") return arrow::list(arrow::float64());
  return nullptr;
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
