# SPDX-License-Identifier: Apache-2.0
"""Files of tokenized rows, in every format that has lists."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(path: Path, table: pa.Table, step: int) -> None:
    pq.write_table(table, path, row_group_size=step)


def write_ipc_file(path: Path, table: pa.Table, step: int) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=step)


def write_ipc_stream(path: Path, table: pa.Table, step: int) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=step)


def json_lines(table: pa.Table) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()


def write_lines(path: Path, table: pa.Table, step: int) -> None:
    path.write_bytes(json_lines(table))


def write_gzip(path: Path, table: pa.Table, step: int) -> None:
    path.write_bytes(gzip.compress(json_lines(table)))


# By the end of the file's name; `step` is the number of rows in a fragment, where the
# format has any of so few.
WRITERS: dict[str, Callable[[Path, pa.Table, int], None]] = {
    ".parquet": write_parquet,
    ".arrow": write_ipc_file,
    ".stream.arrow": write_ipc_stream,
    ".jsonl": write_lines,
    ".jsonl.gz": write_gzip,
}


def write(path: Path, table: pa.Table, step: int = 7) -> str:
    """Write a table in the format that the path's suffix says; return the path."""
    suffix = next(
        s for s in sorted(WRITERS, key=len, reverse=True) if path.name.endswith(s)
    )
    WRITERS[suffix](path, table, step)
    return str(path)


def tokens(rows: list[list[int] | None], **columns: list) -> pa.Table:
    """A table of ``input_ids``, as int32, and other columns."""
    made = {name: pa.array(column) for name, column in columns.items()}
    return pa.table({"input_ids": pa.array(rows, pa.list_(pa.int32())), **made})
