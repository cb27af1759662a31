// SPDX-License-Identifier: Apache-2.0
#include "bindings/output_to_python.h"

#include <arrow/array.h>
#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "bindings/column_values.h"
#include "bindings/pause_collector.h"
#include "bindings/status.h"
#include "core/common/text.h"
#include "core/format/options.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// A list of the Python values, or null with an exception set.
nb::object ValuesOf(const OutputColumn& column, Misfit* misfit) {
  const int64_t rows = column.array->length();
  nb::object list = nb::steal(PyList_New(rows));
  if (!list.is_valid()) return {};
  PyObject** items = reinterpret_cast<PyListObject*>(list.ptr())->ob_item;
  misfit->column = column.name;
  misfit->row = FillValues(*column.array, column.json, items);
  return misfit->row == kAllFilled ? list : nb::object();
}

nb::object RaggedOf(const OutputColumn& column, ArrayKind kind) {
  // Not in a static: an import lets other threads in, which would wait for its guard
  // with the GIL.
  const nb::object make = nb::module_::import_("fast_axolotl._ragged").attr("Ragged");
  nb::list offsets;
  for (int64_t offset : column.offsets) offsets.append(offset);
  nb::list nulls;
  for (int64_t row : column.null_rows) nulls.append(row);
  return make(TensorToPython(column.tensor, kind, {column.boolean, column.shared}),
              offsets, nulls);
}

template <typename Exported, typename Export>
nb::object Capsule(const char* name, Export&& fill) {
  auto exported = std::make_unique<Exported>();
  Check(fill(exported.get()));
  nb::object capsule = nb::steal(PyCapsule_New(exported.get(), name, [](PyObject* self) {
    auto* held =
        static_cast<Exported*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self)));
    // Null where the importer took it over.
    if (held->release != nullptr) held->release(held);
    delete held;
  }));
  if (!capsule.is_valid()) {
    exported->release(exported.get());
    throw nb::python_error();
  }
  (void)exported.release();
  return capsule;
}

// Whether names pass through Arrow's C interface, which are zero-terminated UTF-8.
bool HasPlainNames(const arrow::FieldVector& fields) {
  return std::all_of(fields.begin(), fields.end(), [](const auto& field) {
    const std::string& name = field->name();
    return name.find('\0') == std::string::npos && ValidUtf8Prefix(name) == name.size() &&
           HasPlainNames(field->type()->fields());
  });
}

}  // namespace

void CheckExport(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    if (HasPlainNames({field})) continue;
    Throw(
        Status::Invalid("column ", Quoted(field->name()),
                        " has a name, or names in it, that Arrow cannot hand over: they "
                        "are no UTF-8 or have a zero byte; leave it out with columns=, "
                        "or use another output than \"arrow\""));
  }
}

nb::object ColumnsToDict(const OutputBatch& batch, ArrayKind kind, Misfit* misfit) {
  const PauseCollector pause;
  nb::dict dict;
  for (const OutputColumn& column : batch.columns) {
    nb::object value;
    switch (column.layout) {
      case OutputColumn::Layout::kDense:
        value = TensorToPython(column.tensor, kind, {column.boolean, column.shared});
        break;
      case OutputColumn::Layout::kRagged:
        value = RaggedOf(column, kind);
        break;
      case OutputColumn::Layout::kValues:
        value = ValuesOf(column, misfit);
        if (!value.is_valid()) return {};
    }
    const nb::object key = nb::steal(PyUnicode_DecodeUTF8(
        column.name.data(), static_cast<Py_ssize_t>(column.name.size()),
        "surrogatepass"));
    if (!key.is_valid()) return {};
    dict[key] = value;
  }
  return dict;
}

nb::object ExportSchema(const arrow::Schema& schema) {
  CheckExport(schema);
  static const auto kJson = arrow::key_value_metadata(
      {"ARROW:extension:name", "ARROW:extension:metadata"}, {"arrow.json", ""});
  arrow::FieldVector fields = schema.fields();
  for (auto& field : fields) {
    if (IsJsonField(*field)) field = field->WithMetadata(kJson);
  }
  return Capsule<ArrowSchema>("arrow_schema", [&](ArrowSchema* out) {
    return arrow::ExportSchema(*arrow::schema(std::move(fields)), out);
  });
}

nb::object ToPyArrow(const arrow::RecordBatch& batch) {
  const nb::object array = Capsule<ArrowArray>("arrow_array", [&](ArrowArray* out) {
    return arrow::ExportRecordBatch(batch, out);
  });
  const nb::module_ pyarrow = nb::module_::import_("pyarrow");
  return pyarrow.attr("RecordBatch")
      .attr("_import_from_c_capsule")(ExportSchema(*batch.schema()), array);
}

}  // namespace fast_axolotl
