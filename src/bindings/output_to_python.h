// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "bindings/tensor_to_python.h"
#include "core/output/output.h"

namespace fast_axolotl {

// A batch's columns as a dict of arrays, of `fast_axolotl._ragged.Ragged` for lists of
// numbers, and of lists of Python values for the rest. Returns a null object with the
// exception set where a row has no Python value, and `*misfit` tells which.
nanobind::object ColumnsToDict(const OutputBatch& batch, ArrayKind kind, Misfit* misfit);

// Throws a ValueError unless a schema can be given to others.
void CheckExport(const arrow::Schema& schema);

// The batch as a pyarrow.RecordBatch over the same memory.
nanobind::object ToPyArrow(const arrow::RecordBatch& batch);

// The schema in an "arrow_schema" capsule; JSON columns are of the type arrow.json.
nanobind::object ExportSchema(const arrow::Schema& schema);

}  // namespace fast_axolotl
