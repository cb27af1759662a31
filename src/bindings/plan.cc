// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/batch_to_python.h"
#include "bindings/faulty_rows.h"
#include "bindings/register.h"
#include "bindings/ticker.h"
#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/index/store.h"
#include "core/plan/mix.h"
#include "core/plan/share.h"
#include "core/scan/index_files.h"
#include "core/scan/validate_files.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// The options with the ticker's counter.
ReadOptions Counted(const Dataset& dataset, const Ticker& ticker) {
  ReadOptions options = dataset.options();
  options.counter = ticker.counter();
  return options;
}

// Builds or loads the index.
std::shared_ptr<DatasetIndex> BuildIndex(std::shared_ptr<Dataset> dataset,
                                         const std::string& folder, int num_threads,
                                         nb::object progress) {
  Ticker ticker(std::move(progress));
  return std::const_pointer_cast<DatasetIndex>(ticker.Run([&] {
    return IndexFiles(dataset, IndexStore(folder), Counted(*dataset, ticker),
                      num_threads);
  }));
}

// Counts the rows of all files by a pass that decodes none.
int64_t CountRows(std::shared_ptr<Dataset> dataset, int num_threads,
                  nb::object progress) {
  Ticker ticker(std::move(progress));
  return ticker.Run(
      [&] { return CountFiles(dataset, Counted(*dataset, ticker), num_threads); });
}

// Reads all rows and keeps an index that leaves the bad ones out, with those that have no
// Python value; `report` is called with each of them, at the end.
std::shared_ptr<DatasetIndex> Validate(std::shared_ptr<Dataset> dataset,
                                       const std::string& folder, int num_threads,
                                       int64_t read_ahead_bytes,
                                       const nb::callable& report, nb::object progress) {
  Ticker ticker(std::move(progress));
  std::exception_ptr raised;
  const Fits fits = [&](const Batch& rows, Misfit* misfit) -> Status {
    const nb::gil_scoped_acquire acquire;
    try {
      return BatchToDict(*dataset, rows, misfit).is_valid() ? Status::OK()
                                                            : TakeException(*misfit);
    } catch (const nb::python_error&) {
      raised = std::current_exception();
      return Status::Cancelled("stopped by the caller");
    }
  };
  std::vector<std::string> bad;
  try {
    auto found = ticker.Run([&] {
      return ValidateFiles(dataset, IndexStore(folder), Counted(*dataset, ticker),
                           {num_threads, read_ahead_bytes}, fits,
                           [&](std::string row) { bad.push_back(std::move(row)); });
    });
    for (const std::string& row : bad) report(nb::str(row.data(), row.size()));
    return std::const_pointer_cast<DatasetIndex>(found);
  } catch (const nb::python_error&) {
    if (raised) std::rethrow_exception(raised);
    throw;
  }
}

std::shared_ptr<DatasetIndex> LoadIndex(const Dataset& dataset,
                                        const std::string& folder) {
  return std::const_pointer_cast<DatasetIndex>(
      Ticker().Run([&]() -> Result<std::shared_ptr<const DatasetIndex>> {
        return LoadKeptIndex(dataset, IndexStore(folder));
      }));
}

std::string LeftOutOf(const Dataset& dataset, const std::string& folder) {
  return Ticker().Run([&]() -> Result<std::string> {
    ARROW_ASSIGN_OR_RAISE(const LeftOut left, LoadLeftOut(dataset, IndexStore(folder)));
    return left.ToString();
  });
}

std::vector<std::tuple<size_t, int64_t, int64_t, int64_t>> FragmentsOf(
    const DatasetIndex& index) {
  std::vector<std::tuple<size_t, int64_t, int64_t, int64_t>> fragments;
  for (const auto& entry : index.entries()) {
    fragments.emplace_back(entry.file, entry.fragment.begin, entry.fragment.end,
                           entry.fragment.rows);
  }
  return fragments;
}

// What of the files is not in the index, as objects of JSON.
std::vector<std::string> Damages(const DatasetIndex& index, const Dataset& dataset,
                                 bool validated) {
  std::vector<std::string> damages;
  for (size_t i = 0; i < index.files(); ++i) {
    const FileIndex& file = *index.file(i);
    if (file.validated && !validated) continue;
    for (const Damage& damage : file.damages) {
      BadRow bad;
      bad.rows = BadRow::kUnknown;
      bad.reason = damage.reason;
      damages.push_back(
          BadRowJson(dataset.files()[i].path, damage.row + 1, HiddenText(bad)));
    }
  }
  return damages;
}

// Files of which any part is reached only from their start.
std::vector<size_t> FromStart(const DatasetIndex& index) {
  std::vector<size_t> files;
  for (size_t i = 0; i < index.files(); ++i) {
    if (index.file(i)->from_start) files.push_back(i);
  }
  return files;
}

int64_t BadRowsOf(const DatasetIndex& index) {
  int64_t rows = 0;
  for (size_t i = 0; i < index.files(); ++i) {
    rows += static_cast<int64_t>(index.file(i)->bad.size());
  }
  return rows;
}

std::shared_ptr<Plan> PlanOf(const DatasetIndex& index, bool shuffle, uint64_t seed,
                             uint64_t epoch, int64_t batch_size, int64_t lanes,
                             int64_t window) {
  std::vector<int64_t> rows;
  for (const auto& entry : index.entries()) rows.push_back(entry.fragment.rows);
  return std::make_shared<Plan>(
      std::move(rows), PlanOptions{shuffle, seed, epoch, batch_size, lanes, window});
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

void RegisterPlan(nb::module_& m) {
  nb::class_<DatasetIndex>(m, "Index", "The fragments of all files, with their rows.")
      .def_prop_ro("rows", &DatasetIndex::rows, "The number of rows.")
      .def_prop_ro("fragments", &FragmentsOf,
                   "Each fragment: file number, begin, end, rows.")
      .def_prop_ro("from_start", &FromStart,
                   "Files of which any part is reached only from their start.")
      .def_prop_ro("bad_rows", &BadRowsOf,
                   "The number of rows that are left out because they cannot be read.")
      .def_prop_ro(
          "left_out",
          [](const DatasetIndex& index) { return index.left_out().ToString(); },
          "What was found to be unreadable beforehand and is left out: a hash, or \"\".")
      .def(
          "damages", &Damages, nb::arg("dataset"), nb::arg("validated") = false,
          "What of the files is not in the index, as objects of JSON. validated: also of "
          "files whose index was made to leave it out.");
  nb::class_<Plan>(m, "Plan", "Which rows make which batch of an epoch.")
      .def_static("make", &PlanOf, nb::arg("index"), nb::arg("shuffle"), nb::arg("seed"),
                  nb::arg("epoch"), nb::arg("batch_size"), nb::arg("lanes"),
                  nb::arg("window"), "The plan for an index and options.")
      .def_prop_ro("batches", &Plan::batches, "The number of batches.")
      .def("lane_batches", &Plan::LaneBatches, nb::arg("lane"),
           "The number of batches of a lane.");
  nb::class_<Share>(m, "Share", "One worker of one rank in a run over an epoch.")
      .def_static("make", &ShareOf, nb::arg("start"), nb::arg("first"), nb::arg("last"),
                  nb::arg("rank"), nb::arg("worker"), nb::arg("tail"),
                  "The share of `rank` (rank, world) and `worker` (worker, workers).")
      .def_prop_ro("rank_batches", &Share::RankBatches,
                   "The number of batches that the rank gives, with all its workers.")
      .def_prop_ro("worker_batches", &Share::WorkerBatches,
                   "The number of batches that this worker gives.")
      .def_prop_ro("steps", &Share::Steps,
                   "The number of batches that all ranks together give.")
      .def("batch", &Share::Batch, nb::arg("i"),
           "The number of this worker's i-th batch, or None behind the last.");
  nb::class_<Mix>(m, "Mix", "Which source gives which batch of a mixture.")
      .def(nb::init<std::vector<int64_t>, uint64_t>(), nb::arg("quotas"), nb::arg("seed"))
      .def(
          "at",
          [](const Mix& mix, int64_t lane, int64_t number) {
            const Mix::Slot slot = mix.At(lane, number);
            return std::tuple<size_t, int64_t>(slot.source, slot.number);
          },
          nb::arg("lane"), nb::arg("number"),
          "Source and number in its lane of what comes as the lane's number-th batch.")
      .def("batches", &Mix::Batches, nb::arg("lane_batches"), nb::arg("all"),
           "The batches of an epoch, by the sources' batches in each lane.");
  m.def("mix_quotas", &QuotasOf, nb::arg("weights"), "Weights in parts of a block.");
  m.def("index_folder", &IndexStore::DefaultFolder, "Where indexes are kept.");
  m.def("build_index", &BuildIndex, nb::arg("dataset"), nb::arg("folder"),
        nb::arg("num_threads"), nb::arg("progress").none(),
        "The index of all files: kept ones, and for the others one built now.");
  m.def("count_rows", &CountRows, nb::arg("dataset"), nb::arg("num_threads"),
        nb::arg("progress").none(), "The number of rows, from a pass over all files.");
  m.def("load_index", &LoadIndex, nb::arg("dataset"), nb::arg("folder"),
        nb::sig("def load_index(dataset: Dataset, folder: str) -> Index | None"),
        "The index of all files if it is kept, else None.");
  m.def(
      "validate", &Validate, nb::arg("dataset"), nb::arg("folder"),
      nb::arg("num_threads"), nb::arg("read_ahead_bytes"), nb::arg("report"),
      nb::arg("progress").none(),
      nb::sig("def validate(dataset: Dataset, folder: str, num_threads: int, "
              "read_ahead_bytes: int, report: collections.abc.Callable[[str], object], "
              "progress: collections.abc.Callable[[int], object] | None) -> Index"),
      "Reads all rows of a dataset opened with keep_bad_rows, calls `report` with each\n"
      "bad one as an object of JSON, and keeps an index that leaves them out.");
  m.def("left_out", &LeftOutOf, nb::arg("dataset"), nb::arg("folder"),
        "The same of the indexes that are kept, be they of all files or of some.");
}

}  // namespace fast_axolotl
