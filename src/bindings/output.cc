// SPDX-License-Identifier: Apache-2.0
#include "bindings/output.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/output_to_python.h"
#include "bindings/register.h"
#include "bindings/sequences.h"
#include "bindings/status.h"
#include "bindings/tensor_to_python.h"
#include "core/format/schema.h"
#include "core/index/dataset.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

std::shared_ptr<arrow::DataType> TypeNamed(const std::string& name) {
  return ValueOf(ParseField("", name))->type();
}

Fill FillOf(nb::handle value) {
  if (PyFloat_Check(value.ptr())) return nb::cast<double>(value);
  return nb::cast<int64_t>(value);
}

Output::Kind KindNamed(const std::string& name) {
  if (name == "numpy") return Output::Kind::kNumpy;
  if (name == "torch") return Output::Kind::kTorch;
  return name == "arrow" ? Output::Kind::kArrow : Output::Kind::kPython;
}

using PadList = std::vector<std::tuple<nb::bytes, nb::object, std::string>>;

PadOptions PadOf(const PadList& columns, std::optional<int64_t> max_length,
                 int64_t multiple_of, bool to_max_length, bool left, bool cut_left) {
  PadOptions pad;
  for (const auto& [name, fill, type] : columns) {
    pad.columns.push_back({std::string(name.c_str(), name.size()), FillOf(fill),
                           type.empty() ? nullptr : TypeNamed(type)});
  }
  pad.shape = {max_length, multiple_of, to_max_length, left ? Side::kLeft : Side::kRight,
               cut_left ? Side::kLeft : Side::kRight};
  return pad;
}

Output MakeOutputOf(const std::string& kind, const std::optional<PadOptions>& pad,
                    const Dataset& dataset) {
  if (pad) Check(CheckPad(*pad, *dataset.schema()));
  if (KindNamed(kind) == Output::Kind::kArrow) CheckExport(*dataset.schema());
  return {KindNamed(kind), pad, std::nullopt};
}

// The columns of `batch` with those that `pad` names padded, and with those it makes.
nb::dict PadBatch(const nb::dict& batch, const PadOptions& pad, bool torch) {
  const auto key = [](const std::string& name) {
    return nb::steal(PyUnicode_DecodeUTF8(
        name.data(), static_cast<Py_ssize_t>(name.size()), "surrogatepass"));
  };
  const auto has = [&](const std::string& name) {
    return PyDict_Contains(batch.ptr(), key(name).ptr()) == 1;
  };
  Check(CheckPad(pad, has));
  Misfit misfit;
  auto made = PadColumns(
      pad, has,
      [&](const std::string& name, int64_t*) -> Result<Sequences> {
        return SequencesOf(batch[key(name)], name);
      },
      &misfit);
  if (made.status().IsInvalid()) {
    Throw(
        Status::Invalid(misfit.column, "[", misfit.row, "]: ", made.status().message()));
  }
  const auto columns = ValueOf(std::move(made));
  nb::dict padded;
  for (const auto& [name, value] : batch) padded[name] = value;
  for (const OutputColumn& column : columns) {
    padded[key(column.name)] =
        TensorToPython(column.tensor, torch ? ArrayKind::kTorch : ArrayKind::kNumpy);
  }
  return padded;
}

}  // namespace

void RegisterOutput(nb::module_& m) {
  nb::class_<PadOptions>(m, "Pad", "How lists become tensors of one length.")
      .def(
          "__init__",
          [](PadOptions* self, const PadList& columns, std::optional<int64_t> max_length,
             int64_t multiple_of, bool to_max_length, bool left, bool cut_left) {
            new (self) PadOptions(
                PadOf(columns, max_length, multiple_of, to_max_length, left, cut_left));
          },
          nb::arg("columns"), nb::arg("max_length").none(), nb::arg("multiple_of"),
          nb::arg("to_max_length"), nb::arg("left"), nb::arg("cut_left"),
          "Of each column its name, the padding's value and the dtype, empty for the "
          "default; the lengths in tokens; the side to pad and the side to cut.");
  nb::class_<Output>(m, "Output", "What batches are made into.")
      .def_static("make", &MakeOutputOf, nb::arg("kind"), nb::arg("pad").none(),
                  nb::arg("dataset"),
                  "Lists (\"python\"), arrays (\"numpy\", \"torch\") or record batches "
                  "(\"arrow\"); arrays padded as `pad` says.")
      .def_static(
          "units",
          [](const PackColumns& pack, const Dataset& dataset) {
            Check(CheckPack(pack, *dataset.schema()));
            return Output{Output::Kind::kPython, std::nullopt, pack};
          },
          nb::arg("pack"), nb::arg("dataset"), "Units to be packed, one of each batch.");
  m.def("pad_columns", &PadBatch, nb::arg("batch"), nb::arg("pad"), nb::arg("torch"),
        nb::sig("def pad_columns(batch: dict[str, typing.Any], pad: Pad, torch: bool) -> "
                "dict[str, typing.Any]"),
        "The batch with the columns padded that `pad` names.");
}

}  // namespace fast_axolotl
