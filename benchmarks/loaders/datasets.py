# SPDX-License-Identifier: Apache-2.0
"""Hugging Face datasets, streaming: ``IterableDataset.iter`` gives whole batches.

Its guide for speed is ``with_format("arrow")`` for tables and ``with_format("torch")``
for tensors; dicts of lists are what it gives without a format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loaders import pattern

TITLE = "HF datasets"
IMPORTS = ("datasets",)
PACKAGES = ("datasets",)
_FILES = ("*.parquet", "*.jsonl", "*.jsonl.*", "*.csv", "*.json", "*.txt", "*.txt.*")
CELLS = {
    "lists": (*_FILES, "*.arrow", "*.feather"),
    "arrow": (*_FILES, "*.arrow", "*.feather"),
    "padded": ("tok.*",),
}
_BUILDERS = {"jsonl": "json", "txt": "text", "feather": "arrow"}


def _open(path: str, columns: list[str] | None) -> Any:
    import datasets

    suffix = path.rpartition("/")[2].split(".")[1]
    return datasets.load_dataset(
        _BUILDERS.get(suffix, suffix),
        data_files=pattern(path),
        split="train",
        streaming=True,
        # Elsewhere a column is left out after it was decoded.
        **({"columns": columns} if columns and suffix == "parquet" else {}),
    )


def lists(path: str, columns: list[str] | None) -> Iterable[dict[str, list[Any]]]:
    return _open(path, columns).iter(batch_size=1000)


def arrow(path: str, columns: list[str] | None) -> Iterable[Any]:
    return _open(path, columns).with_format("arrow").iter(batch_size=1000)


def padded(path: str, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    from torch.utils.data import DataLoader

    from loaders._collate import pad

    rows = _open(path, columns).with_format("torch")
    yield from DataLoader(rows, batch_size=32, collate_fn=pad)
