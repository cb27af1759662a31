// SPDX-License-Identifier: Apache-2.0
#include "core/common/version.h"

namespace fast_axolotl {

std::string_view Version() { return FAST_AXOLOTL_VERSION; }

}  // namespace fast_axolotl
