// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

namespace fast_axolotl {

// Each adds the bindings of the file that is named after it.
void RegisterDataset(nanobind::module_& m);
void RegisterFormats(nanobind::module_& m);
void RegisterOutput(nanobind::module_& m);
void RegisterPacking(nanobind::module_& m);
void RegisterPadding(nanobind::module_& m);
void RegisterPlan(nanobind::module_& m);
void RegisterReader(nanobind::module_& m);

}  // namespace fast_axolotl
