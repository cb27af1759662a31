# SPDX-License-Identifier: Apache-2.0
"""litdata: rows converted once by ``optimize``, then ``StreamingDataLoader``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TITLE = "litdata (converted)"
IMPORTS = ("litdata",)
PACKAGES = ("litdata", "torch")
CELLS = {"padded": ("tok.parquet",)}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return row


def convert(source: str, target: str) -> None:
    import pyarrow.parquet as pq
    import torch
    from litdata import optimize

    table = pq.read_table(source)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    rows = [
        {
            name: torch.from_numpy(column[at].values.to_numpy().copy())
            for name, column in columns.items()
        }
        for at in range(len(table))
    ]
    optimize(_row, rows, target, chunk_bytes="64MB", num_workers=1)


def padded(path: str, _: list[str] | None) -> Iterator[dict[str, Any]]:
    from litdata import StreamingDataLoader, StreamingDataset

    from loaders._collate import pad

    rows = StreamingDataset(path, shuffle=False)
    yield from StreamingDataLoader(rows, batch_size=32, num_workers=0, collate_fn=pad)
