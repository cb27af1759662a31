# SPDX-License-Identifier: Apache-2.0
"""Bad rows and those who are told of them: functions, a quarantine, errors, counters."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

import fast_axolotl as fa
from fast_axolotl import BadRow, StreamingDataset, streaming_dataset_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def jsonl(i: int, bad: bool) -> str:
    return f'{{"id": {i}, "text": "words {i}"' + (" \n" if bad else "}\n")


def ids_of(batch: Any) -> list[int]:
    return [int(i) for i in batch["id"]]


def lines(path: Path, rows: int, bad: set[int]) -> Path:
    path.write_text("".join(jsonl(i, i in bad) for i in range(rows)))
    return path


def tripped(told: list[BadRow]) -> Callable[[BadRow], None]:
    """A function that fails the first time."""

    def on_error(row: BadRow) -> None:
        told.append(row)
        if len(told) == 1:
            raise KeyError(row.row)

    return on_error


def reading(way: str, path: Path, **options: Any) -> Any:
    """Batches of five, or rows, in one of the ways there are to read them."""
    if way == "reader":
        return streaming_dataset_reader(path, 5, **options)
    data: Any = StreamingDataset(path, 5, **options)
    data = fa.mix([data]) if way == "mix" else data
    data = data.map(lambda batch: batch) if way == "map" else data
    return data.rows() if way == "rows" else iter(data)


@pytest.mark.parametrize("way", ["reader", "dataset", "map", "mix"])
def test_bad_rows_at_the_end_are_told_behind_a_transform(tmp_path, way):
    path = lines(tmp_path / "a.jsonl", 30, set(range(20, 30)))
    told: list[BadRow] = []
    reader = reading(way, path, on_error=told.append, transform=lambda batch: batch)
    assert [ids_of(batch) for batch in reader] == [
        [*range(k, k + 5)] for k in range(0, 20, 5)
    ]
    assert sorted(row.row for row in told) == [*range(21, 31)]
    assert reader.stats().rows_skipped == 10
    assert reader.stats().batches_unreadable == 2


@pytest.mark.parametrize("size", [1, 700])
@pytest.mark.parametrize("way", ["reader", "numpy", "dataset", "map", "mix"])
def test_bad_rows_without_an_end_are_told_as_they_come(tmp_path, way, size):
    """Not only with the next batch: they would fill the memory."""
    path = tmp_path / "a.jsonl"
    good = [*range(5), *range(14_990, 15_000)]
    with path.open("w") as file:
        for i in range(15_000):
            file.write(jsonl(i, bad=i not in good).replace("\n", " " * 1000 + "\n"))
    told: list[int] = []
    reader: Any

    def on_error(row: BadRow) -> None:
        if not told:
            assert reader.stats().bytes_read < path.stat().st_size / 2
        told.append(row.row)

    options: Any = {"on_error": on_error, "read_ahead_bytes": 100_000}
    if way in ("reader", "numpy"):
        options["output"] = "numpy" if way == "numpy" else "python"
        reader = streaming_dataset_reader(path, size, **options)
    else:
        data: Any = StreamingDataset(path, size, **options)
        data = fa.mix([data], stop="all") if way == "mix" else data
        reader = iter(data.map(lambda batch: batch) if way == "map" else data)
    given = [i for batch in reader for i in ids_of(batch)]
    assert given == good
    assert told == [*range(6, 14_991)]
    assert reader.stats().rows_skipped == 14_985


@pytest.mark.parametrize("way", ["reader", "dataset"])
def test_bad_rows_are_told_before_a_packed_batch_is_full(tmp_path, way):
    """However few rows its units have: they would fill the memory."""
    path = tmp_path / "a.jsonl"
    # The last of each unit is good.
    path.write_text(('{"ids": [1}\n' * 99 + '{"ids": [1]}\n') * 500)
    units = 0
    told: list[int] = []

    def transform(batch: Any) -> Any:
        nonlocal units
        units += 1
        return batch

    def on_error(_: BadRow) -> None:
        told.append(units)

    options: Any = {
        "batch_size": 1000,
        "pack": fa.PackOptions(tokens="ids", length=1, pack_window=100),
        "output": "numpy",
        "transform": transform,
        "on_error": on_error,
    }
    if way == "reader":
        batches: Any = streaming_dataset_reader(path, **options)
    else:
        batches = StreamingDataset(path, num_lanes=2, shuffle=False, **options)
    assert sum(len(batch["input_ids"]) for batch in batches) == 500
    assert len(told) == 500 * 99
    # There is one batch, or one for each lane, but a thread is not far ahead of it.
    assert told[0] < 150


def test_a_lane_without_a_good_row_names_a_file(tmp_path):
    (tmp_path / "0.jsonl").write_text('{"id": 1}\n' * 20)
    (tmp_path / "1.jsonl").write_text("nothing\n" * 20)
    for world in (2, 3, 4):
        data = StreamingDataset(
            tmp_path, 2, schema={"id": "int64"}, on_error="skip", num_lanes=world,
            shuffle=False, distributed=(world - 1, world),
        )  # fmt: skip
        with pytest.raises(OSError, match=r"1\.jsonl: no row of lane .*expected"):
            list(data)


def test_a_batch_that_a_function_makes_none_of_is_not_a_bad_one(tmp_path):
    data = StreamingDataset(lines(tmp_path / "a.jsonl", 9, set()), 3)
    nothing = data.map(lambda _: None)
    reader = iter(fa.mix([nothing], stop="all"))
    assert list(reader) == list(nothing) == [None] * 3
    assert reader.stats().batches_unreadable == 0


@pytest.mark.parametrize("shuffle", [False, True])
def test_workers_count_what_they_leave_out_behind_their_last_batch(tmp_path, shuffle):
    pytest.importorskip("torch")
    path = lines(tmp_path / "a.jsonl", 300, set(range(100, 300)))
    data = StreamingDataset(path, 1, on_error="skip", shuffle=shuffle, shuffle_window=10)
    for _ in range(2):
        rows = sum(len(ids_of(batch)) for batch in data.loader(num_workers=2))
        assert rows == 100
        assert data.stats().rows_skipped == 200


def test_bad_rows_are_told_where_a_transform_fails(tmp_path):
    path = lines(tmp_path / "a.jsonl", 10, {1, 3})
    told: list[BadRow] = []

    def fail(_: Any) -> None:
        raise KeyError

    reader = streaming_dataset_reader(path, 5, on_error=told.append, transform=fail)
    with pytest.raises(KeyError):
        next(reader)
    assert [row.row for row in told] == [2, 4]


@pytest.mark.parametrize("way", ["plain", "shuffle", "mix", "map"])
def test_a_function_that_raises_loses_neither_rows_nor_batches(tmp_path, way):
    bad = set(range(5, 10)) | {12, 14}
    path = lines(tmp_path / "a.jsonl", 30, bad)

    def dataset(on_error: Any) -> Any:
        data = StreamingDataset(path, 5, on_error=on_error, shuffle=way == "shuffle")
        data = fa.mix([data]) if way == "mix" else data
        return data.map(lambda batch: batch) if way == "map" else data

    told: list[BadRow] = []
    whole = [ids_of(batch) for batch in dataset("skip")]
    data = dataset(tripped(told))
    iterator = iter(data)
    given = []
    failures = 0
    for _ in range(len(whole) + 1):
        try:
            given.append(ids_of(next(iterator)))
        except KeyError:
            failures += 1
            continue
        except StopIteration:
            break
        other = dataset("skip")
        other.load_state_dict(data.state_dict())
        rest = [ids_of(batch) for batch in other]
        assert given + rest == whole or len(given) == len(whole)
    assert failures == 1
    assert given == whole
    assert sorted(row.row for row in told) == [i + 1 for i in sorted(bad)]


@pytest.mark.parametrize("way", ["reader", "dataset", "rows", "map", "mix"])
def test_a_function_that_stops_does_not_end_the_rows(tmp_path, way):
    """As one does that takes from an iterator of its own: that is no end of the data."""
    path = lines(tmp_path / "a.jsonl", 30, {12, 22})
    spare = iter([0])
    reader = reading(way, path, on_error=lambda _: next(spare))
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        list(reader)
    rest = list(reader)
    last = rest[-1]["id"] if way == "rows" else ids_of(rest[-1])[-1]
    assert last == 29


def test_a_quarantine_that_failed_goes_on_where_it_stopped(tmp_path):
    path = lines(tmp_path / "a.jsonl", 20, {1, 3, 12})
    folder = tmp_path / "kept"
    folder.mkdir()
    quarantine = folder / "quarantine.jsonl"
    reader = streaming_dataset_reader(path, 5, on_error="skip", quarantine=quarantine)
    folder.rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        next(reader)
    (tmp_path / "gone").rename(folder)
    assert sum(len(ids_of(batch)) for batch in reader) == 17
    kept = [json.loads(line)["row"] for line in quarantine.read_text().splitlines()]
    assert kept == [2, 4, 13]


@pytest.mark.parametrize("shuffle", [False, True])
def test_many_misfits_of_one_batch_are_found_in_one_go(tmp_path, shuffle):
    """With a pass for each, this batch took minutes."""
    rows = 20_000
    bad = {i for i in range(rows) if i % 2 or i < 7}
    body = (
        f'{{"id": {i}, "v": [1, {"null" if i in bad else 4321}]}}\n' for i in range(rows)
    )
    path = tmp_path / "a.jsonl"
    path.write_text("".join(body))
    told: list[BadRow] = []
    data = StreamingDataset(
        path, rows, output="numpy", pad={"v": 0}, on_error=told.append, shuffle=shuffle
    )
    began = time.perf_counter()
    (batch,) = data
    assert time.perf_counter() - began < 20
    assert sorted(batch["id"].tolist()) == [i for i in range(rows) if i not in bad]
    assert batch["v"].tolist() == [[1, 4321]] * (rows - len(bad))
    assert sorted(row.row for row in told) == [i + 1 for i in sorted(bad)]
    for row in told[:10]:
        assert "column" in row.reason
