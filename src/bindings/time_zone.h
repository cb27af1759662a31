// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>
#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>

namespace fast_axolotl {

struct TimeZone {
  nanobind::object tzinfo;    // not valid: there is no such zone
  nanobind::object from_utc;  // its method `fromutc`
  // The offset is the same for all times, so that `from_utc` need not be asked.
  bool is_fixed = false;
  int64_t offset_micros = 0;
};

// What pyarrow makes of a zone's name: "+05:30" is a datetime.timezone; any other name is
// a zoneinfo.ZoneInfo, or pytz.timezone's where zoneinfo does not know it and pytz is
// installed. "UTC" is datetime.timezone.utc where the machine has no zone data at all.
// Python errors other than an unknown zone stay set.
TimeZone FindTimeZone(const std::string& name);

}  // namespace fast_axolotl
