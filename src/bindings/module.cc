// SPDX-License-Identifier: Apache-2.0
#include <Python.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "bindings/register.h"
#include "core/common/version.h"

// The names that nanobind makes of it; the module is `_core`.
NB_MODULE(_core_of_main, m) {
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

namespace {

// The state of nanobind, the caches of small objects and the open readers are one for the
// process: with objects of two interpreters in them it would hang or crash.
bool IsMainInterpreter() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return true;
  PyErr_SetString(PyExc_ImportError,
                  "fast_axolotl cannot be imported in a subinterpreter: import it in the "
                  "main interpreter, or use a process of its own (multiprocessing)");
  return false;
}

int (*execute)(PyObject*) = nullptr;

int ExecuteInMain(PyObject* module) { return IsMainInterpreter() ? execute(module) : -1; }

}  // namespace

// Before nanobind sees the interpreter. From Python 3.13 on this may be called in the
// main interpreter for another one, so it is looked at again where the module is
// executed.
extern "C" NB_EXPORT PyObject* PyInit__core() {
  if (!IsMainInterpreter()) return nullptr;
  PyObject* made = PyInit__core_of_main();
  if (made == nullptr || execute != nullptr) return made;
  auto* slot = reinterpret_cast<PyModuleDef*>(made)->m_slots;
  for (; slot != nullptr && slot->slot != 0; ++slot) {
    if (slot->slot != Py_mod_exec) continue;
    execute = reinterpret_cast<int (*)(PyObject*)>(slot->value);
    slot->value = reinterpret_cast<void*>(&ExecuteInMain);
  }
  return made;
}
