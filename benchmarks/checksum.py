# SPDX-License-Identifier: Apache-2.0
"""What the rows of a pass amount to, whoever gave them and in whatever batches.

Every column is a stream of numbers and bytes, hashed in the order of the rows. Where one
batch ends and the next begins leaves no trace in it, nor does the width of a type:

* whole numbers and booleans count as 64-bit integers;
* floats count as millionths, rounded: the data hold six decimals, so that parsers that
  differ in the last bit agree, and those that differ by more do not;
* strings are the bytes of their UTF-8 and their lengths; lists are their items and their
  lengths, and ``[]`` is not ``None``;
* ``None`` is a bit in a stream of its own; the value below it does not count.

Padded tensors are hashed as they are, with their shapes. Packed rows have no one right
form, so of them the tokens are counted and added up: the same tokens in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Figures = dict[str, Any]  # {"rows": int, "columns": {name: str}}


class Rows:
    """Rows as lists or as Arrow batches."""

    def __init__(self) -> None:
        self._rows = 0
        self._streams: dict[str, dict[str, Any]] = {}

    def add(self, batch: Any) -> None:
        if isinstance(batch, Mapping):
            batch = pa.table({name: pa.array(values) for name, values in batch.items()})
        elif not isinstance(batch, (pa.RecordBatch, pa.Table)):
            batch = pa.record_batch(batch)  # whatever speaks the Arrow interface
        self._rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
            streams = self._streams.setdefault(name, {})
            for chunk in chunks:
                _feed(streams, "", chunk)

    def figures(self) -> Figures:
        columns = {}
        for name, streams in sorted(self._streams.items()):
            whole = hashlib.blake2b(digest_size=12)
            for part, stream in sorted(streams.items()):
                whole.update(part.encode() + stream.digest())
            columns[name] = whole.hexdigest()
        return {"rows": self._rows, "columns": columns}


def _feed(streams: dict[str, Any], place: str, array: pa.Array) -> None:
    """Hash one array; ``place`` tells the items of lists from the lists."""

    def update(part: str, values: Any) -> None:
        key = place + part
        if key not in streams:
            streams[key] = hashlib.blake2b(digest_size=16)
        streams[key].update(values)

    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    update("valid", np.ascontiguousarray(array.is_valid().to_numpy(zero_copy_only=False)))
    array = array.drop_null()
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        update("integers", array.cast(pa.int64()).to_numpy())
    elif pa.types.is_floating(kind):
        values = array.cast(pa.float64()).to_numpy()
        update("millionths", np.rint(values * 1e6).astype(np.int64))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        update("lengths", pc.list_value_length(array).cast(pa.int64()).to_numpy())
        _feed(streams, place + "[]", array.flatten())
    elif not pa.types.is_null(kind):
        if pa.types.is_decimal(kind):
            raise TypeError(f"values of type {kind}")
        array = array.cast(pa.large_binary())
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
        update("lengths", np.diff(ends))
        if data is not None and len(array):
            update("bytes", memoryview(data)[ends[0] : ends[-1]])


class Padded:
    """Batches of padded tensors or numpy arrays."""

    def __init__(self) -> None:
        self._rows = 0
        self._hashes: dict[str, Any] = {}

    def add(self, batch: Mapping[str, Any]) -> None:
        for name, tensor in batch.items():
            values = np.ascontiguousarray(tensor, np.int64)
            stream = self._hashes.setdefault(name, hashlib.blake2b(digest_size=12))
            stream.update(np.array(values.shape))
            stream.update(values)
        self._rows += len(values)

    def figures(self) -> Figures:
        columns = {name: stream.hexdigest() for name, stream in self._hashes.items()}
        return {"rows": self._rows, "columns": columns}


class Packed:
    """Rows of packed tokens, of which 0 is none."""

    def __init__(self) -> None:
        self._count = self._sum = self._squares = 0

    def add(self, batch: Mapping[str, Any]) -> None:
        values = np.asarray(batch["input_ids"], np.int64)
        self._count += int(np.count_nonzero(values))
        self._sum += int(values.sum())
        self._squares += int((values * values).sum())

    def figures(self) -> Figures:
        told = f"{self._count} tokens, sum {self._sum}, squares {self._squares}"
        return {"rows": None, "columns": {"input_ids": told}}


Sums = Rows | Padded | Packed
KINDS: dict[str, type[Sums]] = {
    "lists": Rows,
    "arrow": Rows,
    "padded": Padded,
    "packed": Packed,
}


def difference(found: Figures, expected: Figures) -> str:
    """What is not as expected, in a few words; empty where all is."""
    if found["rows"] != expected["rows"]:
        return f"{found['rows']} rows, not {expected['rows']}"
    here, there = found["columns"], expected["columns"]
    if here.keys() != there.keys():
        return f"columns {sorted(here)}, not {sorted(there)}"
    wrong = [name for name in there if here[name] != there[name]]
    return f"other values in {', '.join(wrong)}" if wrong else ""
