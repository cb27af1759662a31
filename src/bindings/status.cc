// SPDX-License-Identifier: Apache-2.0
#include "bindings/status.h"

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Paths may hold bytes that are no UTF-8; they look as os.fsdecode shows them.
nb::object Decode(const std::string& text) {
  return nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()),
                                        "surrogateescape"));
}

}  // namespace

void Throw(const Status& status) {
  const nb::object message = Decode(status.message());
  if (const auto* detail = dynamic_cast<const ErrnoDetail*>(status.detail().get())) {
    // OSError(errno, ...) picks its subclass: FileNotFoundError, PermissionError, ...
    const nb::object reason = Decode(detail->ToString());
    const nb::object path = Decode(detail->path());
    const nb::object error = nb::steal(PyObject_CallFunction(
        PyExc_OSError, "iOO", detail->code(), reason.ptr(), path.ptr()));
    if (error.is_valid()) {
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    }
  } else if (status.IsInvalid()) {
    PyErr_SetObject(PyExc_ValueError, message.ptr());
  } else if (status.IsTypeError()) {
    PyErr_SetObject(PyExc_TypeError, message.ptr());
  } else if (status.IsOutOfMemory()) {
    PyErr_SetObject(PyExc_MemoryError, message.ptr());
  } else {
    PyErr_SetObject(PyExc_OSError, message.ptr());
  }
  throw nb::python_error();
}

}  // namespace fast_axolotl
