# SPDX-License-Identifier: Apache-2.0
"""Strings of every width, made of characters at all borders of UTF-8 and of its steps."""

from __future__ import annotations

import json
from itertools import islice, product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fast_axolotl import streaming_dataset_reader

# The first and last character of each length in UTF-8 and of each width in Python.
BORDERS = [
    "a",
    "\x00",
    "\x7f",
    "\x80",
    "\xff",
    "\u0100",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
]


def strings() -> list[str]:
    """Each pair of them behind and before runs about as long as the decoder's steps."""
    found = ["".join(pair) for pair in product(BORDERS, BORDERS)]
    for first, second in product(BORDERS, BORDERS):
        for run in (1, 13, 15, 16, 17, 47, 16 * 255, 16 * 255 + 17):
            if run > 100 and first > "\xff":
                continue
            found += [first * run + second, "x" * run + first + second + "y" * run]
    return found


def same(found: list[str], wanted: list[str]) -> None:
    assert found == wanted
    # Python compares by width, and hashes by content.
    assert {text: i for i, text in enumerate(found)} == {
        text: i for i, text in enumerate(wanted)
    }
    assert [text + "\u0100" for text in found] == [text + "\u0100" for text in wanted]


def read(path: Path, column: str) -> list[str]:
    return [value for batch in streaming_dataset_reader(path) for value in batch[column]]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    wanted = strings()
    pq.write_table(pa.table({"a": wanted}), path)
    same(read(path, "a"), wanted)


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    wanted = strings()
    rows = ({"a": text, "b": {"c": text, "d": ["\ud800" + text]}} for text in wanted)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    same(read(path, "a"), wanted)
    nested = [value for batch in streaming_dataset_reader(path) for value in batch["b"]]
    same([value["c"] for value in nested], wanted)
    assert [value["d"] for value in nested] == [["\ud800" + text] for text in wanted]


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    wanted = strings()
    path.write_bytes("".join(text + "\n" for text in wanted).encode())
    same(read(path, "text"), wanted)


def test_strings_of_one_character_are_one_object(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\né\n\n" * 2)
    found = read(path, "text")
    for first, second in zip(found, islice(found, 3, None), strict=False):
        assert first is second
