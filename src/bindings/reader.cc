// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "bindings/batch_to_python.h"
#include "bindings/register.h"
#include "bindings/status.h"
#include "core/plan/plan.h"
#include "core/plan/share.h"
#include "core/scan/batch_reader.h"
#include "core/scan/lane_set.h"
#include "core/scan/plan_reader.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Signals are looked at this often while waiting for rows.
constexpr std::chrono::milliseconds kPatience{50};

// Batches as Python objects, one reader for one pass over a dataset.
class Reader {
 public:
  // All rows, in the order of the files.
  Reader(std::shared_ptr<Dataset> dataset, int64_t batch_size, ScanOptions scan)
      : dataset_(std::move(dataset)) {
    auto batches = std::make_shared<BatchReader>(
        std::make_unique<Scan>(dataset_, Counted(), scan), batch_size);
    next_ = [batches](auto timeout) { return batches->Next(timeout); };
  }
  // A share of a planned epoch.
  Reader(std::shared_ptr<Dataset> dataset, std::shared_ptr<const DatasetIndex> index,
         std::shared_ptr<const Plan> plan, const Share& share, int64_t given,
         ScanOptions scan)
      : dataset_(std::move(dataset)) {
    auto batches = std::make_shared<PlanReader>(
        PlannedSource{dataset_, std::move(index), std::move(plan), Counted()}, share,
        given, scan);
    next_ = [batches](auto timeout) { return batches->Next(timeout); };
  }
  // Any batch of a plan, of which `lanes` lanes will be read.
  Reader(std::shared_ptr<Dataset> dataset, std::shared_ptr<const DatasetIndex> index,
         std::shared_ptr<const Plan> plan, int64_t lanes, ScanOptions scan)
      : dataset_(std::move(dataset)), any_lane_(true) {
    auto set = std::make_shared<LaneSet>(
        PlannedSource{dataset_, std::move(index), std::move(plan), Counted()}, lanes,
        scan);
    next_ = [this, set](auto timeout) { return set->Next(lane_, number_, timeout); };
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { Close(); }

  // The next batch as a dict of lists.
  nb::object NextDict() {
    const Turn turn(this);
    return Give();
  }

  // The batch of that number in that lane, of a reader of any batch of a plan.
  nb::object DictAt(int64_t lane, int64_t number) {
    const Turn turn(this);
    lane_ = lane;
    number_ = number;
    return Give();
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
    if (::getpid() != process_) return Stop();
    // Out of a signal handler, in the middle of a call that sees the flag.
    if (reading_ == std::this_thread::get_id()) return;
    // A thread that is reading sees the flag soon. It must be out before this returns: at
    // the interpreter's exit Python would tear it down in the middle of a call.
    while (busy_.exchange(true)) {
      const nb::gil_scoped_release release;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    Stop();
    busy_ = false;
  }

  int64_t rows_read() const { return rows_read_; }
  int64_t bytes_read() const { return bytes_read_->load(std::memory_order_relaxed); }

 private:
  using NextBatch =
      std::function<Result<std::optional<Batch>>(std::chrono::milliseconds)>;

  ReadOptions Counted() const {
    ReadOptions options = dataset_->options();
    options.counter = bytes_read_;
    return options;
  }

  // One call at a time, as with Python's own generators.
  class Turn {
   public:
    explicit Turn(Reader* reader) : reader_(reader) {
      if (::getpid() != reader->process_) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this reader was opened before a fork and belongs to the parent "
                        "process; iterate over the dataset anew in the child");
        throw nb::python_error();
      }
      if (reader->busy_.exchange(true)) {
        if (reader->closed_) throw nb::stop_iteration();
        throw nb::value_error(
            "this reader is already being read by another thread; give each thread a "
            "reader of its own, or guard the shared one with a lock");
      }
      reader->reading_ = std::this_thread::get_id();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (reader_->closed_) reader_->Stop();
      reader_->reading_ = std::thread::id();
      reader_->busy_ = false;
    }

   private:
    Reader* const reader_;
  };

  void Stop() {
    if (!next_) return;
    if (::getpid() != process_) {
      // A fork copied this object, not its threads: joining them would wait for ever, and
      // their locks may be held. The child leaves it all where it is.
      (void)new NextBatch(std::move(next_));
      return;
    }
    NextBatch next = std::exchange(next_, nullptr);
    const nb::gil_scoped_release release;
    next = nullptr;
  }

  nb::object Give() {
    RaiseStored();
    std::optional<Batch> batch = Wait();
    if (!batch) throw nb::stop_iteration();
    int64_t failed = 0;
    nb::object dict = BatchToDict(*dataset_, *batch, &failed);
    // A row without a Python value ends the stream; the rows before it come first.
    while (!dict.is_valid()) {
      if (!PyErr_ExceptionMatches(PyExc_OSError)) throw nb::python_error();
      stored_ = nb::borrow(nb::python_error().value());
      // A planned batch keeps its rows' places: it comes whole or not at all.
      if (failed == 0 || !batch->pieces[0].places.empty()) RaiseStored();
      Shorten(&*batch, failed);
      dict = BatchToDict(*dataset_, *batch, &failed);
    }
    rows_read_ += batch->rows;
    return dict;
  }

  std::optional<Batch> Wait() {
    for (;;) {
      if (closed_) return std::nullopt;
      auto batch = [&] {
        const nb::gil_scoped_release release;
        return next_(kPatience);
      }();
      std::optional<Batch> found = ValueOf(std::move(batch));
      if (!found) {
        // Only now: an exception must not take a batch with it.
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        continue;
      }
      if (found->rows > 0) return found;
      // Whoever keeps the reader keeps no threads. Other lanes may go on.
      closed_ = !any_lane_;
      return std::nullopt;
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
  const bool any_lane_ = false;
  NextBatch next_;  // owns the threads; empty once they are stopped
  std::atomic<bool> busy_ = false;
  std::atomic<std::thread::id> reading_;  // the thread that is in a call
  std::atomic<bool> closed_ = false;
  int64_t lane_ = 0;  // what the next call of `next_` is to give
  int64_t number_ = 0;
  int64_t rows_read_ = 0;
  nb::object stored_;  // the error that the rows before it were delivered ahead of
};

ScanOptions Ahead(int num_threads, int64_t read_ahead_bytes) {
  return {num_threads, read_ahead_bytes};
}

Share ShareOf(int64_t start, int64_t first, int64_t last,
              std::pair<int64_t, int64_t> rank, std::pair<int64_t, int64_t> worker,
              const std::string& tail) {
  Share share;
  share.start = start;
  share.first = first;
  share.last = last;
  std::tie(share.rank, share.world) = rank;
  std::tie(share.worker, share.workers) = worker;
  share.tail = tail == "drop"     ? Tail::kDrop
               : tail == "repeat" ? Tail::kRepeat
                                  : Tail::kKeep;
  return share;
}

}  // namespace

void RegisterReader(nb::module_& m) {
  nb::class_<Share>(m, "Share", "One worker of one rank in a run over an epoch.")
      .def_static("make", &ShareOf, nb::arg("start"), nb::arg("first"), nb::arg("last"),
                  nb::arg("rank"), nb::arg("worker"), nb::arg("tail"),
                  "The share of `rank` (rank, world) and `worker` (worker, workers).")
      .def_prop_ro("rank_batches", &Share::RankBatches,
                   "The number of batches that the rank gives, with all its workers.")
      .def("batch", &Share::Batch, nb::arg("i"),
           "The number of this worker's i-th batch, or None behind the last.");
  nb::class_<Reader>(m, "Reader", "One pass over a dataset, decoding ahead.")
      .def_static(
          "plain",
          [](std::shared_ptr<Dataset> dataset, int64_t batch_size, int num_threads,
             int64_t read_ahead_bytes) {
            return new Reader(std::move(dataset), batch_size,
                              Ahead(num_threads, read_ahead_bytes));
          },
          nb::arg("dataset"), nb::arg("batch_size"), nb::arg("num_threads"),
          nb::arg("read_ahead_bytes"), "All rows, in the order of the files.")
      .def_static(
          "planned",
          [](std::shared_ptr<Dataset> dataset, std::shared_ptr<DatasetIndex> index,
             std::shared_ptr<Plan> plan, const Share& share, int64_t given,
             int num_threads, int64_t read_ahead_bytes) {
            return new Reader(std::move(dataset), std::move(index), std::move(plan),
                              share, given, Ahead(num_threads, read_ahead_bytes));
          },
          nb::arg("dataset"), nb::arg("index"), nb::arg("plan"), nb::arg("share"),
          nb::arg("given"), nb::arg("num_threads"), nb::arg("read_ahead_bytes"),
          "A share of a planned epoch, behind `given` batches of it.")
      .def_static(
          "lanes",
          [](std::shared_ptr<Dataset> dataset, std::shared_ptr<DatasetIndex> index,
             std::shared_ptr<Plan> plan, int64_t lanes, int num_threads,
             int64_t read_ahead_bytes) {
            return new Reader(std::move(dataset), std::move(index), std::move(plan),
                              lanes, Ahead(num_threads, read_ahead_bytes));
          },
          nb::arg("dataset"), nb::arg("index"), nb::arg("plan"), nb::arg("lanes"),
          nb::arg("num_threads"), nb::arg("read_ahead_bytes"),
          "Any batch of a plan, of which `lanes` lanes will be read.")
      .def("dict_at", &Reader::DictAt, nb::arg("lane"), nb::arg("number"),
           nb::sig("def dict_at(self, lane: int, number: int) -> "
                   "dict[str, list[typing.Any]]"),
           "The batch of that number in that lane, of a reader made by `lanes`.")
      .def("next_dict", &Reader::NextDict,
           nb::sig("def next_dict(self) -> dict[str, list[typing.Any]]"),
           "The next batch, as a dict of lists.")
      .def("next_count", &Reader::NextCount, "The next batch's number of rows.")
      .def("close", &Reader::Close, "Stops and joins the threads.")
      .def_prop_ro("rows_read", &Reader::rows_read, "Rows delivered so far.")
      .def_prop_ro("bytes_read", &Reader::bytes_read, "Bytes read from disk so far.");
}

}  // namespace fast_axolotl
