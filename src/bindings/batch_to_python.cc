// SPDX-License-Identifier: Apache-2.0
#include "bindings/batch_to_python.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <unordered_set>

#include "bindings/column_values.h"
#include "bindings/pause_collector.h"
#include "core/common/memory.h"
#include "core/format/options.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

// Whether a row of the piece has the key, as far as that is known to differ.
bool HasRowWith(const Piece& piece, const std::string& name) {
  const int index = PresenceIndex(*piece.rows->schema(), name);
  return index < 0 || static_cast<const arrow::BooleanArray&>(*piece.rows->column(index))
                              .true_count() > 0;
}

std::vector<std::string> KeysOf(const Dataset& dataset, const Batch& batch) {
  std::vector<std::string> keys = dataset.schema()->field_names();
  if (dataset.options().columns) return keys;
  std::unordered_set<std::string> known(keys.begin(), keys.end());
  for (const Piece& piece : batch.pieces) {
    for (const auto& field : piece.rows->schema()->fields()) {
      const std::string& name = field->name();
      if (IsPresenceField(*field) || known.contains(name) || !HasRowWith(piece, name)) {
        continue;
      }
      known.insert(name);
      keys.push_back(name);
    }
  }
  return keys;
}

// Fills out[0, rows) with the column's values in the piece; see FillValues.
int64_t FillColumn(const Piece& piece, const std::string& name, PyObject** out) {
  const int64_t rows = piece.rows->num_rows();
  const int index = piece.rows->schema()->GetFieldIndex(name);
  if (index < 0) {
    for (int64_t i = 0; i < rows; ++i) out[i] = Py_NewRef(Py_None);
    return kAllFilled;
  }
  return FillValues(*piece.rows->column(index),
                    IsJsonField(*piece.rows->schema()->field(index)), out);
}

// Fills the column's values in the piece into their places in the list whose next free
// place is `row`; see FillValues.
int64_t PlaceColumn(const Piece& piece, const std::string& name, int64_t row,
                    PyObject** items) {
  if (!piece.gathered()) return FillColumn(piece, name, items + row);
  std::vector<PyObject*> values(piece.places.size());
  const int64_t failed = FillColumn(piece, name, values.data());
  if (failed != kAllFilled) return failed;
  for (size_t i = 0; i < values.size(); ++i) items[piece.places[i]] = values[i];
  return kAllFilled;
}

}  // namespace

nb::object BatchToDict(const Dataset& dataset, const Batch& batch, Misfit* misfit) {
  KeepFreedMemory();
  const PauseCollector pause;
  nb::dict dict;
  for (const std::string& name : KeysOf(dataset, batch)) {
    nb::object list = nb::steal(PyList_New(batch.rows));
    if (!list.is_valid()) return {};
    PyObject** items = reinterpret_cast<PyListObject*>(list.ptr())->ob_item;
    int64_t row = 0;
    for (const Piece& piece : batch.pieces) {
      const int64_t failed = PlaceColumn(piece, name, row, items);
      if (failed == kInterrupted) misfit->row = failed;
      if (failed >= 0) {
        misfit->row = piece.gathered() ? piece.places[failed] : row + failed;
        misfit->column = name;
      }
      if (failed != kAllFilled) return {};
      row += piece.rows->num_rows();
    }
    // Keys of JSON may hold surrogates that stand alone.
    const nb::object key = nb::steal(PyUnicode_DecodeUTF8(
        name.data(), static_cast<Py_ssize_t>(name.size()), "surrogatepass"));
    if (!key.is_valid() || PyDict_SetItem(dict.ptr(), key.ptr(), list.ptr()) != 0) {
      return {};
    }
  }
  return dict;
}

}  // namespace fast_axolotl
