// SPDX-License-Identifier: Apache-2.0
#include "bindings/python_number.h"

#include <arrow/type.h>
#include <nanobind/nanobind.h>

#include "core/output/numbers.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

NumberKind ReadInt(PyObject* number, int64_t* value) {
  int overflow = 0;
  *value = PyLong_AsLongLongAndOverflow(number, &overflow);
  return overflow == 0 ? NumberKind::kFits : NumberKind::kTooLarge;
}

// That it is no number is ours to say; what else is raised, such as Ctrl-C, passes.
void ForgetTypeError() {
  if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
  PyErr_Clear();
}

// A new int, or null. 0-d arrays of floats have an __index__ that raises.
nb::object AsInt(PyObject* number) {
  if (PyLong_Check(number)) return nb::borrow(number);
  if (!PyIndex_Check(number)) return {};
  nb::object integer = nb::steal(PyNumber_Index(number));
  if (!integer.is_valid()) ForgetTypeError();
  return integer;
}

bool HasFloat(PyObject* number) {
  const PyNumberMethods* methods = Py_TYPE(number)->tp_as_number;
  return methods != nullptr && methods->nb_float != nullptr;
}

}  // namespace

NumberKind ReadNumber(PyObject* number, int64_t* value) {
  const nb::object integer = AsInt(number);
  if (integer.is_valid()) return ReadInt(integer.ptr(), value);
  return HasFloat(number) ? NumberKind::kFloat : NumberKind::kNoNumber;
}

NumberKind ReadNumber(PyObject* number, double* value) {
  if (const nb::object integer = AsInt(number); integer.is_valid()) {
    static const CopyNumbers copy =
        CopierOf(*arrow::int64(), *arrow::float64()).ValueOrDie();
    int64_t exact = 0;
    const NumberKind kind = ReadInt(integer.ptr(), &exact);
    if (kind != NumberKind::kFits) return kind;
    const bool fits = copy(reinterpret_cast<const uint8_t*>(&exact), 1,
                           reinterpret_cast<uint8_t*>(value)) < 0;
    return fits ? NumberKind::kFits : NumberKind::kTooLarge;
  }
  if (!HasFloat(number)) return NumberKind::kNoNumber;
  *value = PyFloat_AsDouble(number);
  if (!PyErr_Occurred()) return NumberKind::kFits;
  ForgetTypeError();
  return NumberKind::kNoNumber;
}

}  // namespace fast_axolotl
