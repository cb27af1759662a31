# SPDX-License-Identifier: Apache-2.0
"""pyarrow: ``dataset.to_batches``, which reads ahead on threads.

Where the dataset interface cannot read a file, pyarrow's incremental readers do. Padding
is the numpy that a careful user writes around its batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loaders import files

TITLE = "pyarrow"
IMPORTS = ("pyarrow.dataset",)
PACKAGES = ("pyarrow",)
_FILES = ("*.parquet", "*.arrow", "*.feather", "*.jsonl", "*.jsonl.*", "*.csv")
CELLS = {"lists": _FILES, "arrow": _FILES, "padded": ("tok.*",)}


def _dataset(path: str) -> Any:
    import pyarrow.dataset as ds

    suffix = path.rpartition(".")[2]
    names = {"jsonl": "json", "arrow": "ipc", "feather": "feather"}
    return ds.dataset(files(path), format=names.get(suffix, suffix))


def _stream(path: str) -> Any:
    """A reader of the formats that the dataset interface does not take as they are."""
    import pyarrow as pa

    if path.endswith(".csv"):
        from pyarrow import csv

        return csv.open_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True))
    from pyarrow import json

    return json.open_json(pa.input_stream(path, compression="detect"))


def _batches(path: str, columns: list[str] | None, rows: int) -> Iterator[Any]:
    if path.endswith((".csv", ".gz", ".zst")):
        for block in _stream(path):
            for begin in range(0, len(block), rows):
                yield block.slice(begin, rows)
    else:
        yield from _dataset(path).to_batches(columns=columns, batch_size=rows)


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    for batch in _batches(path, columns, 1000):
        yield batch.to_pydict()


def arrow(path: str, columns: list[str] | None) -> Iterator[Any]:
    return _batches(path, columns, 1000)


def _exactly(batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Batches of so many rows, over the ends of larger ones."""
    import pyarrow as pa

    left = None
    for batch in batches:
        joined = batch if left is None else pa.concat_batches([left, batch])
        whole = len(joined) // rows * rows
        for begin in range(0, whole, rows):
            yield joined.slice(begin, rows)
        left = joined.slice(whole)
    if left is not None and len(left):
        yield left


def padded(path: str, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    import numpy as np
    import torch

    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    for batch in _exactly(_batches(path, columns, 1024), 32):
        tensors = {}
        for name, value in fill.items():
            column = batch[name]
            lengths = np.diff(column.offsets.to_numpy())
            made = np.full((len(column), lengths.max()), value, np.int64)
            filled = np.arange(made.shape[1]) < lengths[:, None]
            made[filled] = column.flatten().to_numpy()
            tensors[name] = torch.from_numpy(made)
        yield tensors
