// SPDX-License-Identifier: Apache-2.0
#include "core/common/number.h"

#include <locale.h>
#include <stdlib.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include <charconv>
#include <string>
#include <system_error>

namespace fast_axolotl {

double ToDouble(std::string_view decimal) {
  double value = 0;
  const char* const end = decimal.data() + decimal.size();
  if (std::from_chars(decimal.data(), end, value).ec == std::errc()) return value;
  // from_chars does not say at which end the range was left; strtod_l does.
  static const locale_t kPlain = ::newlocale(LC_ALL_MASK, "C", nullptr);
  return ::strtod_l(std::string(decimal).c_str(), nullptr, kPlain);
}

}  // namespace fast_axolotl
