// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>
#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "core/format/options.h"

namespace fast_axolotl {

// Lets Python follow a long pass of the core, which runs without the GIL: a function,
// unless None, is called with the bytes read so far. What it raises ends the pass, as a
// signal does.
class Ticker {
 public:
  explicit Ticker(nanobind::object progress) : progress_(std::move(progress)) {}

  // The options with a counter and this ticker, which must outlive the pass.
  ReadOptions Watch(ReadOptions options) {
    options.counter = std::make_shared<ByteCounter>(0);
    options.tick = [this, counter = options.counter]() -> Status {
      const nanobind::gil_scoped_acquire acquire;
      raised_ = PyErr_CheckSignals() != 0;
      if (!raised_ && !progress_.is_none()) {
        const nanobind::object result = nanobind::steal(PyObject_CallFunction(
            progress_.ptr(), "L", static_cast<long long>(counter->load())));
        raised_ = !result.is_valid();
      }
      return raised_ ? Status::Cancelled("stopped by the caller") : Status::OK();
    };
    return options;
  }

  // Throws what was raised in a pass that is over.
  void Rethrow() const {
    if (raised_) throw nanobind::python_error();
  }

 private:
  const nanobind::object progress_;
  bool raised_ = false;
};

}  // namespace fast_axolotl
