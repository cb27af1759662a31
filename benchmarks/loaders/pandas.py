# SPDX-License-Identifier: Apache-2.0
"""pandas: text in chunks of 1,000 rows, columnar files whole and sliced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TITLE = "pandas"
IMPORTS = ("pandas",)
PACKAGES = ("pandas",)
CELLS = {
    "lists": (
        "text.parquet",
        "wide.parquet",
        "text.feather",
        "text.csv",
        "text.json",
        "*.jsonl",
        "*.jsonl.*",
    )
}


def _frames(path: str, columns: list[str] | None) -> Iterator[Any]:
    import pandas as pd

    if ".jsonl" in path:
        from loaders import files

        for name in files(path):
            yield from pd.read_json(name, lines=True, chunksize=1000)
    elif path.endswith(".csv"):
        yield from pd.read_csv(path, chunksize=1000)
    else:
        if path.endswith(".json"):
            frame = pd.read_json(path)
        elif path.endswith(".feather"):
            frame = pd.read_feather(path, columns)
        else:
            frame = pd.read_parquet(path, columns=columns)
        for begin in range(0, len(frame), 1000):
            yield frame.iloc[begin : begin + 1000]


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    for frame in _frames(path, columns):
        yield frame.to_dict("list")
