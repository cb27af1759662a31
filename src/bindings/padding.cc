// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/gil.h"
#include "bindings/pause_collector.h"
#include "bindings/register.h"
#include "bindings/sequences.h"
#include "bindings/status.h"
#include "bindings/tensor_to_lists.h"
#include "bindings/tensor_to_python.h"
#include "core/output/next_fit.h"
#include "core/output/pad.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

using Table = nb::typed<nb::dict, nb::str, nb::any>;

// Makes rows `[begin, end)` of a table of int64.
using MakeRows =
    std::function<Result<std::shared_ptr<arrow::Tensor>>(int64_t begin, int64_t end)>;

std::shared_ptr<arrow::Tensor> Made(const MakeRows& make, int64_t begin, int64_t end) {
  auto tensor = [&] {
    const ReleasedGil released;
    return make(begin, end);
  }();
  return ValueOf(std::move(tensor));
}

// Tables of as many rows, each as one array or as a list of lists.
std::vector<nb::object> ToPython(int64_t rows, int64_t length, const std::string& output,
                                 const std::vector<MakeRows>& tables) {
  std::vector<nb::object> made;
  if (output != "python") {
    const ArrayKind kind = output == "torch" ? ArrayKind::kTorch : ArrayKind::kNumpy;
    for (const auto& make : tables) {
      made.push_back(TensorToPython(Made(make, 0, rows), kind));
    }
    return made;
  }
  const PauseCollector pause;
  for (size_t i = 0; i < tables.size(); ++i) {
    made.push_back(nb::steal(PyList_New(rows)));
    if (!made.back().is_valid()) throw nb::python_error();
  }
  // So few at a time that their numbers stay in the cache until they are Python's.
  const int64_t step = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, length));
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t end = std::min(rows, row + step);
    for (size_t i = 0; i < tables.size(); ++i) {
      const auto tensor = Made(tables[i], row, end);
      PyObject** lists = reinterpret_cast<PyListObject*>(made[i].ptr())->ob_item;
      if (!FillLists(*tensor, lists + row)) throw nb::python_error();
    }
  }
  return made;
}

Sequences Integers(nb::handle rows, const char* name) {
  return SequencesOf(rows, name, Numbers::kIntegers);
}

// Some of the rows. The owners stay those of all.
Sequences Part(const Sequences& all, int64_t begin, int64_t end) {
  return {all.type, {all.rows.begin() + begin, all.rows.begin() + end}, {}};
}

nb::object PadSequences(nb::handle sequences, std::optional<int64_t> target_length,
                        int64_t pad_value, bool left, int64_t multiple_of,
                        const std::string& output) {
  const Sequences rows = Integers(sequences, "sequences");
  const std::vector<int64_t> lengths = rows.Lengths();
  const PadShape shape = {.max_length = target_length,
                          .multiple_of = multiple_of,
                          .to_max_length = target_length.has_value(),
                          .padding = left ? Side::kLeft : Side::kRight};
  const int64_t length = PaddedLength(lengths, shape);
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] <= length) continue;
    Throw(Status::Invalid("sequences[", i, "] has ", lengths[i],
                          " values, more than the target_length of ", length));
  }
  const PadShape whole = {.padding = shape.padding};
  const auto make = [&](int64_t begin, int64_t end) {
    return Pad(Part(rows, begin, end), pad_value, arrow::int64(), length, whole);
  };
  return ToPython(static_cast<int64_t>(lengths.size()), length, output, {make})[0];
}

// Rows of `sequences` laid out, what is `behind` each, and what fills the rest.
MakeRows Placing(const Sequences& sequences, const NextFit& layout,
                 std::vector<int64_t> behind, int64_t fill) {
  return [&, behind = std::move(behind), fill](int64_t begin, int64_t end) {
    return PlaceRows(sequences, behind, fill, layout, begin, end, arrow::int64());
  };
}

Table Columns(const NextFit& layout, const std::string& output,
              const std::vector<MakeRows>& tables) {
  const auto columns = ToPython(layout.rows(), layout.length, output, tables);
  Table dict;
  dict["input_ids"] = columns[0];
  dict["labels"] = columns[1];
  dict["attention_mask"] = columns[2];
  return dict;
}

Table PackSequences(nb::handle sequences, int64_t max_length, int64_t pad_token_id,
                    int64_t eos_token_id, int64_t label_pad_id,
                    const std::string& output) {
  const Sequences tokens = Integers(sequences, "sequences");
  const std::vector<int64_t> lengths = tokens.Lengths();
  const NextFit layout = ValueOf(FitNext(lengths, max_length, 2));
  const auto longest = std::max_element(lengths.begin(), lengths.end());
  const std::vector<uint8_t> ones(longest == lengths.end() ? 0 : *longest, 1);
  Sequences mask = {arrow::uint8(), {}, {}};
  for (const int64_t length : lengths) mask.rows.push_back({ones.data(), length});
  return Columns(layout, output,
                 {Placing(tokens, layout, {eos_token_id, pad_token_id}, pad_token_id),
                  Placing(tokens, layout, {eos_token_id, label_pad_id}, label_pad_id),
                  Placing(mask, layout, {1, 0}, 0)});
}

// Throws unless two columns have rows of the same lengths.
void CheckLengths(const std::vector<int64_t>& tokens, const Sequences& other,
                  const char* name) {
  if (tokens.size() != other.rows.size()) {
    Throw(Status::Invalid("input_ids has ", tokens.size(), " sequences, and ", name, " ",
                          other.rows.size()));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == other.rows[i].length) continue;
    Throw(Status::Invalid("input_ids[", i, "] has ", tokens[i], " tokens, and ", name,
                          "[", i, "] ", other.rows[i].length));
  }
}

Table ConcatenateAndPack(nb::handle input_ids, nb::handle labels,
                         nb::handle attention_masks, int64_t max_length,
                         int64_t pad_token_id, int64_t label_pad_id,
                         const std::string& output) {
  const Sequences tokens = Integers(input_ids, "input_ids");
  const Sequences targets = Integers(labels, "labels");
  const Sequences masks = Integers(attention_masks, "attention_masks");
  const std::vector<int64_t> lengths = tokens.Lengths();
  CheckLengths(lengths, targets, "labels");
  CheckLengths(lengths, masks, "attention_masks");
  const NextFit layout = ValueOf(FitNext(lengths, max_length, 0));
  return Columns(
      layout, output,
      {Placing(tokens, layout, {}, pad_token_id),
       Placing(targets, layout, {}, label_pad_id), Placing(masks, layout, {}, 0)});
}

}  // namespace

void RegisterPadding(nb::module_& m) {
  m.def("pad_sequences", &PadSequences, nb::arg("sequences").none(),
        nb::arg("target_length").none(), nb::arg("pad_value"), nb::arg("left"),
        nb::arg("multiple_of"), nb::arg("output"), "Rows brought to one length.");
  m.def("pack_sequences", &PackSequences, nb::arg("sequences").none(),
        nb::arg("max_length"), nb::arg("pad_token_id"), nb::arg("eos_token_id"),
        nb::arg("label_pad_id"), nb::arg("output"),
        "Sequences, and an end behind each, in rows of one length.");
  m.def("concatenate_and_pack", &ConcatenateAndPack, nb::arg("input_ids").none(),
        nb::arg("labels").none(), nb::arg("attention_masks").none(),
        nb::arg("max_length"), nb::arg("pad_token_id"), nb::arg("label_pad_id"),
        nb::arg("output"),
        "Sequences with labels and masks of their own in rows of one length.");
}

}  // namespace fast_axolotl
