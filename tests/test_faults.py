# SPDX-License-Identifier: Apache-2.0
"""Damaged files: an error after the rows before the damage; no crash, no hang.

test_truncation.py cuts files off, test_bit_flips.py turns bits over. Damaged files are
read in a process of their own, so that a crash or a hang is a failed test and not the end
of the suite.
"""

import json
import random
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import (
    CASES,
    FORMATS,
    read_rows,
    read_until_error,
    table,
    to_gzip,
    to_zstd,
)

import fast_axolotl

DATA = table(id=[1, 2, 3, 4, 5], text=["one", "two", "dréi", None, "five"])


def ids(items):
    return [item.id for item in items]


# --- cut off --------------------------------------------------------------------------


CUT = [
    case
    for case in CASES
    if case.compression.id in {"plain", "gzip", "zstd"}
    # The same code as jsonl and csv.
    and case.format.id not in {"ndjson", "tsv"}
]


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", to_gzip), (".zst", to_zstd)], ids=["gzip", "zstd"]
)
def test_cut_off_between_members_and_frames(suffix, compress, worker, tmp_path):
    """The end of a member or frame is an end like any other; nothing else is."""
    lines = [b'{"x": %d}\n' % i for i in range(4)]
    parts = [compress(line) for line in lines]
    data = b"".join(parts)
    borders = {sum(map(len, parts[:i])): i for i in range(1, 5)}
    for cut in range(len(data) + 1):
        rows, kind, _ = worker.read(tmp_path / f"data.jsonl{suffix}", data[:cut])
        if cut in borders:
            assert (len(rows), kind) == (borders[cut], None), cut
        else:
            assert kind == "OSError", cut
            assert len(rows) <= sum(border <= cut for border in borders) + 1, cut


def gzip_member(data, extra):
    """A member with all optional header fields, and its header's size."""
    header = b"\x1f\x8b\x08\x1e" + bytes(6)
    header += len(extra).to_bytes(2, "little") + extra + b"name\0comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return header + zlib.compress(data, wbits=-15) + trailer, len(header)


def test_a_gzip_header_cut_by_the_border_of_two_reads(tmp_path):
    """Compressed bytes are read in 256 KiB, and a border may be anywhere in a header."""
    line = random.Random(0).randbytes(220_000).hex()
    size = len(gzip_member(line.encode(), b"")[0])
    second, header = gzip_member(b"\nsecond\n", b"extra")
    path = tmp_path / "data.txt.gz"
    for cut in range(header + 1):
        first, _ = gzip_member(line.encode(), bytes((256 << 10) - size - cut))
        assert len(first) + cut == 256 << 10
        path.write_bytes(first + second)
        assert [row["text"] for row in read_rows(path)] == [line, "second"], cut


@pytest.mark.parametrize("bit", [0x20, 0x40, 0x80])
def test_a_reserved_bit_of_a_gzip_header(bit, tmp_path):
    """RFC 1952, 2.3.1.2; whether a pass needs an index or not."""
    first, _ = gzip_member(b"1\n2\n", b"")
    second = bytearray(gzip_member(b"3\n4\n", b"")[0])
    second[3] |= bit
    path = tmp_path / "data.txt.gz"
    path.write_bytes(first + second)
    for pass_ in (
        fast_axolotl.streaming_dataset_reader(path, 1),
        fast_axolotl.StreamingDataset(path, 1, distributed=(0, 1), num_lanes=2),
    ):
        with pytest.raises(OSError, match=r"data\.txt\.gz: .*gzip"):
            list(pass_)
    assert len(fast_axolotl.validate(path)) == 1
    for shuffle in (False, True):
        data = fast_axolotl.StreamingDataset(path, 1, shuffle=shuffle, on_error="skip")
        assert sorted(row["text"] for row in data.rows()) == ["1", "2"]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_rows_before_the_damage_of_a_compressed_file_are_delivered(compression, tmp_path):
    lines = [json.dumps({"i": i, "text": "x" * (i % 100)}) + "\n" for i in range(50_000)]
    (case,) = (c for c in CASES if c.id == f"jsonl-{compression}")
    data = case.compression.compress("".join(lines).encode())
    path = tmp_path / f"data{case.suffix}"
    path.write_bytes(data[: len(data) * 3 // 4])
    rows, error = read_until_error(path)
    assert 20_000 < len(rows) < 50_000
    assert [row["i"] for row in rows] == list(range(len(rows)))
    assert path.name in str(error)
    assert compression in str(error)


# --- nonsense -------------------------------------------------------------------------

BLOBS = [
    b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 8 + b"PAR1",
    b"ARROW1\0\0", b"ARROW1\0\0" * 3,
    b"\xff" * 4, b"\xff" * 7 + b"\x7f", b"\xff\xff\xff\xff\0\0\0\0",
    b"\x1f\x8b", b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\xff\xff\xff\xff",
    b"FEA1", b"FEA1FEA1", b"\0", b"\0" * 1000, b"\xff", b"\xef\xbb\xbf", b"\xef\xbb",
    b"\xff\xfe", b'"', b"[", b"{", b'[{"a":', b"\\" * 100, b"[" * 100_000, b"{" * 100_000,
    b'{"a":' * 100_000, b'"' * 99_999, b"," * 100_000, b"\r" * 1000, b"\n" * 1000,
    bytes(range(256)) * 10, b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\x55" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS, ids=ids(FORMATS))
def test_bytes_of_no_sense(format_, worker, tmp_path):
    rng = random.Random(7)
    noise = [rng.randbytes(rng.randrange(1, 3000)) for _ in range(20)]
    for blob in [*BLOBS, *noise]:
        rows, kind, _ = worker.read(tmp_path / f"data{format_.suffix}", blob)
        assert kind in {None, "OSError", "ValueError"}, (blob[:40], kind)
        if not format_.text:
            assert kind is not None, blob[:40]
            assert rows == [], blob[:40]


def varint(number):
    """A 64-bit integer as Parquet's footer has it."""
    number = (number << 1 ^ number >> 63) & (1 << 64) - 1
    digits = b""
    while number >= 0x80:
        digits += bytes([number & 0x7F | 0x80])
        number >>= 7
    return digits + bytes([number])


@pytest.mark.parametrize(
    ("groups", "place"),
    [
        ([63, -6, 63], "row group 1 cannot have -6 rows"),
        ([-40, 80, 80], "row group 0 cannot have -40 rows"),
        ([40, 81, -1], "row group 1 cannot have 81 rows"),
        # Their sum is 120 in 64 bits.
        ([(1 << 63) - 1, (1 << 63) - 1, 122], "row group 0 cannot have 9223372036854775"),
    ],
    ids=str,
)
def test_row_groups_of_impossible_numbers_of_rows(groups, place, worker, tmp_path):
    """Their sum is the number of rows that the footer promises."""
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"x": range(120)}), path, row_group_size=40)
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    # Fields 3 and 5 of a row group: its rows, and where it begins.
    first, *rest = data[-8 - size : -8].split(b"\x16" + varint(40) + b"\x26")
    assert len(rest) == 3
    footer = first + b"".join(
        b"\x16" + varint(rows) + b"\x26" + part
        for rows, part in zip(groups, rest, strict=True)
    )
    data = data[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    rows, kind, text = worker.read(path, data)
    assert (rows, kind) == ([], "OSError")
    assert path.name in text
    assert place in text
    for options in ({"shuffle": True}, {"distributed": (0, 2)}):
        with pytest.raises(OSError, match=rf"data\.parquet.*{place}"):
            list(fast_axolotl.StreamingDataset(path, 10, **options))


# --- changed while it is read ---------------------------------------------------------


def long_file(path: Path, rows=200_000) -> Path:
    with path.open("w") as file:
        file.writelines(f'{{"i": {i}, "text": "{"x" * 100}"}}\n' for i in range(rows))
    return path


def until_error(reader):
    rows = []
    try:
        for batch in reader:
            rows += batch["i"]
    except OSError as error:
        return rows, error
    return rows, None


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = long_file(tmp_path / "data.jsonl")
    size = path.stat().st_size
    with fast_axolotl.streaming_dataset_reader(path, 1000, read_ahead_bytes=1) as reader:
        rows = len(next(reader)["i"])
        with path.open("r+b") as file:
            file.truncate(size // 2)
        more, error = until_error(reader)
    assert more == list(range(rows, rows + len(more)))
    assert len(more) < 110_000
    assert path.name in str(error)
    assert "shrank" in str(error)


def test_a_file_that_is_deleted_while_it_is_read(tmp_path):
    """What is open stays readable; the one that is not is missed when its turn comes."""
    first = long_file(tmp_path / "1.jsonl", 100_000)
    second = long_file(tmp_path / "2.jsonl", 10)
    reader = fast_axolotl.streaming_dataset_reader(
        [first, second], 1000, num_threads=1, read_ahead_bytes=1
    )
    next(reader)
    first.unlink()
    second.unlink()
    rows, error = until_error(reader)
    assert rows == list(range(1000, 100_000))
    assert isinstance(error, FileNotFoundError)
    assert second.name in str(error)


def test_a_file_that_is_deleted_before_it_is_read(tmp_path):
    path = long_file(tmp_path / "data.jsonl", 10)
    dataset = fast_axolotl.StreamingDataset(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"data\.jsonl"):
        list(dataset)


def test_a_parquet_file_replaced_between_two_passes(tmp_path):
    """A pass over other bytes than those looked at: right rows or an error."""
    (format_,) = (f for f in FORMATS if f.id == "parquet")
    path = tmp_path / "data.parquet"
    path.write_bytes(format_.write(table(x=list(range(100)))))
    dataset = fast_axolotl.StreamingDataset(path)
    path.write_bytes(format_.write(table(x=list(range(5)))))
    try:
        rows = [row["x"] for row in dataset.rows()]
    except OSError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        assert rows in (list(range(5)), list(range(100)))


# --- after an error -------------------------------------------------------------------


@pytest.mark.parametrize("case", CUT, ids=ids(CUT))
def test_an_error_repeats(case, tmp_path):
    data = case.encode(DATA)
    path = tmp_path / f"data{case.suffix}"
    if case.compression.name is None and case.format.text:
        # Without a checksum: a byte that is nowhere allowed.
        path.write_bytes(data[: len(data) // 2] + b"\xff" + data[len(data) // 2 :])
    elif case.id == "ipc_stream-plain":
        # The mark of the end may be missing.
        path.write_bytes(data[: len(data) - 60])
    else:
        path.write_bytes(data[:-9])
    try:
        reader = fast_axolotl.streaming_dataset_reader(path, 2)
    except OSError:
        with pytest.raises(OSError, match=path.name):
            fast_axolotl.streaming_dataset_reader(path, 2)
        return
    messages = []
    for _ in range(10):
        try:
            next(reader)
        except OSError as error:
            messages.append(str(error))
    assert len(messages) >= 5
    assert len(set(messages)) == 1
    read = reader.rows_read
    reader.close()
    with pytest.raises(StopIteration):
        next(reader)
    assert reader.rows_read == read


def test_an_error_leaves_the_next_pass_alone(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"x": 1}\n{"x": \n')
    dataset = fast_axolotl.StreamingDataset(path)
    for _ in range(3):
        rows = iter(dataset.rows())
        assert next(rows) == {"x": 1}
        with pytest.raises(OSError, match="line 2"):
            next(rows)
    path.write_text('{"x": 1}\n{"x":2}\n')
    assert read_rows(path) == [{"x": 1}, {"x": 2}]
