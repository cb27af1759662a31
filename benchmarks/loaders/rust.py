# SPDX-License-Identifier: Apache-2.0
"""The Rust ``fast-axolotl`` 0.2.0, in an environment of its own: the names are the same.

It reads a file whole before it gives the first batch. Packing is its function that keeps
labels; its output is lists, made int64 arrays here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from loaders import files

TITLE = "Rust fast-axolotl 0.2.0"
IMPORTS = ("fast_axolotl",)
PACKAGES = ("fast-axolotl",)
VENV = ("fast-axolotl==0.2.0", "numpy>=2", "pyarrow==26.0.1")
CELLS = {
    "lists": (
        "*.parquet",
        "*.arrow",
        "*.feather",
        "*.jsonl",
        "*.jsonl.*",
        "*.json",
        "*.csv",
        "*.txt",
        "*.txt.*",
    ),
    "packed": ("tok.parquet",),
}


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    from fast_axolotl import detect_format, streaming_dataset_reader

    threads = len(os.sched_getaffinity(0))
    for name in files(path):
        kind, compression = detect_format(name)
        if compression:
            kind = f"{kind}.{name.rpartition('.')[2]}"
        for batch in streaming_dataset_reader(name, kind, 1000, threads):
            # It cannot leave out columns while it reads.
            yield {key: batch[key] for key in columns} if columns else batch


def packed(path: str, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    import numpy as np

    from fast_axolotl import concatenate_and_pack

    for rows in lists(path, columns):
        # Lists of 8-bit integers come out as strings, so the mask is made here.
        masks = [[1] * len(ids) for ids in rows["input_ids"]]
        packs = concatenate_and_pack(rows["input_ids"], rows["labels"], masks, 4096, 0)
        yield {name: np.array(packs[name]) for name in ("input_ids", "labels")}
