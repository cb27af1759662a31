// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "core/format/options.h"

namespace fast_axolotl {

// Warns the code that called this package of columns that no sample showed, if there are
// any since the last call. Throws where warnings are errors.
void WarnOfLateColumns(LateColumns* late);

}  // namespace fast_axolotl
