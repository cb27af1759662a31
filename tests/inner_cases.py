# SPDX-License-Identifier: Apache-2.0
"""Cases of formats that compress what is inside of them, in several pieces."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from formats import PLAIN, Case, Format, Table, to_arrow

Write = Callable[[Table], bytes]


def inner(id_: str, name: str, suffix: str, write: Write) -> Case:
    return Case(Format(id_, name, suffix, write, text=False), PLAIN)


def parquet(rows: int, **options: Any) -> Write:
    """Parquet with so many rows in each row group."""

    def write(data: Table) -> bytes:
        out = io.BytesIO()
        pq.write_table(to_arrow(data), out, row_group_size=rows, **options)
        return out.getvalue()

    return write


def ipc(new: Callable[..., Any], codec: str, rows: int) -> Write:
    """An Arrow file or stream with so many rows in each batch."""

    def write(data: Table) -> bytes:
        arrow, out = to_arrow(data), io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with new(out, arrow.schema, options=options) as writer:
            writer.write_table(arrow, max_chunksize=rows)
        return out.getvalue()

    return write


def ipc_cases(rows: int) -> list[Case]:
    made = [("ipc_file", ".arrow", pa.ipc.new_file)]
    made += [("ipc_stream", ".ipc", pa.ipc.new_stream)]
    return [
        inner(f"{id_}:{codec}", "arrow", suffix, ipc(new, codec, rows))
        for id_, suffix, new in made
        for codec in ("lz4", "zstd")
    ]


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]
