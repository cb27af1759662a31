# SPDX-License-Identifier: Apache-2.0
"""Many small files: they are decoded together, and nobody can tell."""

from __future__ import annotations

import gzip
import json
import random
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from formats import exact, read_rows

from fast_axolotl import BadRow, streaming_dataset_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = 300
MARK = b"\xef\xbb\xbf"


def put(folder: Path, content: Callable[[int], bytes], suffix: str) -> Path:
    for i in range(FILES):
        (folder / f"{i:03}.{suffix}").write_bytes(content(i))
    return folder


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row_of(file: int, row: int) -> dict[str, Any]:
    return {"file": file, "row": row, "text": f"é{file} " * (row % 5)}


def rows_and_error(reader: Any) -> tuple[list[int], str]:
    """What comes of the column "n", and what then."""
    given = []
    while True:
        try:
            given += next(reader)["n"]
        except OSError as error:
            return given, str(error)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_rows_are_those_of_all_files_in_order(tmp_path, size, threads):
    rng = random.Random(threads)
    rows = [
        [row_of(i, k) for k in range(rng.choice([0, 1, 1, 2, 30]))] for i in range(FILES)
    ]

    def content(i: int) -> bytes:
        text = rng.choice([b"\n", b"\r\n", b"\n\n \t\r\n"]).join(
            json.dumps(row).encode() for row in rows[i]
        )
        return (
            rng.choice([b"", MARK])
            + text
            + rng.choice([b"", b"\n", b"\r\n", b" \n\n", b"\r"])
        )

    put(tmp_path, content, "jsonl")
    expected = [row for file in rows for row in file]
    assert read_rows(tmp_path, batch_size=size, num_threads=threads) == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_of_text(tmp_path, size):
    rng = random.Random(size)
    texts = [
        rng.choice(
            [
                b"",
                b"a",
                b"\n",
                b"a\n",
                b"a\r\n",
                b"a\r",
                MARK + b"b",
                MARK * 2 + b"c\n",
                b"\n\nb\n",
            ]
        )
        for _ in range(FILES)
    ]
    put(tmp_path, lambda i: texts[i], "txt")
    expected = []
    for text in texts:
        lines = text.removeprefix(MARK).decode().split("\n")
        last = lines.pop()
        expected += [line.removesuffix("\r") for line in lines] + ([last] if last else [])
    assert [row["text"] for row in read_rows(tmp_path, batch_size=size)] == expected


def test_a_large_file_an_array_and_a_compressed_one_among_them(tmp_path):
    rows = {i: [row_of(i, k) for k in range(3)] for i in range(FILES)}
    rows[100] = [row_of(100, k) for k in range(20_000)]

    def content(i: int) -> bytes:
        if i == 150:
            return json.dumps(rows[i]).encode()
        return gzip.compress(jsonl(*rows[i])) if i == 200 else jsonl(*rows[i])

    put(tmp_path, content, "jsonl")
    assert read_rows(tmp_path) == [row for i in range(FILES) for row in rows[i]]


def test_columns_that_come_and_go(tmp_path):
    """Some the sample does not show, and values of two kinds in one column."""

    def row(i: int) -> dict[str, Any]:
        number = i if i % 2 else i + 0.5
        more = {"late": i} if i == 77 else {"x": [i]} if i % 3 else {}
        return {"n": number, **more}

    put(tmp_path, lambda i: jsonl(row(i)), "jsonl")
    rows = [row(i) for i in range(FILES)]
    for batch, begin in zip(
        streaming_dataset_reader(tmp_path, 10), range(0, FILES, 10), strict=True
    ):
        part = rows[begin : begin + 10]
        wanted = {"n": [r["n"] for r in part], "x": [r.get("x") for r in part]}
        if begin == 70:
            wanted["late"] = [row.get("late") for row in part]
        assert exact(batch) == exact(wanted)


def test_keys_that_the_sample_lacks_come_in_the_order_of_the_rows(tmp_path):
    late = {40: '"b": 1', 41: '"a": 2, "b": 3'}
    put(tmp_path, lambda i: b"{%s}\n" % late.get(i, '"n": 0').encode(), "jsonl")
    batches = list(streaming_dataset_reader(tmp_path, 1))
    assert [list(batch) for batch in batches[40:42]] == [["n", "b"], ["n", "a", "b"]]


def test_a_second_mark_is_no_mark(tmp_path):
    put(tmp_path, lambda i: (MARK * 2 if i == 150 else MARK) + jsonl({"n": i}), "jsonl")
    for threads in (1, 2, 3, 5):
        given, error = rows_and_error(
            streaming_dataset_reader(tmp_path, 10, num_threads=threads)
        )
        assert given == list(range(150))
        assert "/150.jsonl: line 1" in error


@pytest.mark.parametrize("suffix", ["data", "md"])
def test_files_of_a_named_format(tmp_path, suffix):
    put(tmp_path, lambda i: jsonl({"n": i}), suffix)
    files = sorted(map(str, tmp_path.iterdir()))
    reader = streaming_dataset_reader(files, 100, format="jsonl")
    assert [n for batch in reader for n in batch["n"]] == list(range(FILES))
    rows = [row["text"] for row in read_rows(files, format="text")]
    assert rows == [json.dumps({"n": i}) for i in range(FILES)]


def test_arrow_batches(tmp_path):
    put(tmp_path, lambda i: jsonl({"n": i, "s": str(i)}) if i % 4 else b"", "jsonl")
    batches = list(streaming_dataset_reader(tmp_path, 8, output="arrow"))
    table = pa.Table.from_batches(batches)
    assert table.to_pylist() == [{"n": i, "s": str(i)} for i in range(FILES) if i % 4]


@pytest.mark.parametrize("at", [1, 2, 40, 299])
def test_an_error_names_its_file_and_comes_behind_the_rows_before_it(tmp_path, at):
    put(
        tmp_path,
        lambda i: jsonl({"n": i}) + (b'\n{"n": oops}\n' if i == at else b""),
        "jsonl",
    )
    message = rf"/{at:03}\.jsonl: line 3, column 7 \(byte offset \d+\): expected .*oops"
    given, error = rows_and_error(streaming_dataset_reader(tmp_path, 3))
    assert given == list(range(at + 1))
    assert re.search(message, error)


def test_a_file_that_is_gone_comes_behind_the_rows_before_it(tmp_path):
    put(tmp_path, lambda i: jsonl({"n": i}), "jsonl")
    reader = streaming_dataset_reader(tmp_path, 1, num_threads=1)
    (tmp_path / "120.jsonl").unlink()
    (tmp_path / "200.jsonl").write_bytes(b"{}\n")
    given, error = rows_and_error(reader)
    assert given == list(range(120))
    assert "/120.jsonl" in error


@pytest.mark.parametrize("bad", [{5}, set(range(0, FILES, 3)), set(range(FILES))])
def test_bad_rows_are_left_out_and_told(tmp_path, bad):
    put(
        tmp_path,
        lambda i: jsonl({"n": i}) + (b"oops\n" if i in bad else b"") + jsonl({"n": -i}),
        "jsonl",
    )
    told: list[BadRow] = []
    reader = streaming_dataset_reader(tmp_path, 6, on_error=told.append)
    assert [n for batch in reader for n in batch["n"]] == [
        n for i in range(FILES) for n in (i, -i)
    ]
    assert [(row.file[-9:], row.row, row.text) for row in told] == [
        (f"{i:03}.jsonl", 2, "oops") for i in sorted(bad)
    ]
    assert reader.stats().rows_skipped == len(bad)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_value_that_fits_no_array_is_told_with_its_file(tmp_path, size):
    bad = {20, 133, 134, 299}

    def content(i: int) -> bytes:
        return jsonl({"v": [i]}, {"v": [None if i in bad else i]}) * (i % 3)

    put(tmp_path, content, "jsonl")
    with pytest.raises(OSError, match=r"/020\.jsonl: row 2, column .v."):
        list(streaming_dataset_reader(tmp_path, size, output="numpy"))
    told: list[BadRow] = []
    reader = streaming_dataset_reader(
        tmp_path, size, output="numpy", pad={"v": 0}, on_error=told.append
    )
    given = [n for batch in reader for n in batch["v"][:, 0].tolist()]
    assert given == [
        i for i in range(FILES) for k in range(2 * (i % 3)) if not (k % 2 and i in bad)
    ]
    assert [(row.file[-9:], row.row) for row in told] == [
        (f"{i:03}.jsonl", 2 * k + 2) for i in sorted(bad) for k in range(i % 3)
    ]


def test_the_bytes_read_are_those_of_the_files(tmp_path):
    for content in (jsonl({"n": 1}), jsonl({"n": 1}) + b"oops\n"):
        put(tmp_path, lambda _, content=content: content, "jsonl")
        reader = streaming_dataset_reader(tmp_path, 10, on_error="skip")
        rows = sum(len(batch["n"]) for batch in reader)
        assert rows == FILES
        assert reader.stats().bytes_read == FILES * len(content)


def test_a_limit_holds_for_each_file(tmp_path):
    put(tmp_path, lambda i: jsonl({f"c{i}": i}), "jsonl")
    options = {"limits": {"columns": 20}, "schema": {"c0": "int64"}}
    read = streaming_dataset_reader(tmp_path, 50, **options)
    assert sum(len(batch["c0"]) for batch in read) == FILES
