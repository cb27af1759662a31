// SPDX-License-Identifier: Apache-2.0
#include "core/format/schema.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "arrow/type.h"

namespace fast_axolotl {

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
