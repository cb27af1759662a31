// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "bindings/register.h"
#include "core/common/version.h"

NB_MODULE(_core, m) {
  // A reader that is alive at exit has been closed by then: no reason to alarm anybody.
  nanobind::set_leak_warnings(false);
  m.doc() = "The compiled core of fast_axolotl.";
  m.def("version", &fast_axolotl::Version, "The version of the compiled core.");
  fast_axolotl::RegisterFormats(m);
  fast_axolotl::RegisterDataset(m);
  fast_axolotl::RegisterPadding(m);
  fast_axolotl::RegisterPlan(m);
  fast_axolotl::RegisterPacking(m);
  fast_axolotl::RegisterOutput(m);
  fast_axolotl::RegisterReader(m);
}
