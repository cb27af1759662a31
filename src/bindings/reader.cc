// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "bindings/batch_to_python.h"
#include "bindings/register.h"
#include "bindings/status.h"
#include "core/scan/batch_reader.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Signals are looked at this often while waiting for rows.
constexpr std::chrono::milliseconds kPatience{50};

// Batches as Python objects, one reader for one pass over a dataset.
class Reader {
 public:
  Reader(std::shared_ptr<Dataset> dataset, int64_t batch_size, int num_threads,
         int64_t read_ahead_bytes, int64_t first, int64_t step)
      : dataset_(std::move(dataset)) {
    ReadOptions options = dataset_->options();
    options.counter = bytes_read_;
    auto scan = std::make_unique<Scan>(dataset_, std::move(options),
                                       ScanOptions{num_threads, read_ahead_bytes});
    batches_ = std::make_unique<BatchReader>(std::move(scan), batch_size,
                                             BatchShare{first, step});
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { Close(); }

  // The next batch as a dict of lists.
  nb::object NextDict() {
    const Turn turn(this);
    RaiseStored();
    std::optional<Batch> batch = Wait();
    if (!batch) throw nb::stop_iteration();
    int64_t failed = 0;
    nb::object dict = BatchToDict(*dataset_, *batch, &failed);
    // A row without a Python value ends the stream; the rows before it come first.
    while (!dict.is_valid()) {
      if (!PyErr_ExceptionMatches(PyExc_OSError)) throw nb::python_error();
      stored_ = nb::borrow(nb::python_error().value());
      if (failed == 0) RaiseStored();
      Shorten(&*batch, failed);
      dict = BatchToDict(*dataset_, *batch, &failed);
    }
    rows_read_ += batch->rows;
    return dict;
  }

  // The number of rows of the next batch, whose values are not made.
  int64_t NextCount() {
    const Turn turn(this);
    std::optional<Batch> batch = Wait();
    if (!batch) throw nb::stop_iteration();
    rows_read_ += batch->rows;
    return batch->rows;
  }

  void Close() {
    closed_ = true;
    // A thread that is reading right now sees the flag and does the rest.
    if (!busy_.exchange(true)) {
      Stop();
      busy_ = false;
    }
  }

  int64_t rows_read() const { return rows_read_; }
  int64_t bytes_read() const { return bytes_read_->load(std::memory_order_relaxed); }

 private:
  // One call at a time, as with Python's own generators.
  class Turn {
   public:
    explicit Turn(Reader* reader) : reader_(reader) {
      if (reader->busy_.exchange(true)) {
        reader_ = nullptr;
        throw nb::value_error(
            "this reader is already being read by another thread; give each thread a "
            "reader of its own, or guard the shared one with a lock");
      }
      if (::getpid() != reader->process_) {
        reader->busy_ = false;
        reader_ = nullptr;
        PyErr_SetString(PyExc_RuntimeError,
                        "this reader was opened before a fork and belongs to the parent "
                        "process; iterate over the dataset anew in the child");
        throw nb::python_error();
      }
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (!reader_) return;
      if (reader_->closed_) reader_->Stop();
      reader_->busy_ = false;
    }

   private:
    Reader* reader_;
  };

  void Stop() {
    if (!batches_) return;
    if (::getpid() != process_) {
      // A fork copied this object, not its threads: joining them would wait for ever, and
      // their locks may be held. The child leaves it all where it is.
      (void)batches_.release();
      return;
    }
    auto batches = std::move(batches_);
    const nb::gil_scoped_release release;
    batches.reset();
  }

  std::optional<Batch> Wait() {
    for (;;) {
      if (closed_) return std::nullopt;
      auto batch = [&] {
        const nb::gil_scoped_release release;
        return batches_->Next(kPatience);
      }();
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      std::optional<Batch> found = ValueOf(std::move(batch));
      if (!found) continue;
      if (found->rows == 0) return std::nullopt;
      return found;
    }
  }

  void RaiseStored() {
    if (!stored_.is_valid()) return;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(stored_.ptr())), stored_.ptr());
    throw nb::python_error();
  }

  static void Shorten(Batch* batch, int64_t rows) {
    batch->rows = rows;
    for (size_t i = 0; i < batch->pieces.size(); ++i) {
      auto& piece = batch->pieces[i];
      if (piece.rows->num_rows() >= rows) {
        piece.rows = piece.rows->Slice(0, rows);
        batch->pieces.resize(i + 1);
        return;
      }
      rows -= piece.rows->num_rows();
    }
  }

  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<ByteCounter> bytes_read_ = std::make_shared<ByteCounter>(0);
  const pid_t process_ = ::getpid();
  std::unique_ptr<BatchReader> batches_;
  std::atomic<bool> busy_ = false;
  std::atomic<bool> closed_ = false;
  int64_t rows_read_ = 0;
  nb::object stored_;  // the error that the rows before it were delivered ahead of
};

}  // namespace

void RegisterReader(nb::module_& m) {
  nb::class_<Reader>(m, "Reader", "One pass over a dataset, decoding ahead.")
      .def(nb::init<std::shared_ptr<Dataset>, int64_t, int, int64_t, int64_t, int64_t>(),
           nb::arg("dataset"), nb::arg("batch_size"), nb::arg("num_threads"),
           nb::arg("read_ahead_bytes"), nb::arg("first"), nb::arg("step"))
      .def("next_dict", &Reader::NextDict,
           nb::sig("def next_dict(self) -> dict[str, list[typing.Any]]"),
           "The next batch, as a dict of lists.")
      .def("next_count", &Reader::NextCount, "The next batch's number of rows.")
      .def("close", &Reader::Close, "Stops and joins the threads.")
      .def_prop_ro("rows_read", &Reader::rows_read, "Rows delivered so far.")
      .def_prop_ro("bytes_read", &Reader::bytes_read, "Bytes read from disk so far.");
}

}  // namespace fast_axolotl
