// SPDX-License-Identifier: Apache-2.0

#include "bindings/time_zone.h"

#include <Python.h>
// Needs Python.h before it.
#include <datetime.h>

#include "bindings/converter.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "+hh:mm" or "-hh:mm", up to 23:59.
bool ParseOffset(const std::string& name, int* minutes) {
  if (name.size() != 6 || (name[0] != '+' && name[0] != '-') || name[3] != ':')
    return false;
  if (!IsDigit(name[1]) || !IsDigit(name[2]) || !IsDigit(name[4]) || !IsDigit(name[5])) {
    return false;
  }
  const int hour = (name[1] - '0') * 10 + (name[2] - '0');
  const int minute = (name[4] - '0') * 10 + (name[5] - '0');
  if (hour > 23 || minute > 59) return false;
  *minutes = (name[0] == '-' ? -1 : 1) * (hour * 60 + minute);
  return true;
}

// The ways to be unknown are many: a key error, a bad path, a folder's name.
bool ClearUnknown() {
  if (PyErr_ExceptionMatches(PyExc_MemoryError) != 0 ||
      PyErr_ExceptionMatches(PyExc_Exception) == 0) {
    return false;
  }
  PyErr_Clear();
  return true;
}

nb::object FindNamed(const std::string& name) {
  const char* const sources[][2] = {{"zoneinfo", "ZoneInfo"}, {"pytz", "timezone"}};
  for (const auto& [module, attribute] : sources) {
    nb::object find = ImportAttribute(module, attribute);
    nb::object key =
        nb::steal(find.is_valid() ? PyUnicode_FromStringAndSize(
                                        name.data(), static_cast<Py_ssize_t>(name.size()))
                                  : nullptr);
    nb::object zone =
        nb::steal(key.is_valid() ? PyObject_CallOneArg(find.ptr(), key.ptr()) : nullptr);
    if (zone.is_valid()) return zone;
    if (!ClearUnknown()) return nb::object();
  }
  if (name == "UTC") return nb::borrow(PyDateTime_TimeZone_UTC);
  return nb::object();
}

}  // namespace

TimeZone FindTimeZone(const std::string& name) {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  TimeZone zone;
  if (PyDateTimeAPI == nullptr) return zone;
  int minutes = 0;
  if (ParseOffset(name, &minutes)) {
    nb::object delta = nb::steal(PyDelta_FromDSU(0, minutes * 60, 0));
    if (!delta.is_valid()) return zone;
    zone.tzinfo = nb::steal(PyTimeZone_FromOffset(delta.ptr()));
    zone.is_fixed = true;
    zone.offset_micros = int64_t{minutes} * 60'000'000;
    return zone;
  }
  zone.tzinfo = FindNamed(name);
  zone.is_fixed = name == "UTC";
  if (!zone.tzinfo.is_valid() || zone.is_fixed) return zone;
  zone.from_utc = nb::steal(PyObject_GetAttrString(zone.tzinfo.ptr(), "fromutc"));
  if (!zone.from_utc.is_valid()) zone.tzinfo = nb::object();
  return zone;
}

}  // namespace fast_axolotl
