// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arrow/type.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// What becomes of a column in which kinds meet that have no common one.
enum class Mixed { kJson, kString };

/// The schema that holds the rows of both: columns united by name, those of `a` first.
/// Kinds widen null < int64 < double, null < bool, null < string, lists alike; the types
/// of files to one that holds the values of both, of one family (see family.h).
std::shared_ptr<arrow::Schema> WidenSchema(const arrow::Schema& a, const arrow::Schema& b,
                                           Mixed mixed);

/// The field in a form that holds the rows of many blocks and files: with nulls, and with
/// indices into dictionaries that do not run out where those of files come together.
std::shared_ptr<arrow::Field> StableField(const arrow::Field& field);

/// Column names made unique: a repeated one gets `_1`, `_2`, ...; an empty one is
/// `column_<i>`, i being its position from 0.
std::vector<std::string> UniqueNames(const std::vector<std::string>& names);

/// `schema` with unique column names.
std::shared_ptr<arrow::Schema> WithUniqueNames(const arrow::Schema& schema);

/// A type's name as users write and read it: "int64", "list<int64>", "json", ...
std::string TypeName(const arrow::Field& field);

/// The names for a message, "none" where there are none, the first 50 of many.
std::string ColumnNames(const arrow::FieldVector& fields);

/// The field `name` of the type called `type_name`, such as "int32", "string", "json",
/// "timestamp[us, UTC]", "list<float32>", "decimal128(10, 2)".
Result<std::shared_ptr<arrow::Field>> ParseField(const std::string& name,
                                                 const std::string& type_name);

}  // namespace fast_axolotl
