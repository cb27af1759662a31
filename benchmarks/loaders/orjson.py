# SPDX-License-Identifier: Apache-2.0
"""orjson in a loop over lines: the loader that everyone writes. Arrays are read whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from loaders import files

TITLE = "orjson loop"
IMPORTS = ("orjson",)
PACKAGES = ("orjson", "zstandard")
CELLS = {"lists": ("*.jsonl", "*.jsonl.*", "*.json")}


def _open(path: str) -> Any:
    if path.endswith(".gz"):
        import gzip

        return gzip.open(path)
    if path.endswith(".zst"):
        import io

        import zstandard

        return io.BufferedReader(zstandard.open(path), 1 << 20)
    return open(path, "rb", buffering=1 << 20)  # noqa: PTH123


def _rows(path: str) -> Iterable[dict[str, Any]]:
    import orjson

    if path.endswith(".json"):
        with _open(path) as file:
            yield from orjson.loads(file.read())
        return
    for name in files(path):
        with _open(name) as file:
            yield from map(orjson.loads, file)


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    rows = iter(_rows(path))
    while batch := list(itertools.islice(rows, 1000)):
        names = columns or list(batch[0])
        yield {name: [row[name] for row in batch] for name in names}
