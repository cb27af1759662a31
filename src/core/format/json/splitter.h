// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/format/block_reader.h"

namespace fast_axolotl::json {

/// Finds the rows of a JSON file, whose first bytes decide its shape: the elements of an
/// array; lines; or, where `may_be_object` and the first line is not a whole object, one
/// object that is the only row. Rows are framed, not checked.
RowSplitter MakeSplitter(std::string path, bool may_be_object);

/// Finds the rows of a part of an array that begins with an element. `first`: it is the
/// array's first one.
RowSplitter MakeArraySplitter(std::string path, bool first);

/// Takes all of the text as one row.
RowSplitter MakeObjectSplitter(std::string path);

}  // namespace fast_axolotl::json
