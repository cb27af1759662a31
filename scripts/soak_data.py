# SPDX-License-Identifier: Apache-2.0
"""Random files for ``soak.py``, the rows they hold, and options to read them with."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soak_child
from formats import COMPRESSIONS, FORMATS, Case, Table

MOST_TOKENS = 40  # in a list
WORDS = [
    "river",
    "lamp",
    "orbit",
    "Zürich",
    "こんにちは",
    'a "b"',
    "c,d",
    "e\tf",
    "👍",
    "ß",
]
SAMPLED = [f for f in FORMATS if f.names and not f.only_one_row]
LISTLESS = {"csv", "tsv"}


@dataclass
class Data:
    """Files, the rows they were written with, and their checksums in order."""

    paths: list[str]
    rows: list[dict[str, Any]]
    cases: list[Case]
    pairs: list[list[Any]] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)  # the first row of each file
    loose: bool = False  # see soak_child.checksum

    def check_by(self, columns: list[str]) -> None:
        kept = [{name: row[name] for name in columns} for row in self.rows]
        self.pairs = [list(p) for p in soak_child.pairs(kept, loose=self.loose)]


def make_row(number: int, rng: random.Random, length: int, *, lists: bool) -> dict:
    words = " ".join(rng.choices(WORDS, k=rng.randrange(1, length)))
    row = {
        "id": number,
        # Never a number's spelling, nor one of true and false.
        "text": None if rng.random() < 0.05 else "t " + words,
        "x": None if rng.random() < 0.1 else rng.randrange(10_000) / 8 + 0.0625,
    }
    if lists:
        # Each token comes once in the data, and none is the padding.
        first = number * MOST_TOKENS + 1
        row["ids"] = list(range(first, first + rng.randrange(MOST_TOKENS)))
    return row


def make_data(folder: Path, rng: random.Random, cases: list[Case], most: int) -> Data:
    lists = not any(case.format.id in LISTLESS for case in cases)
    length = 2 + int(2 ** rng.uniform(1, 7))
    paths, rows, begins = [], [], []
    for i, case in enumerate(cases):
        begins.append(len(rows))
        count = 1 + int(2 ** rng.uniform(0, math.log2(most)))
        part = [make_row(len(rows) + k, rng, length, lists=lists) for k in range(count)]
        table = Table(list(part[0]), [tuple(row.values()) for row in part])
        paths.append(str(case.write(folder, table, f"part{i}")))
        rows += part
    data = Data(paths, rows, cases, begins=begins)
    data.check_by(list(rows[0]))
    return data


def some_cases(rng: random.Random, most: int) -> list[Case]:
    return [
        Case(rng.choice(SAMPLED), rng.choice(COMPRESSIONS))
        for _ in range(rng.randrange(1, most + 1))
    ]


def cases_with_lists(rng: random.Random, most: int) -> list[Case]:
    cases = [case for case in some_cases(rng, most) if case.format.id not in LISTLESS]
    return cases or [Case(FORMATS[0], COMPRESSIONS[0])]


def some_options(rng: random.Random, rows: int) -> dict[str, Any]:
    return {
        "batch_size": rng.choice([1, 2, 7, 64, 300])
        if rows < 300
        else rng.randrange(5, 400),
        "num_threads": rng.randrange(1, 5),
        "read_ahead_bytes": rng.choice([None, 1, 20_000, 2_000_000]),
        "output": rng.choice(["python", "python", "numpy", "arrow"]),
    }


def some_shuffle(rng: random.Random) -> dict[str, Any]:
    return {
        "shuffle": rng.random() < 0.8,
        "seed": rng.randrange(2**63),
        "shuffle_window": rng.choice([None, 10, 100, 1000]),
        "num_lanes": rng.choice([None, None, 1, 3, 8]),
    }
