// SPDX-License-Identifier: Apache-2.0
#include "bindings/reader.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "bindings/batch_to_python.h"
#include "bindings/faulty_rows.h"
#include "bindings/gil.h"
#include "bindings/output.h"
#include "bindings/output_to_python.h"
#include "bindings/register.h"
#include "bindings/status.h"
#include "bindings/warn.h"
#include "core/output/output.h"
#include "core/plan/plan.h"
#include "core/plan/share.h"
#include "core/scan/batch_reader.h"
#include "core/scan/lane_set.h"
#include "core/scan/output_reader.h"
#include "core/scan/plan_reader.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Signals are looked at this often while waiting for rows.
constexpr std::chrono::milliseconds kPatience{50};

// Of the read-ahead, this part is for outputs that were made.
constexpr int64_t kOutputPart = 4;

void LookAtSignals() {
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

}  // namespace

nb::handle NoBatchYet() {
  static PyObject* const object =
      PyObject_CallNoArgs(reinterpret_cast<PyObject*>(&PyBaseObject_Type));
  return object;
}

// One call at a time, as with Python's own generators.
class Reader::Turn {
 public:
  explicit Turn(Reader* reader) : reader_(reader) {
    if (::getpid() != reader->process_) {
      if (reader->closed_) throw nb::stop_iteration();
      PyErr_SetString(PyExc_RuntimeError,
                      "this reader was opened before a fork and belongs to the parent "
                      "process; iterate over the dataset anew in the child");
      throw nb::python_error();
    }
    if (reader->busy_.exchange(true)) {
      if (reader->closed_) throw nb::stop_iteration();
      // Threads that share an iterator are told what to do by StreamingReader, before.
      throw nb::value_error("the core's reader is in another call");
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

Reader::Reader(std::shared_ptr<Dataset> dataset, Output output, bool in_step,
               ScanOptions scan, const OpenSource& open)
    : dataset_(std::move(dataset)), output_(std::move(output)), in_step_(in_step) {
  source_ = std::make_unique<Source>();
  scan.decode_time = decode_time_;
  const int64_t made = scan.read_ahead_bytes / kOutputPart;
  if (!output_.as_lists()) scan.read_ahead_bytes -= made;
  source_->next = open(Options(), scan);
  if (!output_.as_lists()) {
    source_->outputs =
        std::make_unique<OutputReader>(dataset_, source_->next, OutputOptionsOf(), made);
  }
}

Reader::Reader(std::shared_ptr<Dataset> dataset, Output output, PlannedSource planned,
               int64_t lanes, ScanOptions scan)
    : dataset_(std::move(dataset)),
      output_(std::move(output)),
      any_lane_(true),
      in_step_(planned.replace) {
  planned.options = Options();
  scan.decode_time = decode_time_;
  auto set = std::make_shared<LaneSet>(std::move(planned), lanes, scan);
  source_ = std::make_unique<Source>();
  source_->next = [this, set](auto timeout) {
    return set->Next(lane_, number_, timeout);
  };
}

nb::object Reader::Next() {
  const Turn turn(this);
  if (closed_) LetGo();
  if (held_.is_valid()) return held_;
  nb::object given = Give();
  if (!given.is(NoBatchYet())) held_ = given;
  return given;
}

nb::object Reader::BatchAt(int64_t lane, int64_t number) {
  const Turn turn(this);
  if (closed_ || lane != lane_ || number != number_) {
    LetGo();
    unmade_.reset();
    unhanded_.reset();
  }
  lane_ = lane;
  number_ = number;
  if (!held_.is_valid()) held_ = Give();
  return held_;
}

void Reader::Close() {
  closed_ = true;
  if (::getpid() != process_) return Stop();
  // Out of a signal handler, in the middle of a call that sees the flag.
  if (reading_ == std::this_thread::get_id()) return;
  // A thread that is reading sees the flag soon. It must be out before this returns: at
  // the interpreter's exit Python would tear it down in the middle of a call.
  while (busy_.exchange(true)) {
    // Whoever exits closes it, too, and may be waiting for the GIL.
    if (IsLeftAtExit()) return;
    const ReleasedGil released;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Stop();
  busy_ = false;
}

nb::list Reader::TakeBadRows() {
  nb::list taken;
  for (const std::string& each : faulty_.TakeNoted()) {
    taken.append(nb::str(each.data(), each.size()));
  }
  return taken;
}

ReadOptions Reader::Options() const {
  ReadOptions options = dataset_->options();
  options.counter = bytes_read_;
  if (!output_.as_lists()) {
    options.stable = Schema();
    if (output_.pack) options.columns = options.stable->field_names();
    // Of columns that were not asked for nothing is said.
    if (!options.columns) options.late = late_;
  }
  return options;
}

// The columns that are read, of one type for all rows.
std::shared_ptr<arrow::Schema> Reader::Schema() const {
  if (!output_.pack) return dataset_->schema();
  arrow::FieldVector fields;
  for (const std::string& name : {output_.pack->tokens, output_.pack->labels}) {
    if (auto field = dataset_->schema()->GetFieldByName(name)) fields.push_back(field);
  }
  return arrow::schema(std::move(fields));
}

OutputOptions Reader::OutputOptionsOf() const {
  OutputOptions options;
  options.leave_out_misfits = dataset_->options().keep_bad_rows;
  options.schema = Schema();
  options.as_arrow = output_.kind == Output::Kind::kArrow;
  options.pad = output_.pad;
  options.pack = output_.pack;
  // No array of torch is read-only.
  options.own = output_.kind == Output::Kind::kTorch;
  return options;
}

void Reader::Stop() {
  if (!source_) return;
  if (::getpid() != process_) {
    // A fork copied this object, not its threads: joining them would wait for ever, and
    // their locks may be held. The child leaves it all where it is.
    (void)source_.release();
    return;
  }
  const std::unique_ptr<Source> source = std::move(source_);
  const ReleasedGil released;
  source->outputs = nullptr;
  source->next = nullptr;
}

nb::object Reader::Give() {
  faulty_.RaiseStored();
  // Not together with a batch: where warnings are errors, that batch would be lost.
  WarnOfLateColumns(late_.get());
  nb::object given = output_.as_lists() ? GiveLists() : GiveOutput();
  if (!given.is_valid()) {
    WarnOfLateColumns(late_.get());
    throw nb::stop_iteration();
  }
  return given;
}

// A batch as a dict of lists; a null object at the end.
nb::object Reader::GiveLists() {
  for (;;) {
    std::optional<Batch> batch = Taken(&unmade_);
    if (!batch) batch = NextRows();
    if (!batch) return {};
    nb::object dict;
    try {
      if (batch->gathered()) {
        const ReleasedGil released;
        for (Piece& piece : batch->pieces) piece = GatherOrThrow(piece);
      }
      dict = Lists(&*batch);
    } catch (...) {
      unmade_ = std::move(batch);
      throw;
    }
    Count(&*batch);
    if (batch->rows == 0) {
      if (any_lane_) return nb::none();
      if (faulty_.has_many_noted()) return nb::borrow(NoBatchYet());
      LookAtSignals();
      continue;
    }
    cut_ = batch->cut || faulty_.has_stored();
    return dict;
  }
}

// A batch as a dict of lists, without the rows that have no Python value.
nb::object Reader::Lists(Batch* batch) {
  Misfit misfit;
  const auto fits = [this](const Batch& part, Misfit* found) {
    return BatchToDict(*dataset_, part, found).is_valid() ? Status::OK()
                                                          : TakeException(*found);
  };
  for (;;) {
    nb::object dict = BatchToDict(*dataset_, *batch, &misfit);
    if (dict.is_valid()) return dict;
    faulty_.TakeOut(misfit, fits, batch);
  }
}

// A batch as arrays or as a record batch; a null object at the end.
nb::object Reader::GiveOutput() {
  for (;;) {
    std::optional<OutputBatch> batch = Taken(&unhanded_);
    if (batch) {
      // An exception came in the way of handing it over.
    } else if (any_lane_) {
      std::optional<Batch> rows = NextRows();
      if (rows) batch = Make(std::move(*rows));
    } else {
      batch = Wait([this](auto timeout) { return source_->outputs->Next(timeout); });
    }
    if (!batch) return {};
    nb::object given = Hand(&*batch);
    if (given.is_valid()) return given;
    if (any_lane_) return nb::none();
    if (faulty_.has_many_noted()) return nb::borrow(NoBatchYet());
    LookAtSignals();
  }
}

// A batch as Python has it; a null object where none of its rows is left.
nb::object Reader::Hand(OutputBatch* batch) {
  if (output_.pack) {
    // Units are counted, empty ones too.
    Count(batch);
    cut_ = batch->origin.cut;
    return nb::cast(std::const_pointer_cast<PackUnit>(batch->unit));
  }
  const ArrayKind kind =
      output_.kind == Output::Kind::kTorch ? ArrayKind::kTorch : ArrayKind::kNumpy;
  const bool arrow = output_.kind == Output::Kind::kArrow;
  nb::object given;
  Misfit misfit;
  const auto fits = [&](const Batch& part, Misfit* found) -> Status {
    auto made = Guarded([&] { return MakeOutput(part, OutputOptionsOf(), found); });
    ARROW_RETURN_NOT_OK(made.status());
    return ColumnsToDict(*made, kind, found).is_valid() ? Status::OK()
                                                        : TakeException(*found);
  };
  try {
    while (batch->rows > 0) {
      given =
          arrow ? ToPyArrow(*batch->record_batch) : ColumnsToDict(*batch, kind, &misfit);
      if (given.is_valid()) break;
      faulty_.TakeOut(misfit, fits, &batch->origin);
      *batch = Make(batch->origin);
    }
  } catch (...) {
    // Python code runs there, and signal handlers between.
    unhanded_ = std::move(*batch);
    throw;
  }
  Count(batch);
  cut_ = batch->origin.cut || faulty_.has_stored();
  return given;
}

// What an exception came in the way of, unless nothing is wanted any more.
template <typename T>
std::optional<T> Reader::Taken(std::optional<T>* kept) const {
  std::optional<T> taken = std::exchange(*kept, std::nullopt);
  if (closed_) taken.reset();
  return taken;
}

OutputBatch Reader::Make(Batch rows) {
  Misfit misfit;
  auto made = [&] {
    const ReleasedGil released;
    return MakeFittingOutput(*dataset_, OutputOptionsOf(), &rows, &misfit);
  }();
  if (made.ok()) return std::move(*made);
  Throw(MisfitAt(*dataset_, rows, misfit, made.status()));
}

// Notes down what a batch holds and lacks.
template <typename AnyBatch>
void Reader::Count(AnyBatch* batch) {
  rows_read_ += batch->rows;
  faulty_.Note(batch->skipped, std::move(batch->bad));
  if (batch->rows > 0 || output_.pack) return;
  if (in_step_) {
    Throw(
        Status::IOError("none of the rows of a batch fits what output= makes of them, "
                        "and the other ranks go on with theirs: ",
                        faulty_.LastNoted()));
  }
  ++batches_left_out_;
}

std::optional<Batch> Reader::NextRows() {
  return Wait([this](auto timeout) { return source_->next(timeout); });
}

// Waits for what `next` gives: rows, or nothing at the end.
template <typename Call>
auto Reader::Wait(const Call& next)
    -> std::decay_t<decltype(*next(std::chrono::milliseconds{}))> {
  for (;;) {
    if (closed_) return std::nullopt;
    // Nothing may be given behind what is lost with an error. Lanes are read again.
    if (!failure_.ok()) Throw(failure_);
    auto batch = [&] {
      const ReleasedGil released;
      return Guarded([&] { return next(kPatience); });
    }();
    if (!any_lane_) failure_ = batch.status();
    auto found = ValueOf(std::move(batch));
    if (!found) {
      // Only now: an exception must not take a batch with it.
      LookAtSignals();
      continue;
    }
    if (found->rows > 0 || found->skipped > 0) return found;
    // Whoever keeps the reader keeps no threads. Other lanes may go on.
    closed_ = !any_lane_;
    return std::nullopt;
  }
}

Piece Reader::GatherOrThrow(const Piece& piece) const {
  auto gathered = Guarded([&] { return Gather(piece); });
  if (gathered.ok()) return std::move(*gathered);
  const nb::gil_scoped_acquire acquire;
  Throw(AtFile(dataset_->files()[piece.file].path, gathered.status()));
}

void RegisterReader(nb::module_& m) {
  m.attr("NO_BATCH_YET") = NoBatchYet();
  m.def("begin_exit", &BeginExit,
        "To be called before the interpreter ends: threads that call into the core\n"
        "stop to let go of the GIL.");
  nb::class_<Reader>(m, "Reader", "One pass over a dataset, decoding ahead.")
      .def_static(
          "plain",
          [](std::shared_ptr<Dataset> dataset, int64_t batch_size, int num_threads,
             int64_t read_ahead_bytes, const Output& output) {
            const auto open = [&](ReadOptions options, const ScanOptions& scan) {
              const bool keeps = options.keep_bad_rows;
              auto batches = std::make_shared<BatchReader>(
                  std::make_unique<Scan>(dataset, std::move(options), scan), batch_size,
                  keeps ? dataset : nullptr);
              return [batches](auto timeout) { return batches->Next(timeout); };
            };
            return new Reader(dataset, output, /*in_step=*/false,
                              {num_threads, read_ahead_bytes}, open);
          },
          nb::arg("dataset"), nb::arg("batch_size"), nb::arg("num_threads"),
          nb::arg("read_ahead_bytes"), nb::arg("output"),
          "All rows, in the order of the files.")
      .def_static(
          "planned",
          [](std::shared_ptr<Dataset> dataset, std::shared_ptr<DatasetIndex> index,
             std::shared_ptr<Plan> plan, const Share& share, int64_t given,
             int num_threads, int64_t read_ahead_bytes, const Output& output) {
            const auto open = [&](ReadOptions options, const ScanOptions& scan) {
              auto batches = std::make_shared<PlanReader>(
                  PlannedSource{dataset, std::move(index), std::move(plan),
                                std::move(options), output.takes_rows(), share.world > 1},
                  share, given, scan);
              return [batches](auto timeout) { return batches->Next(timeout); };
            };
            return new Reader(dataset, output, share.world > 1,
                              {num_threads, read_ahead_bytes}, open);
          },
          nb::arg("dataset"), nb::arg("index"), nb::arg("plan"), nb::arg("share"),
          nb::arg("given"), nb::arg("num_threads"), nb::arg("read_ahead_bytes"),
          nb::arg("output"), "A share of a planned epoch, behind `given` batches of it.")
      .def_static(
          "lanes",
          [](std::shared_ptr<Dataset> dataset, std::shared_ptr<DatasetIndex> index,
             std::shared_ptr<Plan> plan, int64_t lanes, int num_threads,
             int64_t read_ahead_bytes, const Output& output, bool in_step) {
            return new Reader(dataset, output,
                              PlannedSource{dataset,
                                            std::move(index),
                                            std::move(plan),
                                            {},
                                            output.takes_rows(),
                                            in_step},
                              lanes, {num_threads, read_ahead_bytes});
          },
          nb::arg("dataset"), nb::arg("index"), nb::arg("plan"), nb::arg("lanes"),
          nb::arg("num_threads"), nb::arg("read_ahead_bytes"), nb::arg("output"),
          nb::arg("in_step") = false,
          "Any batch of a plan, of which `lanes` lanes will be read. in_step: other\n"
          "ranks give as many batches.")
      .def("batch_at", &Reader::BatchAt, nb::arg("lane"), nb::arg("number"),
           nb::sig("def batch_at(self, lane: int, number: int) -> typing.Any"),
           "The batch of that number in that lane, of a reader made by `lanes`.")
      .def("next_batch", &Reader::Next, nb::sig("def next_batch(self) -> typing.Any"),
           "The next batch, as `output` says; or NO_BATCH_YET where many rows were\n"
           "left out since the last one: take_bad_rows() has them, and the next call\n"
           "goes on.")
      .def_prop_ro(
          "mark", [](const Reader&) { return nb::none(); },
          "What a state has to know besides the number of batches: nothing.")
      .def_prop_rw(
          "held", [](const Reader& reader) { return reader.held(); },
          [](Reader& reader, nb::handle) { reader.LetGo(); },
          nb::for_getter(nb::sig("def held(self, /) -> typing.Any")),
          nb::for_setter(nb::arg("value").none()),
          nb::for_setter(nb::sig("def held(self, value: None, /) -> None")),
          "The batch given last, which the next call gives again unless this is set to\n"
          "None: an exception out of a signal handler may have come in its way.")
      .def("close", &Reader::Close, "Stops and joins the threads.")
      .def_prop_ro("cut", &Reader::cut,
                   "Whether an error, which comes next, made the last batch a short one.")
      .def_prop_ro("rows_read", &Reader::rows_read, "Rows delivered so far.")
      .def_prop_ro("rows_skipped", &Reader::rows_skipped,
                   "Rows left out so far because they could not be read.")
      .def_prop_ro("batches_left_out", &Reader::batches_left_out,
                   "Batches left out so far because none of their rows could be read.")
      .def("take_bad_rows", &Reader::TakeBadRows,
           nb::sig("def take_bad_rows(self) -> list[str]"),
           "What is known of rows left out since the last call, as objects of JSON.")
      .def_prop_ro("decode_seconds", &Reader::decode_seconds,
                   "Time that threads spent on reading and decoding so far.")
      .def_prop_ro("bytes_read", &Reader::bytes_read, "Bytes read from disk so far.");
}

}  // namespace fast_axolotl
