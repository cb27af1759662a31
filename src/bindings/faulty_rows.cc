// SPDX-License-Identifier: Apache-2.0
#include "bindings/faulty_rows.h"

#include <utility>

#include "bindings/column_values.h"
#include "bindings/status.h"

namespace nb = nanobind;

namespace fast_axolotl {

Status TakeException(const Misfit& misfit) {
  const bool of_value =
      PyErr_ExceptionMatches(PyExc_OSError) || PyErr_ExceptionMatches(PyExc_ValueError);
  if (misfit.row == kInterrupted || !of_value) throw nb::python_error();
  const nb::python_error error;
  return Status::Invalid(nb::str(error.value()).c_str());
}

void FaultyRows::TakeOut(const Misfit& misfit, const Fits& fits, Batch* batch) {
  const Status status = TakeException(misfit);
  if (dataset_->options().keep_bad_rows) {
    return Check(LeaveOutMisfits(*dataset_, misfit, status, fits, batch));
  }
  const std::string message = MisfitAt(*dataset_, *batch, misfit, status).message();
  const nb::object text = nb::steal(PyUnicode_DecodeUTF8(
      message.data(), static_cast<Py_ssize_t>(message.size()), "surrogateescape"));
  stored_ = nb::handle(PyExc_OSError)(text);
  // A shuffled batch has its rows from anywhere.
  if (misfit.row == 0 || batch->gathered() || whole_) RaiseStored();
  batch->Shorten(misfit.row);
}

void FaultyRows::RaiseStored() const {
  if (!stored_.is_valid()) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(stored_.ptr())), stored_.ptr());
  throw nb::python_error();
}

void FaultyRows::Note(int64_t rows, std::vector<std::string> bad) {
  skipped_ += rows;
  for (std::string& each : bad) noted_.push_back(std::move(each));
}

std::vector<std::string> FaultyRows::TakeNoted() { return std::exchange(noted_, {}); }

}  // namespace fast_axolotl
