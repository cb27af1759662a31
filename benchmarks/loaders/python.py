# SPDX-License-Identifier: Apache-2.0
"""Plain Python: lines of text, a JSON array, and packing in a loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

TITLE = "plain Python"
IMPORTS = ()
PACKAGES = ("zstandard",)
CELLS = {"lists": ("*.txt", "*.txt.*", "*.json"), "packed": ("tok.parquet",)}
LENGTH = 4096


def _open(path: str) -> Any:
    if path.endswith(".gz"):
        import gzip

        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    if path.endswith(".zst"):
        import zstandard

        return zstandard.open(path, "rt", encoding="utf-8", newline="\n")
    return open(path, encoding="utf-8", newline="\n")  # noqa: PTH123


def lists(path: str, _: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    with _open(path) as file:
        if path.endswith(".json"):
            import json

            rows = json.load(file)
            for begin in range(0, len(rows), 1000):
                batch = rows[begin : begin + 1000]
                yield {name: [row[name] for row in batch] for name in batch[0]}
            return
        while lines := list(itertools.islice(file, 1000)):
            yield {"text": [line.rstrip("\n") for line in lines]}


def packed(path: str, _: list[str] | None) -> Iterator[dict[str, Any]]:
    """Whole rows one after the other, as long as they fit; what is left is filled."""
    import pyarrow.parquet as pq
    import torch

    def finished() -> dict[str, Any]:
        room = LENGTH - len(ids)
        return {"input_ids": ids + [0] * room, "labels": labels + [-100] * room}

    def tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}

    ids: list[int] = []
    labels: list[int] = []
    ready = []
    for batch in pq.ParquetFile(path).iter_batches(1000, columns=["input_ids", "labels"]):
        rows = batch.to_pydict()
        for more, their in zip(rows["input_ids"], rows["labels"], strict=True):
            if len(ids) + len(more) > LENGTH:
                ready.append(finished())
                ids, labels = [], []
                if len(ready) == 8:
                    yield tensors(ready)
                    ready = []
            ids += more
            labels += their
    ready.append(finished())
    yield tensors(ready)
