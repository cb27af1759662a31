# SPDX-License-Identifier: Apache-2.0
"""grain: rows converted once to ArrayRecord, then a ``MapDataset`` and its threads.

A record is the three columns as raw bytes, which numpy reads without a copy. Packing is
grain's own ``BestFitPackIterDataset``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TITLE = "grain (converted)"
IMPORTS = ("grain",)
PACKAGES = ("grain", "array_record")
CELLS = {"padded": ("tok.parquet",), "packed": ("tok.parquet",)}


def convert(source: str, target: str) -> None:
    import pathlib

    import pyarrow.parquet as pq
    from array_record.python.array_record_module import ArrayRecordWriter

    names = ("input_ids", "labels", "attention_mask")
    pathlib.Path(target).mkdir()
    # Its guide: one record a group for random reads.
    writer = ArrayRecordWriter(f"{target}/rows.array_record", "group_size:1")
    for batch in pq.ParquetFile(source).iter_batches(1000):
        for at in range(len(batch)):
            values = (batch[name][at].values.to_numpy().tobytes() for name in names)
            writer.write(b"".join(values))
    writer.close()


def _parse(record: bytes) -> dict[str, Any]:
    import numpy as np

    length = len(record) // 9
    return {
        "input_ids": np.frombuffer(record, np.int32, length),
        "labels": np.frombuffer(record, np.int32, length, length * 4),
        "attention_mask": np.frombuffer(record, np.int8, length, length * 8),
    }


def _rows(path: str) -> Any:
    import grain

    source = grain.sources.ArrayRecordDataSource(f"{path}/rows.array_record")
    return grain.MapDataset.source(source).map(_parse)


def padded(path: str, _: list[str] | None) -> Iterator[dict[str, Any]]:
    from loaders._collate import pad

    batches = _rows(path).to_iter_dataset().batch(32, batch_fn=pad)
    yield from batches


def packed(path: str, _: list[str] | None) -> Iterator[dict[str, Any]]:
    import grain
    import numpy as np
    import torch

    lengths = {"input_ids": 4096, "labels": 4096}
    names = set(lengths)
    rows = _rows(path).to_iter_dataset().map(lambda row: {n: row[n] for n in names})
    packs = grain.experimental.BestFitPackIterDataset(
        rows, length_struct=lengths, num_packing_bins=64
    )
    for batch in packs.batch(8, drop_remainder=False):
        yield {name: torch.from_numpy(batch[name].astype(np.int64)) for name in lengths}
