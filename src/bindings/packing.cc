// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/gil.h"
#include "bindings/register.h"
#include "bindings/sequences.h"
#include "bindings/status.h"
#include "bindings/tensor_to_python.h"
#include "bindings/ticker.h"
#include "core/format/schema.h"
#include "core/output/pack_unit.h"
#include "core/scan/measure.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

std::string Text(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

PackColumns ColumnsOf(const nb::bytes& tokens, const nb::bytes& labels,
                      const std::string& type, int64_t length, bool concat,
                      const std::string& too_long, int64_t pad_token, int64_t pad_label,
                      std::optional<int64_t> eos_token,
                      std::optional<int64_t> join_label) {
  using Long = PackOptions::Long;
  PackColumns columns;
  columns.tokens = Text(tokens);
  columns.labels = Text(labels);
  columns.type = ValueOf(ParseField("", type))->type();
  PackOptions& options = columns.options;
  options.length = length;
  options.strategy =
      concat ? PackOptions::Strategy::kConcat : PackOptions::Strategy::kBestFit;
  options.too_long = too_long == "cut"     ? Long::kCut
                     : too_long == "error" ? Long::kError
                                           : Long::kSplit;
  options.pad_token = pad_token;
  options.pad_label = pad_label;
  options.eos_token = eos_token;
  options.join_label = join_label;
  return columns;
}

// A unit of rows that Python has. An error names the row, counted from 0.
std::shared_ptr<PackUnit> UnitOf(const PackColumns& pack, nb::handle tokens,
                                 nb::handle labels) {
  // Copied, since whoever made an array may write into it again before it is packed.
  Sequences ids = ValueOf(Copy(SequencesOf(tokens, pack.tokens, Numbers::kIntegers)));
  std::optional<Sequences> own;
  if (!labels.is_none()) {
    own = ValueOf(Copy(SequencesOf(labels, pack.labels, Numbers::kIntegers)));
  }
  Misfit misfit;
  auto unit = [&] {
    const ReleasedGil released;
    return MakeUnit(std::move(ids), std::move(own), pack, &misfit);
  }();
  if (unit.status().IsInvalid()) {
    Throw(
        Status::Invalid(misfit.column, "[", misfit.row, "]: ", unit.status().message()));
  }
  return std::make_shared<PackUnit>(ValueOf(std::move(unit)));
}

// Packed rows [begin, end) of each unit, one behind the other, as one batch.
nb::dict PackRows(
    const std::vector<std::tuple<std::shared_ptr<PackUnit>, int64_t, int64_t>>& parts,
    bool torch) {
  auto packed = [&]() -> Result<Packed> {
    const ReleasedGil released;
    std::vector<Packed> rows;
    for (const auto& [unit, begin, end] : parts) {
      ARROW_ASSIGN_OR_RAISE(rows.emplace_back(), unit->Rows(begin, end));
    }
    return Join(rows);
  }();
  const Packed rows = ValueOf(std::move(packed));
  const ArrayKind kind = torch ? ArrayKind::kTorch : ArrayKind::kNumpy;
  nb::dict batch;
  batch["input_ids"] = TensorToPython(rows.input_ids, kind);
  batch["labels"] = TensorToPython(rows.labels, kind);
  batch["position_ids"] = TensorToPython(rows.position_ids, kind);
  batch["sequence_ids"] = TensorToPython(rows.sequence_ids, kind);
  batch["cu_seqlens"] = TensorToPython(rows.cu_seqlens, kind);
  batch["max_seqlen"] = rows.max_seqlen;
  return batch;
}

// The tokens that stand in packed rows [begin, end).
int64_t TokensIn(const PackUnit& unit, int64_t begin, int64_t end) {
  const PackLayout& layout = unit.layout;
  int64_t tokens = 0;
  for (int64_t i = begin ? layout.ends[begin - 1] : 0;
       i < (end ? layout.ends[end - 1] : 0); ++i) {
    tokens += layout.segments[i].length;
  }
  return tokens;
}

std::shared_ptr<RowLengths> Load(const Dataset& dataset, const DatasetIndex& index,
                                 const std::string& folder, const nb::bytes& column) {
  const std::string name = Text(column);
  return std::const_pointer_cast<RowLengths>(
      Ticker().Run([&]() -> Result<std::shared_ptr<const RowLengths>> {
        return LoadLengths(dataset, index, IndexStore(folder), name);
      }));
}

std::shared_ptr<RowLengths> Measure(std::shared_ptr<Dataset> dataset,
                                    std::shared_ptr<DatasetIndex> index,
                                    const std::string& folder, const nb::bytes& column,
                                    int num_threads, int64_t read_ahead_bytes,
                                    nb::object progress) {
  Ticker ticker(std::move(progress));
  ReadOptions options = dataset->options();
  options.counter = ticker.counter();
  const std::string name = Text(column);
  return std::const_pointer_cast<RowLengths>(ticker.Run([&] {
    return MeasureLengths(dataset, index, IndexStore(folder), name, options,
                          {num_threads, read_ahead_bytes});
  }));
}

std::vector<std::vector<int64_t>> Count(const Dataset& dataset, const Plan& plan,
                                        const DatasetIndex& index,
                                        const RowLengths& lengths,
                                        const PackColumns& pack) {
  return Ticker().Run([&]() -> Result<std::vector<std::vector<int64_t>>> {
    // Ranks are to fail together, and not when one of them comes upon the row.
    ARROW_RETURN_NOT_OK(CheckLengths(dataset, lengths, pack));
    return CountPackedRows(plan, index, lengths, pack.options);
  });
}

}  // namespace

void RegisterPacking(nb::module_& m) {
  nb::class_<PackColumns>(m, "Pack", "What is packed, and how.")
      .def(nb::new_(&ColumnsOf), nb::arg("tokens"), nb::arg("labels"), nb::arg("dtype"),
           nb::arg("length"), nb::arg("concat"), nb::arg("too_long"),
           nb::arg("pad_token"), nb::arg("pad_label"), nb::arg("eos_token").none(),
           nb::arg("join_label").none());
  nb::class_<PackUnit>(m, "Unit", "Rows that are packed by themselves.")
      .def_prop_ro(
          "rows", [](const PackUnit& unit) { return unit.layout.rows(); },
          "The number of packed rows.")
      .def_prop_ro(
          "counts",
          [](const PackUnit& unit) {
            return std::tuple(unit.layout.cut, unit.layout.split,
                              unit.layout.lost_tokens);
          },
          "Sequences that were cut, that were split, and tokens that were cut off.")
      .def("tokens", &TokensIn, nb::arg("begin"), nb::arg("end"),
           "The number of tokens in some of the packed rows.");
  nb::class_<RowLengths>(m, "Lengths", "The lengths of a column's lists in every row.");
  m.def("unit_of", &UnitOf, nb::arg("pack"), nb::arg("tokens"), nb::arg("labels").none(),
        "A unit of rows that Python has.");
  m.def("pack_rows", &PackRows, nb::arg("parts"), nb::arg("torch"),
        nb::sig("def pack_rows(parts: list[tuple[Unit, int, int]], torch: bool) -> "
                "dict[str, typing.Any]"),
        "Packed rows begin to end of each unit, one behind the other, as one batch.");
  m.def("load_lengths", &Load, nb::arg("dataset"), nb::arg("index"), nb::arg("folder"),
        nb::arg("column"),
        nb::sig("def load_lengths(dataset: Dataset, index: Index, folder: str, "
                "column: bytes) -> Lengths | None"),
        "The lengths of a column's lists if they are kept, else None.");
  m.def("measure_lengths", &Measure, nb::arg("dataset"), nb::arg("index"),
        nb::arg("folder"), nb::arg("column"), nb::arg("num_threads"),
        nb::arg("read_ahead_bytes"), nb::arg("progress").none(),
        "Those that are kept, and for other files those read now.");
  m.def("count_packed_rows", &Count, nb::arg("dataset"), nb::arg("plan"),
        nb::arg("index"), nb::arg("lengths"), nb::arg("pack"),
        "The packed rows of each unit of each lane of a plan whose batches are units.");
}

}  // namespace fast_axolotl
