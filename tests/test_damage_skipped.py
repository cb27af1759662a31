# SPDX-License-Identifier: Apache-2.0
"""Damage that takes more than a row with it: what is behind it is read all the same."""

from __future__ import annotations

import gzip
import itertools
import random
import re
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import to_zstd

import fast_axolotl as fa
from fast_axolotl import BadRow, StreamingDataset, streaming_dataset_reader

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 1000
GROUPS = 4


def table() -> pa.Table:
    ids = list(range(GROUP * GROUPS))
    # Text that does not compress, so that damage in the middle hits values.
    texts = [f"{i * 2654435761 % 2**32:08x}" * 8 for i in ids]
    return pa.table({"id": ids, "text": texts})


def parquet(path: Path) -> set[int]:
    """A damaged page in the second row group; returns the rows that are lost."""
    pq.write_table(
        table(),
        path,
        row_group_size=GROUP,
        write_page_checksum=True,
        use_dictionary=False,
    )
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    path.write_bytes(data)
    return set(range(GROUP, 2 * GROUP))


def arrow(path: Path) -> set[int]:
    """Strings of the third batch that are not UTF-8."""
    with pa.ipc.new_file(str(path), table().schema) as writer:
        for batch in table().to_batches(max_chunksize=GROUP):
            writer.write_batch(batch)
    wanted = table().column("text")[2 * GROUP + 10].as_py().encode()
    data = path.read_bytes()
    assert data.count(wanted) == 1
    path.write_bytes(data.replace(wanted, b"\xff" * len(wanted)))
    return set(range(2 * GROUP, 3 * GROUP))


DAMAGE = {"parquet": parquet, "arrow": arrow}


@pytest.fixture(params=list(DAMAGE))
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[int]]:
    path = tmp_path / f"a.{request.param}"
    lost = DAMAGE[request.param](path)
    return path, [i for i in range(GROUP * GROUPS) if i not in lost]


def ids_of(batches: Any) -> list[int]:
    return [i for batch in batches for i in batch["id"]]


def test_the_rows_around_the_damage_are_read(damaged):
    path, left = damaged
    told: list[BadRow] = []
    reader = streaming_dataset_reader(path, 64, on_error=told.append)
    assert ids_of(reader) == left
    assert sum(row.rows or 0 for row in told) == GROUP * GROUPS - len(left)
    assert reader.stats().rows_skipped == GROUP * GROUPS - len(left)
    assert all(row.file == str(path) for row in told)
    with pytest.raises(OSError, match=str(path)):
        list(streaming_dataset_reader(path, 64))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_plan_goes_around_the_damage(damaged, shuffle):
    path, left = damaged
    data = StreamingDataset(
        path, 64, shuffle=shuffle, num_lanes=3, on_error="skip", shuffle_window=300
    )
    for _ in range(2):
        assert sorted(ids_of(data)) == left
        assert data.stats().rows_skipped == GROUP * GROUPS - len(left)


def test_validated_damage_is_left_out_from_the_start(damaged, tmp_path, monkeypatch):
    path, left = damaged
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    bad = fa.validate(path, index=True)
    assert sum(row.rows or 0 for row in bad) == GROUP * GROUPS - len(left)
    for shuffle in (False, True):
        data = StreamingDataset(path, 64, shuffle=shuffle, num_lanes=3)
        batches = list(data)
        assert sorted(ids_of(batches)) == left
        assert {len(batch["id"]) for batch in batches[:-1]} == {64}
        assert data.num_rows == len(left)


@pytest.fixture
def cut(tmp_path: Path) -> tuple[Path, list[int]]:
    """A folder with a file that is cut in its gzip stream, and a good one behind it."""
    lines = [
        f'{{"id": {i}, "text": "{i * 2654435761 % 2**32:08x}"}}\n' for i in range(9000)
    ]
    data = gzip.compress("".join(lines).encode())[:-20_000]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl.gz").write_bytes(data)
    (tmp_path / "data" / "b.jsonl").write_text('{"id": -1, "text": "b"}\n' * 100)
    whole = zlib.decompressobj(31).decompress(data).count(b"\n")
    return tmp_path / "data", [*range(whole), *[-1] * 100]


def test_behind_a_cut_stream_the_next_file_is_read(cut):
    path, left = cut
    told: list[BadRow] = []
    assert ids_of(streaming_dataset_reader(path, 64, on_error=told.append)) == left
    (row,) = told
    assert row.rows is None
    assert "lost" in row.reason
    assert row.file.endswith("a.jsonl.gz")
    assert row.row == len(left) - 100 + 1


def test_a_cut_stream_is_indexed_as_far_as_it_goes(cut, tmp_path, monkeypatch):
    path, left = cut
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    told: list[BadRow] = []
    data = StreamingDataset(path, 64, shuffle=True, on_error=told.append)
    assert sorted(ids_of(data)) == sorted(left)
    assert [row.rows for row in told] == [None]
    # That index is not kept: without on_error it is an error as before.
    with pytest.raises(OSError, match=r"a\.jsonl\.gz"):
        list(StreamingDataset(path, 64, shuffle=True))
    assert len(fa.validate(path, index=True)) == 1
    assert sorted(ids_of(StreamingDataset(path, 64, shuffle=True))) == sorted(left)
    # No index is needed here, but for what it leaves out.
    data = StreamingDataset(path, 64)
    assert ids_of(data) == left
    assert data.num_rows == len(left)
    # How many rows there are is not known for that.
    with pytest.raises(OSError, match=r"a\.jsonl\.gz"):
        fa.count_rows(path)


@pytest.mark.parametrize("at", [0.02, 0.3, 0.6])
def test_a_plan_has_the_rows_before_damage_in_a_stream(tmp_path, monkeypatch, at):
    """The index is made by another decoder, which must go as far as the first."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jsonl.gz"
    lines = [
        f'{{"id": {i}, "text": "{i * 2654435761 % 2**32:08x}"}}\n' for i in range(900)
    ]
    data = bytearray(gzip.compress("".join(lines).encode()))
    place = int(len(data) * at)
    data[place : place + 8] = b"\xff" * 8
    path.write_bytes(data)
    left = ids_of(streaming_dataset_reader(path, 64, on_error="skip"))
    for _ in range(2):
        for lanes in (1, 2):
            planned = StreamingDataset(path, 64, num_lanes=lanes, on_error="skip")
            assert sorted(ids_of(planned)) == sorted(left)
        (row,) = fa.validate(path)
        assert row.row == len(left) + 1
        fa.validate(path, index=True)


@pytest.mark.parametrize("cut", [0, 30])
def test_a_plan_goes_on_behind_damaged_members_as_a_pass_does(tmp_path, cut):
    """Also where the last one is damaged, behind which nothing comes."""
    members = []
    for begin in range(0, 30_000, 10_000):
        lines = (f'{{"id": {i}}}\n' for i in range(begin, begin + 10_000))
        members.append(bytearray(gzip.compress("".join(lines).encode())))
    members[0][-6] ^= 1  # of the checksum
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"".join(members)[: -cut or None])
    left = ids_of(streaming_dataset_reader(path, 50, on_error="skip"))
    assert len(left) > 25_000
    for shuffle in (False, True):
        data = StreamingDataset(path, 50, shuffle=shuffle, num_lanes=2, on_error="skip")
        assert sorted(ids_of(data)) == left


@pytest.mark.parametrize("name", ["a.parquet", "b.parquet", "c.parquet"])
def test_a_file_that_cannot_be_opened_is_passed_over(tmp_path, name):
    for other in ("a.parquet", "b.parquet", "c.parquet"):
        pq.write_table(table(), tmp_path / other)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-100])
    told: list[BadRow] = []
    batches = streaming_dataset_reader(tmp_path, 64, on_error=told.append)
    assert ids_of(batches) == [*range(GROUP * GROUPS)] * 2
    assert [row.file for row in told] == [str(path)]
    data = StreamingDataset(tmp_path, 64, shuffle=True, on_error="skip")
    assert sorted(ids_of(data)) == sorted([*range(GROUP * GROUPS)] * 2)


def test_what_fails_in_the_machine_is_always_an_error(tmp_path):
    """A file that has gone is no bad row."""
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"id": 1}\n' * 100_000)
    reader = streaming_dataset_reader(tmp_path, 10, on_error="skip", read_ahead_bytes=1)
    next(reader)
    (tmp_path / "b.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        list(reader)


def parts(kind: str, codec: str, damage: str) -> tuple[bytes, list[int]]:
    """A file of several gzip members or zstd frames, the third one of them damaged.

    Returns its bytes, and the rows that can be read. Parts end inside rows.
    """
    rows = [
        f'{{"id": {i}, "text": "{i:08}"}}\n' if kind == "jsonl" else f"{i:08} words\n"
        for i in range(20_000)
    ]
    data = "".join(rows).encode()
    size = len(data) // 5 - 1
    made = b""
    for part in range(6):
        piece = data[part * size : (part + 1) * size]
        packed = bytearray(gzip.compress(piece) if codec == "gz" else to_zstd(piece))
        if part == 2 and damage == "header":
            packed[:4] = bytes(4)
        elif part == 2:
            packed[-8] ^= 1
        made += packed
    begin = data[: 2 * size].count(b"\n")
    # The row that goes on behind the damaged part.
    cut = data[: 3 * size].count(b"\n")
    lost = range(begin, cut + 1) if damage == "header" else [cut]
    return made, [i for i in range(20_000) if i not in lost]


@pytest.mark.parametrize("damage", ["gz header", "gz checksum", "zst header"])
@pytest.mark.parametrize("kind", ["jsonl", "txt"])
def test_behind_a_damaged_part_the_next_one_is_read(tmp_path, monkeypatch, kind, damage):
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    codec, damage = damage.split()
    path = tmp_path / f"a.{kind}.{codec}"
    data, left = parts(kind, codec, damage)
    path.write_bytes(data)

    def ids(batches: Any) -> list[int]:
        return [int(text.split()[0]) for batch in batches for text in batch["text"]]

    told: list[BadRow] = []
    assert ids(streaming_dataset_reader(path, 100, on_error=told.append)) == left
    (lost,) = [row for row in told if row.rows is None]
    assert "reading goes on at compressed byte" in lost.reason
    data_set = StreamingDataset(path, 100, shuffle=True, on_error="skip", num_lanes=3)
    assert sorted(ids(data_set)) == left
    assert fa.validate(path, index=True)
    assert sorted(ids(StreamingDataset(path, 100, shuffle=True))) == left
    with pytest.raises(OSError, match="compressed byte"):
        list(streaming_dataset_reader(path, 100))


@pytest.mark.parametrize("codec", ["gz", "zst"])
def test_small_parts_behind_damage_are_read(tmp_path, codec):
    """Wherever the first of three is damaged, and although the last one is cut."""
    members = []
    for begin in range(0, 90, 30):
        piece = "".join(f'{{"id": {i}}}\n' for i in range(begin, begin + 30)).encode()
        members.append(gzip.compress(piece) if codec == "gz" else to_zstd(piece))
    path = tmp_path / f"a.jsonl.{codec}"
    for at in range(4, len(members[0])):
        data = bytearray(b"".join(members)[:-30])
        data[at] ^= 0x55
        path.write_bytes(data)
        left = ids_of(streaming_dataset_reader(path, 50, on_error="skip"))
        # All but a row that follows a line end which became another byte.
        assert set(range(31, 60)) <= set(left), at
        planned = StreamingDataset(path, 50, num_lanes=2, on_error="skip")
        # What damaged bytes are taken for may be rows without this key.
        assert sorted(map(str, ids_of(planned))) == sorted(map(str, left)), at


def ipc(path: Path, *, stream: bool) -> bytearray:
    """An Arrow file or stream of four batches, compressed, with one column."""
    data = table().select(["text"])
    kind = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with kind(str(path), data.schema, options=options) as writer:
        writer.write_table(data, max_chunksize=GROUP)
    return bytearray(path.read_bytes())


def message(data: bytearray, number: int) -> int:
    """Where the message of that number begins, the schema's being the first."""
    at = -1
    for _ in range(number + 1):
        at = data.index(b"\xff\xff\xff\xff", at + 1)
        while not 0 < int.from_bytes(data[at + 4 : at + 8], "little") < 1000:
            at = data.index(b"\xff\xff\xff\xff", at + 1)
    return at


def of_passes_and_plans(path: Path) -> tuple[list[str], list[BadRow]]:
    """The texts that are read, and what is told, which must be the same each time."""
    told: list[BadRow] = []
    reader = streaming_dataset_reader(path, 64, on_error=told.append)
    texts = [text for batch in reader for text in batch["text"]]
    for shuffle in (False, True):
        planned: list[BadRow] = []
        data = StreamingDataset(
            path, 64, shuffle=shuffle, num_lanes=2, on_error=planned.append
        )
        left = [text for batch in data for text in batch["text"]]
        assert sorted(left) == sorted(texts)
        assert [*map(repr, planned)] == [*map(repr, told)]
    for index in (False, True):
        found = fa.validate(path, index=index)
        assert [*map(repr, found)] == [*map(repr, told)]
    data = StreamingDataset(path, 64, shuffle=True)
    assert sorted(text for batch in data for text in batch["text"]) == sorted(texts)
    assert data.num_rows == len(texts)
    return texts, told


@pytest.mark.parametrize("stream", [False, True])
def test_a_batch_that_cannot_be_decompressed_is_lost_alone(tmp_path, monkeypatch, stream):
    """Its rows are those that its header tells, and what follows it is read."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.arrow"
    data = ipc(path, stream=stream)
    frame = data.rindex(b"\x28\xb5\x2f\xfd", 0, message(data, 3))
    data[frame : frame + 4] = bytes(4)
    path.write_bytes(data)
    texts, (lost,) = of_passes_and_plans(path)
    wanted = table().column("text").to_pylist()
    assert texts == wanted[:GROUP] + wanted[2 * GROUP :]
    assert (lost.row, lost.rows) == (GROUP + 1, GROUP)
    assert "record batch 1, after row 1000" in lost.reason


@pytest.mark.parametrize("damage", ["header", "length"])
def test_a_batch_whose_rows_cannot_be_counted_is_lost_alone(
    tmp_path, monkeypatch, damage
):
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.arrow"
    data = ipc(path, stream=False)
    header = message(data, 2)
    if damage == "header":
        data[header + 8 : header + 100] = bytes(92)
    else:
        wanted = GROUP.to_bytes(8, "little")
        place = data.index(wanted, header)
        assert place < header + 300
        data[place + 2] = 1
    path.write_bytes(data)
    texts, (lost,) = of_passes_and_plans(path)
    wanted = table().column("text").to_pylist()
    assert texts == wanted[:GROUP] + wanted[2 * GROUP :]
    assert (lost.row, lost.rows) == (GROUP + 1, None)
    assert lost.reason.endswith("; reading goes on with the next record batch")


def test_a_plan_says_of_each_damage_where_it_is(tmp_path, monkeypatch):
    """And where reading goes on; only behind the last one nothing follows."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    members = [
        bytearray(gzip.compress("".join(f"{i:05}\n" for i in range(b, b + 50)).encode()))
        for b in range(0, 250, 50)
    ]
    members[0][-6] ^= 1
    members[2][-6] ^= 1
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"".join(members)[:-4])
    told: list[BadRow] = []
    list(streaming_dataset_reader(path, 64, on_error=told.append))
    planned: list[BadRow] = []
    list(StreamingDataset(path, 64, num_lanes=2, on_error=planned.append))
    validated = fa.validate(path, index=True)
    for found in (told, planned, validated):
        assert [bad.row for bad in found] == [51, 151, 251]
        ends = [bad.reason.split("; ")[1] for bad in found]
        first, second = (len(members[0]), sum(map(len, members[:3])))
        assert ends == [
            f"reading goes on at compressed byte {first}",
            f"reading goes on at compressed byte {second}",
            "what follows in this file is lost",
        ]


@pytest.mark.parametrize("at", [12, 300, 5_000, -6])
def test_a_plan_names_the_damaged_byte_as_a_pass_does(tmp_path, monkeypatch, at):
    """An index is made by another decoder, and reading may begin behind the start."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    rng = random.Random(3)
    members = []
    for _ in range(5):
        lines = (f"{rng.randrange(10**9)}\n" for _ in range(2_000))
        members.append(bytearray(gzip.compress("".join(lines).encode())))
    for damaged in (1, 3):
        members[damaged][at] ^= 4
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"".join(members))
    told: list[BadRow] = []
    list(streaming_dataset_reader(path, 64, on_error=told.append))
    planned: list[BadRow] = []
    list(StreamingDataset(path, 64, num_lanes=2, on_error=planned.append))
    lost = [bad.reason for bad in told if bad.rows is None]
    assert [bad.reason for bad in planned if bad.rows is None] == lost
    assert [bad.reason for bad in fa.validate(path) if bad.rows is None] == lost
    ends = list(itertools.accumulate(map(len, members)))
    for reason, begin, end in zip(
        lost, (ends[0], ends[2]), (ends[1], ends[3]), strict=True
    ):
        (place,) = re.findall(r"gzip data at compressed byte (\d+): ", reason)
        assert begin < int(place) <= end
    said = []
    for batches in (
        streaming_dataset_reader(path, 64),
        StreamingDataset(path, 64, num_lanes=2),
    ):
        with pytest.raises(OSError, match="compressed byte") as raised:
            list(batches)
        said.append(str(raised.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("damage", ["header", "text"])
def test_a_large_arrow_file_is_read_in_parts(tmp_path, damage):
    """Side by side: nothing shows it in rows, lost ones or errors."""
    path = tmp_path / "a.arrow"
    rows = 1000
    ids = list(range(90 * rows))
    with pa.ipc.new_file(str(path), pa.schema({"id": pa.int64(), "text": "utf8"})) as out:
        for first in range(0, len(ids), rows):
            batch = ids[first : first + rows]
            text = [f"row {i} " * 25 for i in batch]
            out.write_batch(pa.record_batch({"id": batch, "text": text}))
    whole = bytearray(path.read_bytes())
    assert len(whole) > 16 << 20
    reader = streaming_dataset_reader(path, 333, num_threads=3)
    assert ids_of(reader) == ids
    bad = [30, 77]
    headers = [*re.finditer(rb"\xff\xff\xff\xff.\x00\x00\x00", whole)]
    for batch in bad:
        if damage == "header":
            at, size = headers[1 + batch].end(), 92  # the first is the schema's
        else:
            at, size = whole.index(f"row {batch * rows} ".encode()), 8
        whole[at : at + size] = (b"\0" if damage == "header" else b"\xff") * size
    path.write_bytes(whole)
    told: list[BadRow] = []
    reader = streaming_dataset_reader(path, 64, on_error=told.append, num_threads=3)
    assert ids_of(reader) == [i for i in ids if i // rows not in bad]
    # A header that cannot be read counts as one row.
    after = {"header": 76_001, "text": 77_000}[damage]
    assert "record batch 30, after row 30000 of the file" in told[0].reason
    assert f"record batch 77, after row {after} of the file" in told[1].reason
    assert len(told) == 2
    reader = streaming_dataset_reader(path, 100, num_threads=3)
    assert ids_of(itertools.islice(reader, bad[0] * rows // 100)) == ids[: bad[0] * rows]
    with pytest.raises(OSError, match="record batch 30, after row 30000 of the file"):
        next(reader)
