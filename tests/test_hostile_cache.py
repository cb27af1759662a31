# SPDX-License-Identifier: Apache-2.0
"""A cache folder that others have written to: never a crash, and never fewer rows.

Whatever lies in the place of an index is as good as none, or is one that fits the file.
An index that is right in every check and lies about the rows is found out by reading.
"""

import os
import struct
import sys
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fast_axolotl
from fast_axolotl import StreamingDataset, _core, validate

ROWS = 300


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f'{{"id": {i}, "x": "{"y" * 9000}"}}\n' for i in range(ROWS)))
    return path


# Bytes of a row of the file, from the hundredth on.
SIZE = len(f'{{"id": 299, "x": "{"y" * 9000}"}}\n')


def read(path):
    data = StreamingDataset(path, 10, ["id"], shuffle=True, num_lanes=2)
    return sorted(i for batch in data for i in batch["id"])


def kept(cache):
    """The one index there is."""
    (file,) = (file for file in cache.iterdir() if file.suffix == "")
    return file


def packed(body, size=None, magic=b"FAXIDX03"):
    """An index with a checksum that fits."""
    frame = pa.compress(body, codec="zstd", asbytes=True)
    size = len(body) if size is None else size
    return magic + struct.pack("<IQ", zlib.crc32(frame), size) + frame


def body_of(file):
    data = file.read_bytes()
    (size,) = struct.unpack_from("<Q", data, 12)
    return pa.decompress(data[20:], size, codec="zstd", asbytes=True)


def with_fragments(body, change):
    """An index whose fragments, as lists of six numbers, were changed."""
    (key,) = struct.unpack_from("<Q", body)
    at = 8 + key + 2
    (count,) = struct.unpack_from("<Q", body, at)
    fragments = [
        list(struct.unpack_from("<6q", body, at + 8 + 48 * i)) for i in range(count)
    ]
    rest = body[at + 8 + 48 * count :]
    fragments = change(fragments)
    return (
        body[:at]
        + struct.pack("<Q", len(fragments))
        + b"".join(struct.pack("<6q", *fragment) for fragment in fragments)
        + rest
    )


def fewer(fragment, rows, size):
    """A fragment that ends so many rows, and bytes for each, earlier."""
    begin, end, count, *rest = fragment
    return [begin, end - rows * size, count - rows, *rest]


def shifted(fragments, rows):
    """Fragments with so many more rows before them."""
    return [[*f[:3], f[3] + rows, *f[4:]] for f in fragments]


# --- as good as none ------------------------------------------------------------------

MANY = 1 << 62

LAYOUTS = {
    "nothing": lambda body: b"",
    "noise": lambda body: bytes(range(256)) * 40,
    "another version": lambda body: packed(body, magic=b"FAXIDX01"),
    "no body": lambda body: packed(b""),
    "more body than there is": lambda body: packed(body, size=len(body) + 1),
    "a body that fills the memory": lambda body: packed(bytes(1 << 30)),
    "no key": lambda body: packed(struct.pack("<Q", 0) + body[8:]),
    "a key without end": lambda body: packed(struct.pack("<Q", MANY) + body[8:]),
    "half a body": lambda body: packed(body[: len(body) // 2]),
    "something behind it": lambda body: packed(body + b"\0"),
    "rows that overflow": lambda body: packed(
        with_fragments(
            body, lambda f: [[*f[0][:2], MANY, 0, 0, 0], [*f[1][:2], MANY, MANY, 0, 0]]
        )
    ),
    "fewer rows than none": lambda body: packed(
        with_fragments(body, lambda f: [[*f[0][:2], -5, 0, 0, 0]])
    ),
    "fragments behind each other": lambda body: packed(
        with_fragments(body, lambda f: f[::-1])
    ),
    "a fragment behind the end of the file": lambda body: packed(
        with_fragments(
            body,
            lambda f: [
                *f[:-1],
                [f[-1][0] + (1 << 40), f[-1][1] + (1 << 40), *f[-1][2:]],
            ],
        )
    ),
    "no fragments": lambda body: packed(with_fragments(body, lambda f: [])),
    "rows between fragments": lambda body: packed(
        with_fragments(body, lambda f: [fewer(f[0], 1, SIZE), *shifted(f[1:], -1)])
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_files_that_are_no_index(layout, path, cache):
    assert read(path) == list(range(ROWS))
    file = kept(cache)
    good = file.read_bytes()
    file.write_bytes(layout(body_of(file)))
    opened = StreamingDataset(path)._open()
    assert _core.load_index(opened, str(cache)) is None
    assert read(path) == list(range(ROWS))
    assert file.read_bytes() == good


@pytest.mark.skipif(sys.platform == "darwin", reason="its files are not sparse")
def test_a_huge_file_in_its_place(path, cache):
    """It is not read into memory."""
    read(path)
    file = kept(cache)
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert read(path) == list(range(ROWS))
    assert file.stat().st_size < 1 << 20


def test_things_that_are_no_files(path, cache):
    read(path)
    file = kept(cache)
    places = {
        "pipe": lambda: os.mkfifo(file),
        "folder": file.mkdir,
        "device": lambda: file.symlink_to("/dev/zero"),
        "loop": lambda: file.symlink_to(file),
        "nowhere": lambda: file.symlink_to("/nowhere/at/all"),
    }
    for name, make in places.items():
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()
        make()
        assert read(path) == list(range(ROWS)), name


def test_a_link_in_its_place_is_not_written_through(path, cache, tmp_path):
    read(path)
    file = kept(cache)
    lock = file.with_name(file.name + ".lock")
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_text("mine")
    file.unlink()
    lock.unlink(missing_ok=True)
    file.symlink_to(mine)
    lock.symlink_to(other)
    assert read(path) == list(range(ROWS))
    assert mine.read_text() == "mine"
    assert not other.exists()
    assert not file.is_symlink()


def test_folders_in_a_loop(path, tmp_path, monkeypatch):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(loop))
    assert read(path) == list(range(ROWS))


# --- right in every check, and yet not the file's -------------------------------------

LIES = {
    "a row too many": lambda f: [
        [*f[0][:2], f[0][2] + 1, 0, 0, 0],
        *shifted(f[1:], 1),
    ],
    "a row too few": lambda f: [fewer(f[0], 1, 0), *shifted(f[1:], -1)],
    "half of the rows": lambda f: (
        [fewer(g, g[2] // 2, 0) for g in f[:1]] + shifted(f[1:], -(f[0][2] // 2))
    ),
    "a row too few at the end": lambda f: [*f[:-1], fewer(f[-1], 1, 0)],
    "an end before the last row": lambda f: [*f[:-1], fewer(f[-1], 1, SIZE)],
    "the last fragment left out": lambda f: f[:-1],
    "rows without end": lambda f: [*f[:-1], [*f[-1][:2], 1 << 40, *f[-1][3:]]],
    "behind the end of the file": lambda f: [
        *f[:-2],
        [f[-2][0], f[-2][1] + (1 << 40), *f[-2][2:]],
        [f[-1][0] + (1 << 40), f[-1][1] + (1 << 40), *f[-1][2:]],
    ],
    "inside a row": lambda f: [[f[0][0] + 7, *f[0][1:]], *f[1:]],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_index_that_lies(lie, path, cache):
    """An error that names the file; no row is left out without one."""
    read(path)
    file = kept(cache)
    file.write_bytes(packed(with_fragments(body_of(file), lie)))
    with pytest.raises(OSError, match=r"data\.jsonl"):
        read(path)
    # Reading without an index goes on.
    reader = fast_axolotl.streaming_dataset_reader(path, 10)
    assert [i for batch in reader for i in batch["id"]] == list(range(ROWS))


@pytest.mark.parametrize("name", ["data.arrow", "data.stream", "data.parquet"])
def test_an_index_without_the_last_batch(name, tmp_path, cache):
    path = tmp_path / name
    table = pa.table({"id": list(range(ROWS))})
    if name == "data.parquet":
        pq.write_table(table, path, row_group_size=100)
    else:
        make = pa.ipc.new_file if name == "data.arrow" else pa.ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    validate(path, index=True)
    assert read(path) == list(range(ROWS))
    file = kept(cache)
    lies = [lambda f: [*f[:-1], fewer(f[-1], 1, 0)]]
    if name == "data.stream":
        lies.append(lambda f: [[0, 2, 200, 0, 0, 0]])
    else:
        lies.append(lambda f: f[:-1])
    good = body_of(file)
    for lie in lies:
        file.write_bytes(packed(with_fragments(good, lie)))
        with pytest.raises(OSError, match=rf"{name}: expected .* rows.*, found"):
            read(path)
