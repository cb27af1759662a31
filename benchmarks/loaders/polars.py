# SPDX-License-Identifier: Apache-2.0
"""polars: columnar files and CSV read whole and sliced, text read by ``collect_batches``.

Both ways were tried on every file, and for each kind the faster one stayed. Batches go to
Arrow without a copy (``CompatLevel.newest``) and to lists with ``to_dict``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loaders import pattern

TITLE = "polars"
IMPORTS = ("polars",)
PACKAGES = ("polars",)
_FILES = (
    "*.parquet",
    "*.arrow",
    "*.feather",
    "*.jsonl",
    "*.jsonl.*",
    "*.json",
    "*.csv",
    "*.txt",
    "*.txt.*",
)
CELLS = {"lists": _FILES, "arrow": _FILES}


def _frames(path: str, columns: list[str] | None) -> Iterator[Any]:
    import polars as pl

    if path.endswith(".json"):  # an array, for which there is no scan
        return pl.read_json(path).iter_slices(1000)
    suffix = path.rpartition("/")[2].split(".")[1]
    if suffix == "jsonl":
        scan = pl.scan_ndjson(pattern(path))
    elif suffix == "txt":
        scan = pl.scan_lines(path, name="text")
    else:
        kinds = {
            "parquet": pl.scan_parquet,
            "arrow": pl.scan_ipc,
            "feather": pl.scan_ipc,
            "csv": pl.scan_csv,
        }
        scan = kinds[suffix](path)
    if columns:
        scan = scan.select(columns)
    if suffix in {"jsonl", "txt"}:
        return scan.collect_batches(chunk_size=1000)
    return scan.collect(engine="streaming").iter_slices(1000)


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    for frame in _frames(path, columns):
        yield frame.to_dict(as_series=False)


def arrow(path: str, columns: list[str] | None) -> Iterator[Any]:
    import polars as pl

    for frame in _frames(path, columns):
        yield frame.to_arrow(compat_level=pl.CompatLevel.newest())
