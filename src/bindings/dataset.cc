// SPDX-License-Identifier: Apache-2.0
#include "core/index/dataset.h"

#include <arrow/c/bridge.h>
#include <arrow/type.h>
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

#include "bindings/output_to_python.h"
#include "bindings/register.h"
#include "bindings/status.h"
#include "bindings/ticker.h"
#include "core/common/limits.h"
#include "core/format/options.h"
#include "core/format/schema.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Paths and column names come as bytes: not all of them are valid UTF-8.
std::string Text(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

// A type as the caller gave it: its name, or an object with Arrow's PyCapsule interface.
std::shared_ptr<arrow::Field> FieldOf(const std::string& name, nb::handle type) {
  if (nb::isinstance<nb::str>(type)) {
    return ValueOf(ParseField(name, nb::cast<std::string>(type)));
  }
  if (!nb::hasattr(type, "__arrow_c_schema__")) {
    PyErr_Format(PyExc_TypeError,
                 "schema= needs a type name or an Arrow type for column '%s', not %R",
                 name.c_str(), reinterpret_cast<PyObject*>(Py_TYPE(type.ptr())));
    throw nb::python_error();
  }
  const nb::object capsule = type.attr("__arrow_c_schema__")();
  auto* schema =
      static_cast<ArrowSchema*>(PyCapsule_GetPointer(capsule.ptr(), "arrow_schema"));
  if (schema == nullptr) throw nb::python_error();
  auto field = ValueOf(arrow::ImportField(schema));
  return field->WithName(name);
}

std::shared_ptr<arrow::Schema> SchemaOf(
    const std::vector<std::tuple<nb::bytes, nb::object>>& types) {
  if (types.empty()) return nullptr;
  arrow::FieldVector fields;
  for (const auto& [name, type] : types) fields.push_back(FieldOf(Text(name), type));
  return arrow::schema(std::move(fields));
}

// Names and values were checked against AllLimits().
Limits LimitsOf(const std::vector<std::tuple<std::string, int64_t>>& given) {
  Limits limits;
  for (const auto& [name, value] : given) {
    for (const NamedLimit& limit : AllLimits()) {
      if (limit.name == name) limits.*limit.value = value;
    }
  }
  return limits;
}

std::vector<std::tuple<std::string, int64_t, int64_t>> ListLimits() {
  const Limits defaults;
  std::vector<std::tuple<std::string, int64_t, int64_t>> limits;
  for (const NamedLimit& limit : AllLimits()) {
    limits.emplace_back(limit.name, defaults.*limit.value, limit.most);
  }
  return limits;
}

std::shared_ptr<Dataset> Open(const std::vector<nb::bytes>& paths,
                              const std::optional<std::string>& format,
                              const std::optional<std::vector<nb::bytes>>& columns,
                              const std::vector<std::tuple<nb::bytes, nb::object>>& types,
                              const std::optional<std::string>& csv_delimiter,
                              bool csv_header,
                              const std::vector<std::tuple<std::string, int64_t>>& limits,
                              bool keep_begun, bool keep_bad_rows, int num_threads) {
  ReadOptions options;
  options.keep_bad_rows = keep_bad_rows;
  if (columns) {
    options.columns.emplace();
    for (const nb::bytes& name : *columns) options.columns->push_back(Text(name));
  }
  options.types = SchemaOf(types);
  if (csv_delimiter) options.csv.delimiter = csv_delimiter->at(0);
  options.csv.header = csv_header;
  options.limits = LimitsOf(limits);
  std::vector<std::string> names;
  for (const nb::bytes& path : paths) names.push_back(Text(path));
  const Format* forced = format ? FindFormat(*format) : nullptr;
  return Ticker().Run([&]() -> Result<std::shared_ptr<Dataset>> {
    ARROW_ASSIGN_OR_RAISE(std::vector<File> files, StatFiles(names));
    return Dataset::Open(std::move(files), forced, std::move(options), keep_begun,
                         num_threads);
  });
}

std::vector<std::tuple<nb::str, std::string>> Schema(const Dataset& dataset) {
  std::vector<std::tuple<nb::str, std::string>> columns;
  for (const auto& field : dataset.schema()->fields()) {
    columns.emplace_back(
        nb::steal<nb::str>(PyUnicode_DecodeUTF8(
            field->name().data(), static_cast<Py_ssize_t>(field->name().size()),
            "surrogatepass")),
        TypeName(*field));
  }
  return columns;
}

std::tuple<int64_t, bool> CountRows(const Dataset& dataset) {
  const RowCount rows = Ticker().Run([&] { return dataset.CountRows(); });
  return {rows.rows, rows.exact};
}

int64_t BytesTotal(const Dataset& dataset) {
  int64_t bytes = 0;
  for (const File& file : dataset.files()) bytes += file.size;
  return bytes;
}

}  // namespace

void RegisterDataset(nb::module_& m) {
  nb::class_<Dataset>(m, "Dataset", "Files to be read, and the columns they have.")
      .def_prop_ro("schema", &Schema, "Each column's name and its type's name.")
      .def(
          "__arrow_c_schema__",
          [](const Dataset& dataset) { return ExportSchema(*dataset.schema()); },
          "The schema as an Arrow PyCapsule; JSON columns are arrow.json.")
      .def_prop_ro("bytes_total", &BytesTotal, "The files' sizes on disk, in bytes.")
      .def("count_rows", &CountRows,
           "The number of rows, and whether it is exact or an estimate.");
  m.def("limits", &ListLimits, "Each limit's name, default and largest value.");
  m.def(
      "open_dataset", &Open, nb::arg("paths"), nb::arg("format").none(),
      nb::arg("columns").none(), nb::arg("types"), nb::arg("csv_delimiter").none(),
      nb::arg("csv_header"), nb::arg("limits"), nb::arg("keep_begun") = false,
      nb::arg("keep_bad_rows") = false, nb::arg("num_threads") = 1,
      "Looks at the files and samples their columns. keep_begun: a pass over all rows\n"
      "as they come follows, and goes on from there. keep_bad_rows: rows that cannot be\n"
      "read are left out of the batches they fall into. num_threads: so many\n"
      "files are sampled at a time.");
}

}  // namespace fast_axolotl
