// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/format/block_reader.h"

namespace fast_axolotl::json {

/// Finds the rows of a JSON file, whose first bytes decide its shape: the elements of an
/// array; lines; or, where `may_be_object` and the first line is not a whole object, one
/// object that is the only row. Without `may_be_object` only an array of objects is one
/// (see BeginsArrayOfObjects). Rows are framed, not checked.
RowSplitter MakeSplitter(std::string path, bool may_be_object);

/// Whether a text begins as an array of objects does, or an empty array. Any other array
/// under a name of lines is a row, and a bad one.
bool BeginsArrayOfObjects(std::string_view text);

/// Finds the rows of a part of an array that begins with an element. `first`: it is the
/// array's first one.
RowSplitter MakeArraySplitter(std::string path, bool first);

/// Takes all of the text as one row.
RowSplitter MakeObjectSplitter(std::string path);

}  // namespace fast_axolotl::json
