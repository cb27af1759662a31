// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/format/block_reader.h"

namespace fast_axolotl::json {

/// Finds the rows of a JSON file, whose first bytes decide its shape: the elements of an
/// array; lines; or, where `may_be_object` and the first line is not a whole object, one
/// object that is the only row. Rows are framed, not checked.
RowSplitter MakeSplitter(std::string path, bool may_be_object);

}  // namespace fast_axolotl::json
