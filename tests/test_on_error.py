# SPDX-License-Identifier: Apache-2.0
"""Rows that cannot be read: left out of their batches, and nothing else changes."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from players import Rank

import fast_axolotl as fa
from fast_axolotl import BadRow, StreamingDataset, cli, streaming_dataset_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

ROWS = 500
# Which rows are bad: some alone, a run of them, the first and the last.
BAD = {0, 3, 41, 99, *range(200, 230), 333, ROWS - 1}


def jsonl(i: int, bad: bool) -> str:
    return f'{{"id": {i:5}, "text": "words {i}"' + (" \n" if bad else "}\n")


def element(i: int, bad: bool) -> str:
    """Of an array; a bad one must not swallow its neighbours."""
    text = "words" if bad else '"abc"'
    return f'{"," if i else ""}{{"id": {i:5}, "text": {text}}}'


def text(i: int, bad: bool) -> str:
    return f"{i:5} " + ("\udcff" if bad else "x") + "\n"


def csv_row(i: int, bad: bool) -> str:
    return f'{i},"words" {i},\n' if bad else f'{i},"words, {i}"\n'


KINDS: dict[str, tuple[str, Callable[[int, bool], str], str, str]] = {
    "jsonl": ("", jsonl, "", "jsonl"),
    "json": ("[", element, "]", "json"),
    "csv": ("id,text\n", csv_row, "", "csv"),
    "txt": ("", text, "", "txt"),
}


@pytest.fixture(params=["jsonl", "json", "csv", "txt", "jsonl.gz", "csv.gz"])
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A file with bad rows, and one in which these are good; all rows as long."""
    kind, _, codec = request.param.partition(".")
    start, row, end, suffix = KINDS[kind]
    made = []
    for name, bad in (("bad", BAD), ("good", set[int]())):
        path = tmp_path / f"{name}.{suffix}{'.gz' if codec else ''}"
        body = start + "".join(row(i, i in bad) for i in range(ROWS)) + end
        data = body.encode(errors="surrogateescape")
        path.write_bytes(gzip.compress(data) if codec else data)
        made.append(path)
    return made[0], made[1]


def ids_of(batch: Any) -> list[int]:
    if isinstance(batch, dict):
        values = batch["id"] if "id" in batch else batch["text"]
    else:
        values = batch.column(0).to_pylist()
    return [int(str(value).split()[0]) for value in values]


def without_bad(batches: Iterable[Any]) -> list[list[int]]:
    left = ([i for i in ids_of(batch) if i not in BAD] for batch in batches)
    return [ids for ids in left if ids]


@pytest.mark.parametrize("output", ["python", "numpy", "arrow"])
@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_bad_rows_leave_their_batches_short(twins, size, output):
    bad, good = twins
    expected = without_bad(streaming_dataset_reader(good, size))
    reader = streaming_dataset_reader(bad, size, on_error="skip", output=output)
    assert [ids_of(batch) for batch in reader] == expected
    stats = reader.stats()
    assert stats.rows_skipped == len(BAD)
    assert stats.batches == len(expected)
    assert stats.batches_unreadable == -(-ROWS // size) - len(expected)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("size", [1, 8, 64])
def test_the_order_is_as_if_they_were_good(twins, size, shuffle):
    bad, good = twins
    options: Any = {"shuffle": shuffle, "seed": 3, "shuffle_window": 90, "num_lanes": 3}
    spoilt = StreamingDataset(bad, size, on_error="skip", **options)
    whole = StreamingDataset(good, size, **options)
    for _ in range(2):
        assert [ids_of(batch) for batch in spoilt] == without_bad(whole)
    assert len(spoilt) == len(whole)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_resumed_pass_goes_on_behind_them(twins, shuffle, workers):
    bad, good = twins
    options: Any = {"shuffle": shuffle, "shuffle_window": 90, "num_lanes": 4}
    # Workers that leave out a whole batch are no longer in step.
    size = 35 if workers else 5
    expected = without_bad(StreamingDataset(good, size, **options))

    def rank(workers: int, state: dict[str, Any] | None = None) -> Rank:
        data = StreamingDataset(bad, size, on_error="skip", **options)
        return Rank(data, 0, 1, workers, state, key=ids_of)

    for stop in (0, 1, len(expected) // 2, len(expected) - 1):
        first = rank(workers)
        taken = first.take(stop)
        states = first.states()
        state = fa.merge_states(states) if workers else states[0]
        assert sorted(taken + rank(0, state).take(ROWS)) == sorted(expected)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_give_as_many_batches(twins, world, shuffle):
    bad, good = twins
    options: Any = {"shuffle": shuffle, "shuffle_window": 64, "tail": "drop"}
    given = []
    for rank in range(world):
        share = (rank, world)
        spoilt = StreamingDataset(bad, 5, on_error="skip", distributed=share, **options)
        whole = StreamingDataset(good, 5, distributed=share, **options)
        mine = [ids_of(batch) for batch in spoilt]
        expected: list[list[int]] = []
        lane = [[i for i in ids_of(batch) if i not in BAD] for batch in whole]
        for number, ids in enumerate(lane):
            before = [other for other in lane[:number] if other]
            behind = [other for other in lane[number:] if other]
            # With a lane a rank, its last good batch is the lane's.
            expected.append(ids or (before[-1] if before else behind[0]))
        assert mine == expected
        given.append(len(mine))
    assert len(set(given)) == 1


def test_a_replaced_batch_is_the_same_after_a_resume(twins):
    bad, _ = twins

    def dataset() -> StreamingDataset:
        return StreamingDataset(bad, 5, on_error="skip", distributed=(1, 2))

    whole = [ids_of(batch) for batch in dataset()]
    for stop in range(0, len(whole), 3):
        data = dataset()
        iterator = iter(data)
        taken = [ids_of(next(iterator)) for _ in range(stop)]
        other = dataset()
        other.load_state_dict(data.state_dict())
        assert taken + [ids_of(batch) for batch in other] == whole


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("lanes", "world"), [(1, 2), (2, 3), (4, 3), (3, 2)])
def test_what_replaces_a_batch_is_of_its_lane_whoever_reads_it(
    twins, lanes, world, shuffle
):
    # Ranks that do not divide the lanes see no lane whole.
    bad, good = twins
    options: Any = {"shuffle": shuffle, "shuffle_window": 64, "num_lanes": lanes}
    options["tail"] = "drop"
    whole = StreamingDataset(good, 3, distributed=(0, 1), **options)
    state = whole.state_dict()
    batches = [[i for i in ids_of(batch) if i not in BAD] for batch in whole]

    def expected(number: int) -> list[int]:
        before = [ids for ids in batches[number % lanes : number + 1 : lanes] if ids]
        return before[-1] if before else next(filter(None, batches[number::lanes]))

    for rank in range(world):
        # From the start, and from where a batch in the midst is to be replaced.
        for start in (0, 70):
            data = StreamingDataset(
                bad, 3, on_error="skip", distributed=(rank, world), **options
            )
            mark = iter(data).state_dict()["fingerprint"]
            data.load_state_dict({**state, "fingerprint": mark, "batch": start})
            share = range(start + rank, len(batches), world)
            left = (len(batches) - start) // world
            assert [ids_of(batch) for batch in data] == [
                expected(number) for number in share[:left]
            ]


def test_each_bad_row_is_told_once_and_in_full(twins, tmp_path):
    bad, _ = twins
    told: list[BadRow] = []
    quarantine = tmp_path / "quarantine.jsonl"
    reader = streaming_dataset_reader(
        bad, 50, on_error=told.append, quarantine=quarantine
    )
    for _ in reader:
        pass
    assert [row.row for row in told] == [i + 1 for i in sorted(BAD)]
    data = bad.read_bytes()
    data = gzip.decompress(data) if bad.suffix == ".gz" else data
    for row in told:
        assert row.file == str(bad)
        assert row.rows == 1
        raw = row.text.encode(errors="surrogateescape")
        assert raw.strip()
        assert row.offset is not None
        assert data[row.offset :].startswith(raw)
        if row.line is not None:
            assert data[: row.offset].count(b"\n") == row.line - 1
        assert "expected" in row.reason
    kept = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert kept == [
        {name: getattr(row, name) for name in BadRow.__slots__} for row in told
    ]


def test_the_first_bad_row_is_an_error_by_default(twins):
    bad, _ = twins
    reader = streaming_dataset_reader(bad, 5)
    with pytest.raises(OSError, match="expected"):
        next(reader)


def test_validate_finds_the_bad_rows(twins):
    bad, good = twins
    assert [row.row for row in fa.validate(bad)] == [i + 1 for i in sorted(BAD)]
    assert fa.validate(good) == []


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_validated_index_leaves_them_out_from_the_start(
    twins, shuffle, on_error, tmp_path, monkeypatch
):
    bad, _ = twins
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    assert len(fa.validate(bad, index=True)) == len(BAD)
    left = [i for i in range(ROWS) if i not in BAD]
    data = StreamingDataset(bad, 7, shuffle=shuffle, on_error=on_error, num_lanes=2)
    batches = [ids_of(batch) for batch in data]
    assert {len(ids) for ids in batches[:-1]} == {7}
    assert sorted(i for ids in batches for i in ids) == left
    assert len(data) == len(batches) == -(-len(left) // 7)
    assert data.stats().rows_skipped == 0
    plain = [ids_of(batch) for batch in StreamingDataset(bad, 7)]
    assert plain == [left[at : at + 7] for at in range(0, len(left), 7)]
    assert fa.count_rows(bad) == ROWS


@pytest.mark.parametrize("kind", ["not UTF-8", "nanoseconds"])
def test_values_that_python_cannot_hold_are_validated(kind, tmp_path, monkeypatch):
    """With an index and without one; the index leaves out what is listed."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    bad = {2, 3, 20, 39}
    if kind == "nanoseconds":
        column = pa.array([1000 + (i in bad) for i in range(40)], pa.timestamp("ns"))
    else:
        binary = pa.array([b"\xff" if i in bad else b"x" for i in range(40)])
        column = pa.StringArray.from_buffers(40, *binary.buffers()[1:])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": range(40), "x": column}), path, row_group_size=15)
    for index in (False, True):
        assert [row.row for row in fa.validate(path, index=index)] == [
            i + 1 for i in sorted(bad)
        ]
    left = [i for i in range(40) if i not in bad]
    batches = [ids_of(batch) for batch in StreamingDataset(path, 5)]
    assert batches == [left[at : at + 5] for at in range(0, len(left), 5)]


@pytest.mark.parametrize("index", [False, True])
def test_what_is_validated_is_listed_in_the_order_of_the_rows(
    index, tmp_path, monkeypatch
):
    """Damage is found while decoding, and values are looked at behind that."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    binary = pa.array([b"\xff" if i == 30 else b"x" for i in range(400)])
    column = pa.StringArray.from_buffers(400, *binary.buffers()[1:])
    path = tmp_path / "a.parquet"
    numbers = pa.array(range(1000, 1400), pa.int64())
    pq.write_table(
        pa.table({"x": column, "id": numbers}),
        path,
        use_dictionary=False,
        compression="none",
        data_page_size=400,
        write_batch_size=50,
        write_page_checksum=True,
    )
    data = path.read_bytes()
    path.write_bytes(data.replace((1320).to_bytes(8, "little"), bytes(8)))
    first, second = fa.validate(path, index=index)
    assert first.row == 31
    assert 250 < second.row <= 321
    assert second.row + second.rows == 401


def test_the_command_line_lists_bad_rows(twins, capsys, tmp_path, monkeypatch):
    bad, good = twins
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    assert cli.main(["validate", str(good)]) == 0
    assert capsys.readouterr().out == "0 bad places\n"
    for index in ([], ["--index"]):
        assert cli.main(["validate", str(bad), *index]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(BAD) + 1
        assert lines[0].startswith(f"{bad}: row 1: ")
        assert lines[-1] == f"{len(BAD)} bad places in 1 file"
    assert cli.main(["validate", str(bad), "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[1])["row"] == 4
