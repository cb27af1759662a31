// SPDX-License-Identifier: Apache-2.0
//
// Dates, times, timestamps, durations and intervals.

#include <Python.h>
// Needs Python.h before it.
#include <arrow/array.h>
#include <arrow/type.h>
#include <datetime.h>

#include <chrono>
#include <string>

#include "bindings/converter.h"
#include "bindings/time_zone.h"

namespace fast_axolotl {

namespace nb = nanobind;

namespace {

constexpr int64_t kDayMicros = 86'400'000'000;
constexpr int64_t kFirstDay = -719'162;  // 0001-01-01, counted from 1970-01-01
constexpr int64_t kLastDay = 2'932'896;  // 9999-12-31
constexpr int64_t kMaxDeltaDays = 999'999'999;

// A quantity of time as whole days, rounded down, and the rest.
struct Span {
  int64_t days;
  int64_t micros;  // [0, kDayMicros)
};

Span MakeSpan(int64_t value, int64_t units_per_day) {
  int64_t days = value / units_per_day;
  int64_t rest = value % units_per_day;
  if (rest < 0) {
    rest += units_per_day;
    --days;
  }
  // Nanoseconds are known to be whole microseconds by then.
  return {days, units_per_day > kDayMicros ? rest / (units_per_day / kDayMicros)
                                           : rest * (kDayMicros / units_per_day)};
}

int64_t UnitsPerDay(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 86'400;
    case arrow::TimeUnit::MILLI:
      return 86'400'000;
    case arrow::TimeUnit::MICRO:
      return kDayMicros;
    default:
      return kDayMicros * 1000;
  }
}

bool IsWholeMicros(int64_t value, int64_t units_per_day) {
  return units_per_day <= kDayMicros || value % (units_per_day / kDayMicros) == 0;
}

bool HasDate(int64_t days) { return days >= kFirstDay && days <= kLastDay; }

std::string Describe(int64_t value, const arrow::DataType& type) {
  return "the value " + std::to_string(value) + " of type " + type.ToString();
}

std::nullptr_t FailRange(int64_t value, const arrow::DataType& type, const char* python) {
  return Fail(Describe(value, type) + " lies outside what " + python + " can hold" +
              kUseSchema);
}

std::nullptr_t FailNanos(int64_t value, const arrow::DataType& type, const char* python) {
  return Fail(Describe(value, type) + " is no whole number of microseconds, which " +
              python + " counts in" + kUseSchema);
}

PyObject* NewDate(int64_t days) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(days)}}};
  return PyDate_FromDate(static_cast<int>(date.year()),
                         static_cast<int>(static_cast<unsigned>(date.month())),
                         static_cast<int>(static_cast<unsigned>(date.day())));
}

struct Clock {
  explicit Clock(int64_t of_day)
      : hour(static_cast<int>(of_day / 3'600'000'000)),
        minute(static_cast<int>(of_day / 60'000'000 % 60)),
        second(static_cast<int>(of_day / 1'000'000 % 60)),
        micros(static_cast<int>(of_day % 1'000'000)) {}
  int hour, minute, second, micros;
};

PyObject* NewDateTime(Span span, PyObject* zone) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(span.days)}}};
  const Clock clock(span.micros);
  return PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(date.year()),
      static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day())), clock.hour, clock.minute,
      clock.second, clock.micros, zone, PyDateTimeAPI->DateTimeType);
}

template <typename T>
ConverterPtr MakeDate(const arrow::Array& array, int64_t units_per_day) {
  const T* values = nullptr;
  if (!GetValues(array, 1, &values)) return nullptr;
  return MakeLeaf(array, [values, units_per_day, type = array.type().get()](int64_t row) {
    const Span span = MakeSpan(values[row], units_per_day);
    if (HasDate(span.days)) return NewDate(span.days);
    return static_cast<PyObject*>(FailRange(values[row], *type, "datetime.date"));
  });
}

template <typename T>
ConverterPtr MakeTime(const arrow::Array& array) {
  const T* values = nullptr;
  if (!GetValues(array, 1, &values)) return nullptr;
  const auto* type = static_cast<const arrow::TimeType*>(array.type().get());
  return MakeLeaf(
      array,
      [values, type, per_day = UnitsPerDay(type->unit())](int64_t row) -> PyObject* {
        const int64_t value = values[row];
        if (!IsWholeMicros(value, per_day))
          return FailNanos(value, *type, "datetime.time");
        const Span span = MakeSpan(value, per_day);
        // Where a value lies beyond its day, the time is that of a clock, as in pyarrow.
        if (!HasDate(span.days)) return FailRange(value, *type, "datetime.time");
        const Clock clock(span.micros);
        return PyTime_FromTime(clock.hour, clock.minute, clock.second, clock.micros);
      });
}

ConverterPtr MakeDuration(const arrow::Array& array) {
  const int64_t* values = nullptr;
  if (!GetValues(array, 1, &values)) return nullptr;
  const auto* type = static_cast<const arrow::DurationType*>(array.type().get());
  return MakeLeaf(
      array,
      [values, type, per_day = UnitsPerDay(type->unit())](int64_t row) -> PyObject* {
        const int64_t value = values[row];
        if (!IsWholeMicros(value, per_day)) {
          return FailNanos(value, *type, "datetime.timedelta");
        }
        const Span span = MakeSpan(value, per_day);
        if (span.days < -kMaxDeltaDays || span.days > kMaxDeltaDays) {
          return FailRange(value, *type, "datetime.timedelta");
        }
        return PyDelta_FromDSU(static_cast<int>(span.days),
                               static_cast<int>(span.micros / 1'000'000),
                               static_cast<int>(span.micros % 1'000'000));
      });
}

class TimestampMaker {
 public:
  TimestampMaker(const int64_t* values, const arrow::TimestampType* type)
      : values_(values), type_(type), per_day_(UnitsPerDay(type->unit())) {}

  PyObject* operator()(int64_t row) {
    const int64_t value = values_[row];
    if (!IsWholeMicros(value, per_day_)) {
      return FailNanos(value, *type_, "datetime.datetime");
    }
    Span span = MakeSpan(value, per_day_);
    if (!HasDate(span.days)) return FailRange(value, *type_, "datetime.datetime");
    if (type_->timezone().empty()) return NewDateTime(span, Py_None);

    // Looked up for the first value and not for the column: a zone that nothing needs
    // may be unknown.
    if (!zone_.tzinfo.is_valid()) {
      zone_ = FindTimeZone(type_->timezone());
      if (!zone_.tzinfo.is_valid()) {
        if (PyErr_Occurred() != nullptr) return nullptr;
        return Fail(Describe(value, *type_) +
                    " has a time zone that Python's zoneinfo does not know" + kUseSchema);
      }
    }
    if (zone_.is_fixed) {
      const Span local = MakeSpan(span.micros + zone_.offset_micros, kDayMicros);
      span = {span.days + local.days, local.micros};
      if (!HasDate(span.days)) return FailRange(value, *type_, "datetime.datetime");
      return NewDateTime(span, zone_.tzinfo.ptr());
    }
    nb::object utc = nb::steal(NewDateTime(span, zone_.tzinfo.ptr()));
    if (!utc.is_valid()) return nullptr;
    PyObject* local = PyObject_CallOneArg(zone_.from_utc.ptr(), utc.ptr());
    if (local == nullptr && (PyErr_ExceptionMatches(PyExc_OverflowError) != 0 ||
                             PyErr_ExceptionMatches(PyExc_ValueError) != 0)) {
      PyErr_Clear();
      return FailRange(value, *type_, "datetime.datetime");
    }
    return local;
  }

 private:
  const int64_t* values_;
  const arrow::TimestampType* type_;
  int64_t per_day_;
  TimeZone zone_;
};

struct Interval {
  int64_t months, days, nanoseconds;
};

template <typename T, typename Split>
ConverterPtr MakeInterval(const arrow::Array& array, Split split) {
  const T* values = nullptr;
  if (!GetValues(array, 1, &values)) return nullptr;
  return MakeLeaf(
      array, [values, split, type = nb::object()](int64_t row) mutable -> PyObject* {
        // pyarrow's own class, hence the only values that import pyarrow.
        if (!type.is_valid()) {
          type = ImportAttribute("pyarrow", "MonthDayNano");
          if (!type.is_valid()) return nullptr;
        }
        const Interval interval = split(values[row]);
        nb::object parts =
            nb::steal(Py_BuildValue("(LLL)", static_cast<long long>(interval.months),
                                    static_cast<long long>(interval.days),
                                    static_cast<long long>(interval.nanoseconds)));
        return parts.is_valid() ? PyObject_CallOneArg(type.ptr(), parts.ptr()) : nullptr;
      });
}

}  // namespace

ConverterPtr MakeTemporalConverter(const arrow::Array& array) {
  if (PyDateTimeAPI == nullptr) {
    PyDateTime_IMPORT;
    if (PyDateTimeAPI == nullptr) return nullptr;
  }
  switch (array.type_id()) {
    case arrow::Type::DATE32:
      return MakeDate<int32_t>(array, 1);
    case arrow::Type::DATE64:
      return MakeDate<int64_t>(array, UnitsPerDay(arrow::TimeUnit::MILLI));
    case arrow::Type::TIME32:
      return MakeTime<int32_t>(array);
    case arrow::Type::TIME64:
      return MakeTime<int64_t>(array);
    case arrow::Type::TIMESTAMP: {
      const int64_t* values = nullptr;
      if (!GetValues(array, 1, &values)) return nullptr;
      return MakeLeaf(array,
                      TimestampMaker(values, static_cast<const arrow::TimestampType*>(
                                                 array.type().get())));
    }
    default:
      return MakeDuration(array);
  }
}

ConverterPtr MakeIntervalConverter(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::INTERVAL_MONTHS:
      return MakeInterval<int32_t>(array,
                                   [](int32_t months) { return Interval{months, 0, 0}; });
    case arrow::Type::INTERVAL_DAY_TIME:
      return MakeInterval<arrow::DayTimeIntervalType::DayMilliseconds>(
          array, [](const auto& value) {
            return Interval{0, value.days, int64_t{value.milliseconds} * 1'000'000};
          });
    default:
      return MakeInterval<arrow::MonthDayNanoIntervalType::MonthDayNanos>(
          array, [](const auto& value) {
            return Interval{value.months, value.days, value.nanoseconds};
          });
  }
}

}  // namespace fast_axolotl
