// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "core/common/version.h"

NB_MODULE(_core, m) {
  m.doc() = "The compiled core of fast_axolotl.";
  m.def("version", &fast_axolotl::Version, "The version of the compiled core.");
}
