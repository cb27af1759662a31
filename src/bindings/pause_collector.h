// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>

namespace fast_axolotl {

// Keeps the cyclic collector from walking half-built lists again and again; nothing that
// is built meanwhile can be garbage. The GIL must be held.
class PauseCollector {
 public:
  PauseCollector() : was_enabled_(PyGC_Disable()) {}
  PauseCollector(const PauseCollector&) = delete;
  PauseCollector& operator=(const PauseCollector&) = delete;
  ~PauseCollector() {
    if (was_enabled_) PyGC_Enable();
  }

 private:
  const int was_enabled_;
};

}  // namespace fast_axolotl
