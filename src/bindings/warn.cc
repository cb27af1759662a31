// SPDX-License-Identifier: Apache-2.0
#include "bindings/warn.h"

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/common/text.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// How far up the stack the code is that called this package.
Py_ssize_t CallerLevel() {
  Py_ssize_t level = 1;
  nb::object frame = nb::borrow(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame.is_valid()) {
    auto* python = reinterpret_cast<PyFrameObject*>(frame.ptr());
    const nb::object globals = nb::steal(PyFrame_GetGlobals(python));
    const nb::object name = nb::borrow(PyDict_GetItemString(globals.ptr(), "__name__"));
    if (!name.is_valid() || !nb::isinstance<nb::str>(name) ||
        !std::string_view(nb::cast<nb::str>(name).c_str()).starts_with("fast_axolotl")) {
      break;
    }
    ++level;
    frame = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetBack(python)));
  }
  return level;
}

}  // namespace

void WarnOfLateColumns(LateColumns* late) {
  const std::vector<std::string> names = late->Take();
  if (names.empty()) return;
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + Quoted(name);
  const std::string text =
      "rows have columns that no sample showed, which are left out: " + list +
      "; schema= with their types brings them in, output=\"python\" gives them as "
      "they are";
  const nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  if (PyErr_WarnEx(PyExc_UserWarning, nb::cast<std::string>(message).c_str(),
                   CallerLevel()) != 0) {
    throw nb::python_error();
  }
}

}  // namespace fast_axolotl
