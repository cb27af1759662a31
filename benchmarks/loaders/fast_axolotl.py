# SPDX-License-Identifier: Apache-2.0
"""This package, with its defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TITLE = "fast_axolotl"
IMPORTS = ("fast_axolotl",)
PACKAGES = ("fast-axolotl", "pyarrow")
CELLS = {
    "lists": ("*",),
    "arrow": ("*",),
    "padded": ("tok.*",),
    "packed": ("tok.*",),
    "count": ("*",),
}


def lists(path: str, columns: list[str] | None, **options: Any) -> Iterable[Any]:
    from fast_axolotl import streaming_dataset_reader

    return streaming_dataset_reader(path, 1000, columns, **options)


def arrow(path: str, columns: list[str] | None, **options: Any) -> Iterable[Any]:
    from fast_axolotl import streaming_dataset_reader

    return streaming_dataset_reader(path, 1000, columns, output="arrow", **options)


def padded(path: str, columns: list[str] | None, **options: Any) -> Iterable[Any]:
    from fast_axolotl import StreamingDataset

    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return StreamingDataset(path, 32, columns, output="torch", pad=fill, **options)


def packed(path: str, columns: list[str] | None, **options: Any) -> Iterable[Any]:
    from fast_axolotl import PackOptions, StreamingDataset

    pack = PackOptions(4096, strategy="best_fit")
    return StreamingDataset(path, 8, columns, output="torch", pack=pack, **options)


def count(path: str, columns: list[str] | None) -> int:
    from fast_axolotl import count_rows

    return count_rows(path, columns=columns)
