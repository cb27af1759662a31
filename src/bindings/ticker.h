// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <Python.h>
#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "bindings/gil.h"
#include "bindings/status.h"
#include "core/common/stop.h"
#include "core/source/file.h"

namespace fast_axolotl {

// Lets Python end long work of the core, which runs without the GIL, and follow it: a
// function, unless None, is called with the bytes read so far: first, now and then, and
// at the end. What it raises ends the work, as a signal does.
class Ticker {
 public:
  explicit Ticker(nanobind::object progress = nanobind::none())
      : progress_(std::move(progress)) {}

  // What the work is to count the bytes with.
  const std::shared_ptr<ByteCounter>& counter() const { return counter_; }

  // What `work` makes, or the exception of its error or of what ended it.
  template <typename Work>
  auto Run(Work&& work) {
    if (!Report()) throw nanobind::python_error();
    auto made = [&] {
      const ReleasedGil released;
      const StopScope scope([this] {
        const nanobind::gil_scoped_acquire acquire;
        // This ends a daemon's thread without a word, as the interpreter will.
        if (IsLeftAtExit()) PyErr_SetNone(PyExc_SystemExit);
        raised_ = PyErr_Occurred() || PyErr_CheckSignals() != 0 || !Report();
        return raised_ ? Status::Cancelled("stopped by the caller") : Status::OK();
      });
      return Guarded(work);
    }();
    // Not all that it ends has an error: a sample is what could be read.
    if (raised_) throw nanobind::python_error();
    auto value = ValueOf(std::move(made));
    if (!Report()) throw nanobind::python_error();
    return value;
  }

 private:
  // False with a Python exception set.
  bool Report() {
    if (progress_.is_none()) return true;
    return nanobind::steal(
               PyObject_CallFunction(progress_.ptr(), "L",
                                     static_cast<long long>(counter_->load())))
        .is_valid();
  }

  const nanobind::object progress_;
  const std::shared_ptr<ByteCounter> counter_ = std::make_shared<ByteCounter>(0);
  bool raised_ = false;
};

}  // namespace fast_axolotl
