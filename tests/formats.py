# SPDX-License-Identifier: Apache-2.0
"""One reference writer for each format and each compression.

A new format is one row of `FORMATS`, a new compression one row of `COMPRESSIONS`: the
conformance and fault suites run over both tables. The writers are the standard library
and pyarrow, and never this package.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

import fast_axolotl


@dataclass(frozen=True)
class Table:
    """Rows as tuples in the order of the columns."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def project(self, columns: list[str]) -> Table:
        at = [self.columns.index(name) for name in columns]
        return Table(columns, [tuple(row[i] for i in at) for row in self.rows])


def table(**columns: list[Any]) -> Table:
    return Table(list(columns), list(zip(*columns.values(), strict=True)))


# --- formats --------------------------------------------------------------------------


def to_arrow(data: Table) -> pa.Table:
    columns = [[row[i] for row in data.rows] for i in range(len(data.columns))]
    return pa.Table.from_arrays([pa.array(c) for c in columns], names=data.columns)


def _chunk(data: Table) -> int:
    """Rows in a row group or record batch: several even of a few rows."""
    return max(3, len(data.rows) // 10)


def write_parquet(data: Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(
        to_arrow(data), out, row_group_size=_chunk(data), write_page_checksum=True
    )
    return out.getvalue()


def write_ipc_file(data: Table) -> bytes:
    arrow = to_arrow(data)
    out = io.BytesIO()
    with pa.ipc.new_file(out, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=_chunk(data))
    return out.getvalue()


def write_ipc_stream(data: Table) -> bytes:
    arrow = to_arrow(data)
    out = io.BytesIO()
    with pa.ipc.new_stream(out, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=_chunk(data))
    return out.getvalue()


def write_feather(data: Table) -> bytes:
    out = io.BytesIO()
    pa.feather.write_feather(
        to_arrow(data), out, compression="lz4", chunksize=_chunk(data)
    )
    return out.getvalue()


def write_json_array(data: Table) -> bytes:
    return json.dumps(data.dicts(), ensure_ascii=False).encode()


def write_json_pretty(data: Table) -> bytes:
    return (json.dumps(data.dicts(), indent=2) + "\n").encode()


def write_json_object(data: Table) -> bytes:
    (row,) = data.dicts()
    return json.dumps(row, indent=1).encode()


def write_lines(data: Table) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in data.dicts())
    return "".join(lines).encode()


def write_ascii_lines(data: Table) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in data.dicts()).encode()


def csv_cell(value: Any) -> str:
    # The csv module of Python 3.11 cannot tell None from "".
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def write_csv(data: Table, delimiter: str = ",") -> bytes:
    rows = itertools.chain([data.columns], data.rows)
    lines = (delimiter.join(map(csv_cell, row)) + "\n" for row in rows)
    return "".join(lines).encode()


def write_tsv(data: Table) -> bytes:
    return write_csv(data, "\t")


def write_text(data: Table) -> bytes:
    return "".join(text + "\n" for (text,) in data.rows).encode()


@dataclass(frozen=True)
class Format:
    """A format, its writer, and what it can hold."""

    id: str
    name: str  # as detect_format calls it
    suffix: str
    write: Callable[[Table], bytes]
    nested: bool = True  # lists and objects
    names: bool = True  # any column names at all
    repeats: bool = False  # repeated and empty column names
    columns_without_rows: bool = False
    lines: bool = False  # rows end at newlines
    text: bool = True  # an encoding of characters
    only_one_row: bool = False
    may_be_empty: bool = True  # no rows at all

    def fit(self, data: Table) -> Table:
        """As much of the data as this format holds: what must be read back."""
        if not self.names:
            texts = [
                row[0] if isinstance(row[0], str) else repr(row) for row in data.rows
            ]
            data = Table(["text"], [(text.replace("\n", " "),) for text in texts])
        if not self.nested:
            keep = [
                name
                for i, name in enumerate(data.columns)
                if not any(isinstance(row[i], (list, dict)) for row in data.rows)
            ]
            data = data.project(keep)
        if self.only_one_row:
            data = replace(data, rows=data.rows[:1])
        return data


BINARY = {"repeats": True, "columns_without_rows": True, "text": False}
LINES = {"lines": True}
CELLS = {"nested": False, "repeats": True, "columns_without_rows": True, "lines": True}

FORMATS = [
    Format("parquet", "parquet", ".parquet", write_parquet, **BINARY),
    Format("ipc_file", "arrow", ".arrow", write_ipc_file, **BINARY),
    Format("ipc_stream", "arrow", ".ipc", write_ipc_stream, **BINARY),
    Format("feather", "feather", ".feather", write_feather, **BINARY),
    Format("json_array", "json", ".json", write_json_array),
    Format("json_pretty", "json", ".json", write_json_pretty),
    Format(
        "json_object",
        "json",
        ".json",
        write_json_object,
        only_one_row=True,
        may_be_empty=False,
    ),
    Format("json_lines", "json", ".json", write_lines, may_be_empty=False, **LINES),
    Format("jsonl", "jsonl", ".jsonl", write_lines, **LINES),
    Format("ndjson", "jsonl", ".ndjson", write_ascii_lines, **LINES),
    Format("csv", "csv", ".csv", write_csv, **CELLS),
    Format("tsv", "csv", ".tsv", write_tsv, **CELLS),
    Format("text", "text", ".txt", write_text, nested=False, names=False, lines=True),
]


# --- compressions ---------------------------------------------------------------------


def _same(data: bytes) -> bytes:
    return data


def _thirds(data: bytes) -> list[bytes]:
    third = len(data) // 3
    return [data[:third], data[third : 2 * third], data[2 * third :]]


def to_gzip(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def to_gzip_members(data: bytes) -> bytes:
    """Several members, an empty one among them, and the padding that tapes leave."""
    members = [to_gzip(part) for part in _thirds(data)]
    return members[0] + to_gzip(b"") + members[1] + members[2] + bytes(7)


def to_zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def skippable(content: bytes, nibble: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + nibble, len(content)) + content


def to_zstd_frames(data: bytes) -> bytes:
    """Several frames with skippable ones between and behind them."""
    first, second, third = map(to_zstd, _thirds(data))
    return first + skippable(b"{} \n") + second + to_zstd(b"") + third + skippable(b"")


def to_zstd_skippable(data: bytes) -> bytes:
    """A skippable frame first, as pzstd and seekable writers put it."""
    return skippable(b"index" * 300, 15) + to_zstd(data)


@dataclass(frozen=True)
class Compression:
    id: str
    name: str | None  # as detect_format calls it
    suffix: str
    compress: Callable[[bytes], bytes]


PLAIN = Compression("plain", None, "", _same)

COMPRESSIONS = [
    PLAIN,
    Compression("gzip", "gzip", ".gz", to_gzip),
    Compression("gzip_members", "gzip", ".gz", to_gzip_members),
    Compression("zstd", "zstd", ".zst", to_zstd),
    Compression("zstd_frames", "zstd", ".zstd", to_zstd_frames),
    Compression("zstd_skippable", "zstd", ".zst", to_zstd_skippable),
]


# --- cases ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One format under one compression."""

    format: Format
    compression: Compression

    @property
    def id(self) -> str:
        return f"{self.format.id}-{self.compression.id}"

    @property
    def suffix(self) -> str:
        return self.format.suffix + self.compression.suffix

    def encode(self, data: Table) -> bytes:
        return self.compression.compress(self.format.write(self.format.fit(data)))

    def write(self, folder: Path, data: Table, stem: str = "data") -> Path:
        return self.write_bytes(folder, self.format.write(self.format.fit(data)), stem)

    def write_bytes(self, folder: Path, data: bytes, stem: str = "data") -> Path:
        """A file of these bytes of the format, compressed."""
        path = folder / (stem + self.suffix)
        path.write_bytes(self.compression.compress(data))
        return path


CASES = [Case(f, c) for f in FORMATS for c in COMPRESSIONS]


# --- reading --------------------------------------------------------------------------


def read_batches(path: Any, batch_size: int = 1000, **options: Any) -> list[dict]:
    with fast_axolotl.streaming_dataset_reader(path, batch_size, **options) as reader:
        return list(reader)


def rows_of(batch: Any) -> list[dict[str, Any]]:
    if not isinstance(batch, dict):
        batch = batch.to_pydict()
    return [
        dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)
    ]


def read_rows(path: Any, batch_size: int = 1000, **options: Any) -> list[dict[str, Any]]:
    """All rows, each with the columns of its batch."""
    return [
        row
        for batch in read_batches(path, batch_size, **options)
        for row in rows_of(batch)
    ]


def read_until_error(
    path: Any, batch_size: int = 1000, **options: Any
) -> tuple[list[dict[str, Any]], OSError | None]:
    """The rows before the first error, and the error; the call itself may raise it."""
    rows: list[dict[str, Any]] = []
    try:
        with fast_axolotl.streaming_dataset_reader(path, batch_size, **options) as reader:
            for batch in reader:
                rows += rows_of(batch)
    except OSError as error:
        return rows, error
    return rows, None


def exact(value: Any) -> str:
    """Tells apart all that == does not: 1, 1.0 and True; 0.0 and -0.0; NaN is NaN."""
    return repr(value)


def write_data(folder: Path, text: str, suffix: str) -> Path:
    path = folder / f"data{suffix}"
    path.write_bytes(text.encode())
    return path
