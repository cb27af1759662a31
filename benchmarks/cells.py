# SPDX-License-Identifier: Apache-2.0
"""What is measured, and by how much the package is to be ahead: one line each.

A goal is the least ratio of a peer's seconds to ours. ``"best"`` is the fastest peer of
the cell, whoever that is.
"""

from __future__ import annotations

from dataclasses import dataclass

Goals = dict[str, float]


@dataclass(frozen=True, eq=False)  # a key of dicts, by identity
class Cell:
    """A file, what is made of it, and the goals of a warm pass over it."""

    file: str
    output: str
    goals: Goals
    columns: list[str] | None = None

    @property
    def name(self) -> str:
        return f"{self.file}/{self.output}"


def _lists(file: str, best: float, columns: list[str] | None = None) -> Cell:
    over_datasets = 1.7 if file == "tok.parquet" else 3.0
    goals = {"best": best, "datasets": over_datasets, "rust": 1.5}
    return Cell(file, "lists", goals, columns)


CELLS = [
    _lists("text.parquet", 1.3),
    _lists("tok.parquet", 1.7),
    _lists("text.jsonl", 1.3),
    _lists("tok.jsonl", 2.0),
    _lists("text.jsonl.gz", 1.4),
    _lists("text.jsonl.zst", 1.3),
    _lists("tok.jsonl.zst", 2.0),
    _lists("text.csv", 1.0),
    _lists("text.txt", 1.5),
    _lists("text.txt.gz", 1.5),
    _lists("text.txt.zst", 1.5),
    _lists("text.json", 3.0),
    _lists("text.arrow", 1.2),
    _lists("text.feather", 1.2),
    _lists("tok.arrow", 1.2),
    _lists("wide.parquet", 1.2, ["c00", "c03"]),
    _lists("many.jsonl", 3.0),
    Cell("text.parquet", "arrow", {"best": 1.0}),
    Cell("tok.parquet", "arrow", {"best": 1.1}),
    Cell("text.jsonl", "arrow", {"best": 1.2}),
    Cell("tok.jsonl", "arrow", {"best": 5.0}),
    Cell("text.arrow", "arrow", {"best": 1.0}),
    Cell("text.feather", "arrow", {"best": 1.0}),
    Cell("tok.arrow", "arrow", {"best": 1.0}),
    Cell("tok.parquet", "padded", {"best": 1.0, "litdata": 1.5, "datasets": 10.0}),
    Cell("tok.jsonl", "padded", {"best": 1.0, "datasets": 10.0}),
    Cell("tok.jsonl.zst", "padded", {"best": 1.0, "datasets": 10.0}),
    Cell("tok.parquet", "packed", {"best": 1.0, "python": 10.0, "rust": 10.0}),
]
# Of the first batch in a fresh process, in every cell of lists.
FIRST_BATCH: Goals = {"best": 1.0, "datasets": 20.0}

# Of scale.py: the largest file against the middle one, in seconds per GB and in peak
# memory; peak memory of the largest; one thread's seconds over two's; counting rows.
FLAT_SECONDS = 1.1
FLAT_MEMORY = 1.1
MOST_MB = 300
TWO_THREADS = 1.6
COUNT_GB_S = 5.0
