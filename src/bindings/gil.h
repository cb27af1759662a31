// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>

namespace fast_axolotl {

// Lets other threads run Python while it lives, as nanobind's gil_scoped_release does.
//
// Python ends a thread that asks for the GIL once the interpreter is ending, by unwinding
// its stack, which a destructor answers with std::terminate. So from BeginExit() on only
// the thread that exits lets go of it: others, which can only be daemons, keep it until
// they are back in Python.
class ReleasedGil {
 public:
  ReleasedGil();
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;
  ~ReleasedGil();

 private:
  PyThreadState* state_ = nullptr;  // null if it was kept
};

// To be called by the thread that exits, with the GIL, before Python ends the others.
// Waits until these have it back, but not for ever.
void BeginExit();

// Whether this is another thread than the one that exits: work is to end then.
bool IsLeftAtExit();

}  // namespace fast_axolotl
