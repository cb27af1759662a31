# SPDX-License-Identifier: Apache-2.0
"""Files to read, and batches of every output as lists of Python values, to compare."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
from arrow_cases import to_pylist

from fast_axolotl import streaming_dataset_reader

ARRAYS = ["numpy"]
if importlib.util.find_spec("torch") is not None:
    ARRAYS.append("torch")
OUTPUTS = [*ARRAYS, "arrow"]


def write_ipc(path: Path, table: pa.Table, rows: int = 4, stream: bool = False) -> Path:
    """An Arrow file, or a stream, of batches of so many rows."""
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def mixed(folder: Path) -> list[Path]:
    """Files of several formats, which a folder alone may not hold."""
    return sorted(folder.iterdir())


def column_of(
    path: Any, batch_size: int = 1000, output: str = "numpy", **options: Any
) -> list[Any]:
    """Column x of all batches."""
    with streaming_dataset_reader(path, batch_size, output=output, **options) as reader:
        return [batch["x"] for batch in reader]


def read_arrow(path: Any, batch_size: int = 1000, **options: Any) -> list[pa.RecordBatch]:
    with streaming_dataset_reader(path, batch_size, output="arrow", **options) as reader:
        return list(reader)


def arrow_column(path: Any, batch_size: int = 1000, **options: Any) -> pa.ChunkedArray:
    """Column x as pyarrow has it, of all batches."""
    batches = read_arrow(path, batch_size, **options)
    assert len({str(batch.schema) for batch in batches}) == 1
    for batch in batches:
        batch.validate(full=True)
    return pa.chunked_array([batch["x"] for batch in batches])


def stable(kind: pa.DataType) -> pa.DataType:
    """The type of a stream of blocks: dictionaries get indices that do not run out."""
    if pa.types.is_dictionary(kind):
        index = kind.index_type if kind.index_type.bit_width >= 32 else pa.int32()
        return pa.dictionary(index, kind.value_type, kind.ordered)
    if pa.types.is_list(kind):
        return pa.list_(stable(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(stable(field.type)) for field in kind])
    return kind


def until_error(
    path: Any, batch_size: int = 1000, output: str = "numpy", **options: Any
) -> tuple[list[Any], str]:
    """The batches before the error, and the error; which comes again and again."""
    reader = streaming_dataset_reader(path, batch_size, output=output, **options)
    batches = []
    errors: list[str] = []
    while len(errors) < 3:
        try:
            batches.append(next(reader))
            assert not errors
        except OSError as error:
            errors.append(str(error))
    assert errors == errors[:1] * 3
    return batches, errors[0]


def _values(column: Any) -> list[Any]:
    if hasattr(column, "offsets"):  # Ragged
        return [None if row is None else row.tolist() for row in column]
    return column if type(column) is list else column.tolist()


def _arrow_values(column: pa.Array) -> list[Any]:
    if isinstance(column.type, pa.JsonType):
        texts = column.storage.to_pylist()
        return [None if text is None else json.loads(text) for text in texts]
    return to_pylist(column)


def values_of(batch: Any) -> dict[str, list[Any]]:
    """A batch of any output as a dict of lists."""
    if isinstance(batch, pa.RecordBatch):
        batch.validate(full=True)
        return {
            name: _arrow_values(batch.column(i))
            for i, name in enumerate(batch.schema.names)
        }
    return {name: _values(column) for name, column in batch.items()}


def kind_of(column: Any) -> object:
    """What is the same for a column of every batch of a stream."""
    if isinstance(column, pa.Array):
        return column.type
    if hasattr(column, "offsets"):
        return "ragged", str(column.values.dtype)
    if type(column) is list:
        return list
    return type(column).__name__, str(column.dtype), tuple(column.shape[1:])


def kinds_of(batch: Any) -> dict[str, object]:
    if isinstance(batch, pa.RecordBatch):
        return {name: kind_of(batch[name]) for name in batch.schema.names}
    return {name: kind_of(column) for name, column in batch.items()}


def same(got: Any, want: Any) -> bool:
    """Equal; None is NaN where floats are in arrays, and an int may be a double."""
    if isinstance(want, list):
        return (
            isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
        )
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and list(got) == list(want)
            and all(same(got[key], value) for key, value in want.items())
        )
    if isinstance(got, float) and math.isnan(got):
        return want is None or (isinstance(want, float) and math.isnan(want))
    if isinstance(want, bool) or isinstance(got, bool):
        return got is want
    if isinstance(want, (int, float)):
        return type(got) in (int, float) and got == want
    return type(got) is type(want) and got == want


def assert_same(got: dict[str, list[Any]], want: dict[str, list[Any]]) -> None:
    assert list(got) == list(want)
    for name, values in want.items():
        assert same(got[name], values), f"{name}: {got[name]!r} is not {values!r}"


def joined(batches: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """The columns of all batches."""
    names = dict.fromkeys(name for batch in batches for name in batch)
    return {name: [v for batch in batches for v in batch[name]] for name in names}
