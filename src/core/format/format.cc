// SPDX-License-Identifier: Apache-2.0
#include "core/format/format.h"

namespace fast_axolotl {

std::span<const Format* const> Formats() {
  static const Format* const kFormats[] = {&kParquet, &kArrow, &kFeather, &kJson,
                                           &kJsonl,   &kCsv,   &kText};
  return kFormats;
}

const Format* FindFormat(std::string_view name) {
  for (const Format* format : Formats()) {
    if (format->name == name) return format;
  }
  return nullptr;
}

}  // namespace fast_axolotl
