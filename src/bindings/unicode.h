// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Python.h>

#include <string_view>

namespace fast_axolotl {

/// What PyUnicode_DecodeUTF8 returns, made faster: the string is allocated once, at the
/// width that its widest character needs. `errors` as there.
PyObject* NewUnicode(std::string_view text, const char* errors = nullptr);

}  // namespace fast_axolotl
