# SPDX-License-Identifier: Apache-2.0
"""The index: what it says of files of every format, and how it is kept on disk."""

import json
import os
import threading
import warnings
from pathlib import Path

import epoch_files
import pyarrow as pa
import pytest
from formats import skippable, to_gzip, to_zstd
from indexes import MEBIBYTE, build, bytes_read, ids, kept, rows_of, shuffled, write_lines

from fast_axolotl import StreamingDataset, _core, count_rows

# --- what it says ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".txt"])
def test_plain_text_is_cut_at_mebibytes(tmp_path, cache, suffix):
    write = {".json": epoch_files.array, ".csv": epoch_files.csv}
    path = tmp_path / f"data{suffix}"
    path.write_bytes(write.get(suffix, epoch_files.lines)(range(100), 40_000))
    index = build(path)
    assert index.rows == 100
    assert index.from_start == []
    # Rows belong to the mebibyte in which they begin.
    assert len(index.fragments) == -(-path.stat().st_size // MEBIBYTE)
    last = 0
    for _, begin, end, rows in index.fragments:
        assert last <= begin < end <= path.stat().st_size
        assert begin - begin // MEBIBYTE * MEBIBYTE < 41_000
        assert 20 <= rows <= 28 or end == path.stat().st_size
        last = end


def test_a_row_longer_than_a_fragment(tmp_path, cache):
    path = tmp_path / "data.txt"
    path.write_text("a\n" + "b" * 5 * MEBIBYTE + "\nc\n")
    assert rows_of(build(path)) == [2, 1]


def test_parquet_and_arrow_fragments(tmp_path, cache):
    ids = range(100)
    lengths = [len(batch) for batch in epoch_files.batches(ids, 9)]
    epoch_files.write_ipc(tmp_path / "file.arrow", ids, stream=False)
    assert rows_of(build(tmp_path / "file.arrow")) == lengths
    epoch_files.write_ipc(tmp_path / "stream.arrow", ids, stream=True)
    index = build(tmp_path / "stream.arrow")
    assert rows_of(index) == [100]
    assert index.from_start == [0]
    epoch_files.write_parquet(tmp_path / "data.parquet", ids)
    groups = [len(batch) for batch in epoch_files.batches(ids, 30)]
    assert [rows for rows in rows_of(build(tmp_path / "data.parquet")) if rows] == [
        rows for rows in groups if rows
    ]
    # A footer is an index: none is kept for Parquet.
    assert len(kept(cache)) == 2


def test_gzip_members(tmp_path, cache):
    path = tmp_path / "data.jsonl.gz"
    data = epoch_files.lines(range(100), 60)
    path.write_bytes(to_gzip(data[:1001]) + to_gzip(b"") + to_gzip(data[1001:]))
    index = build(path)
    assert rows_of(index) == [100]
    assert index.from_start == [0]
    assert sorted(ids(shuffled(path))) == list(range(100))


def test_zstd_frames(tmp_path, cache):
    path = tmp_path / "data.jsonl.zst"
    data = epoch_files.lines(range(100), 40_000)
    path.write_bytes(skippable(b"seek table") + epoch_files.frames(data, 600_000))
    index = build(path)
    assert index.rows == 100
    # Two frames are more than a mebibyte; what begins before a frame's end is of it.
    assert len(index.fragments) == 3
    assert index.from_start == []
    path.write_bytes(skippable(b"") + to_zstd(data) + skippable(b"x" * 100))
    index = build(path)
    assert rows_of(index) == [100]
    assert index.from_start == [0]


def test_files_in_their_order(tmp_path, cache):
    for i, rows in enumerate([3, 0, 5, 1]):
        (tmp_path / f"{i}.jsonl").write_bytes(epoch_files.lines(range(rows), 60))
    index = build(tmp_path, threads=4)
    assert [(file, rows) for file, _, _, rows in index.fragments] == [
        (0, 3),
        (2, 5),
        (3, 1),
    ]
    assert len(kept(cache)) == 4


# --- one-frame zstd -------------------------------------------------------------------


def test_a_file_read_from_its_start_is_named_once(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("fast_axolotl._dataset._LARGE_FILE", MEBIBYTE)
    path = tmp_path / "data.jsonl.zst"
    data = b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(60_000))
    rows = [json.dumps({"id": i, "text": t.decode()}) for i, t in enumerate(data.split())]
    path.write_bytes(to_zstd("\n".join(rows).encode()))
    assert path.stat().st_size > MEBIBYTE
    dataset = StreamingDataset(path, 10_000, ["id"], shuffle=True, distributed=(0, 2))
    with pytest.warns(UserWarning, match=r"'.*data\.jsonl\.zst'.*zstd frames") as seen:
        found = ids(dataset)
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(found) + len(ids(dataset)) == 60_000
        # Read once, it costs nothing more.
        alone = StreamingDataset(path, 10_000, ["id"], shuffle=True)
        assert sorted(ids(alone)) == list(range(60_000))
        # No more lanes than there are processes.
        assert StreamingDataset(path, num_lanes=7).state_dict()["lanes"] == 1


# --- when it is there, and when it is not ---------------------------------------------


def test_len_is_exact_once_there_is_an_index(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl")
    before = StreamingDataset(path, 7)
    assert not before.len_is_exact
    assert kept(cache) == []
    list(StreamingDataset(path, 7))
    assert kept(cache) == []  # plain reading needs none
    list(shuffled(path))
    assert len(kept(cache)) == 1
    after = StreamingDataset(path, 7)
    assert after.len_is_exact
    assert after.num_rows == 300
    assert len(after) == 43
    assert count_rows(path) == 300


@pytest.mark.parametrize("options", [{"shuffle": True}, {"distributed": (1, 2)}], ids=str)
def test_len_is_exact_where_the_index_is_needed_anyway(tmp_path, cache, options):
    """A schedule made of it, before the first batch, is that of the run."""
    path = write_lines(tmp_path / "data.jsonl", rows=200)
    with path.open("ab") as file:
        file.write(epoch_files.lines(range(1800), 40))
    data = StreamingDataset(path, 10, **options)
    assert len(data) == len(list(data))


def test_one_lane_is_plain_reading(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl")
    next(iter(StreamingDataset(path, 7, num_lanes=1)))
    assert kept(cache) == []


def test_a_kept_index_is_not_built_again(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl")
    assert bytes_read(path) == path.stat().st_size
    modified = kept(cache)[0].stat().st_mtime_ns
    assert bytes_read(path) == 0
    assert kept(cache)[0].stat().st_mtime_ns == modified
    assert ids(shuffled(path)) == ids(shuffled(path))
    assert sorted(ids(shuffled(path))) == list(range(300))


@pytest.mark.parametrize("change", ["size", "mtime"])
def test_a_stale_index_is_built_anew(tmp_path, cache, change):
    path = write_lines(tmp_path / "data.jsonl")
    build(path)
    if change == "size":
        with path.open("ab") as file:
            file.write(b'{"id": 300}\n')
    else:
        info = path.stat()
        # As many bytes, cut into rows elsewhere.
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(reversed(lines)))
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    assert not StreamingDataset(path).len_is_exact
    assert bytes_read(path) == path.stat().st_size
    assert bytes_read(path) == 0
    assert len(kept(cache)) == 1  # it took the place of the old one
    rows = 301 if change == "size" else 300
    assert sorted(ids(shuffled(path))) == list(range(rows))


def test_csv_options_have_an_index_each(tmp_path, cache):
    from fast_axolotl import CsvOptions

    path = tmp_path / "data.csv"
    path.write_text('1,"a\nb"\n2;c,d\n')
    assert build(path).rows == 1
    assert build(path, csv=CsvOptions(header=False)).rows == 2
    assert build(path, csv=CsvOptions(header=False, delimiter=";")).rows == 3
    assert build(path, format="text").rows == 3
    assert build(path).rows == 1
    assert len(kept(cache)) == 4


def test_a_file_that_grew_behind_an_open_dataset(tmp_path, cache):
    """Whether rows were only added nobody can tell, so the dataset is of no use; what is
    read of the file as it was is not kept as the index of it as it is."""
    path = write_lines(tmp_path / "data.jsonl", rows=50)
    old = shuffled(path)
    with path.open("ab") as file:
        file.write(epoch_files.lines(range(50, 60), 100))
    with pytest.raises(OSError, match=r"data\.jsonl: the file grew"):
        list(old)
    assert sorted(ids(shuffled(path))) == list(range(60))
    with pytest.raises(OSError, match=r"data\.jsonl: the file grew"):
        list(old)


def test_a_file_that_shrank_behind_an_open_dataset(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl", rows=50)
    old = shuffled(path)
    write_lines(path, rows=20)
    build(path)
    with pytest.raises(OSError, match=r"data\.jsonl: the file shrank"):
        list(old)
    assert sorted(ids(shuffled(path))) == list(range(20))


def test_a_file_that_changed_since_it_was_indexed(tmp_path, cache):
    """With its size and its time unchanged, no row is passed over without a word."""
    path = write_lines(tmp_path / "data.jsonl", rows=100)
    build(path)
    info = path.stat()
    lines = path.read_bytes().splitlines(keepends=True)
    # Two rows have become one, of as many bytes.
    merged = lines[0].rstrip() + b" " * (len(lines[1]) + 1 - 1) + b"\n"
    path.write_bytes(merged[: len(lines[0]) + len(lines[1])] + b"".join(lines[2:]))
    path.write_bytes(path.read_bytes().ljust(info.st_size, b" ")[: info.st_size])
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    with pytest.raises(
        OSError, match=r"data\.jsonl.*(changed since it was indexed|line)"
    ):
        list(shuffled(path))


# --- damage ---------------------------------------------------------------------------


def test_every_damaged_byte(tmp_path, cache):
    """Never a crash and never other rows: a damaged index is built anew."""
    path = tmp_path / "data.jsonl.zst"
    path.write_bytes(epoch_files.frames(epoch_files.lines(range(90), 40_000), 700_000))
    expected = build(path).fragments
    (file,) = kept(cache)
    good = file.read_bytes()
    opened = StreamingDataset(path)._open()
    for at in range(len(good)):
        for flip in (1, 0x80):
            damaged = bytearray(good)
            damaged[at] ^= flip
            file.write_bytes(damaged)
            assert _core.load_index(opened, str(cache)) is None
    for size in range(len(good)):
        file.write_bytes(good[:size])
        assert _core.load_index(opened, str(cache)) is None
    assert build(path).fragments == expected
    assert file.read_bytes() == good


def test_an_index_of_another_file(tmp_path, cache):
    first = write_lines(tmp_path / "first.jsonl", rows=20)
    second = write_lines(tmp_path / "second.jsonl", rows=30)
    build(first)
    (of_first,) = kept(cache)
    build(second)
    (of_second,) = set(kept(cache)) - {of_first}
    of_second.write_bytes(of_first.read_bytes())
    assert build(second).rows == 30


# --- the folder -----------------------------------------------------------------------


def test_a_read_only_folder(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl", rows=20)
    cache.mkdir()
    cache.chmod(0o555)
    try:
        assert sorted(ids(shuffled(path))) == list(range(20))
        assert os.getuid() == 0 or kept(cache) == []
    finally:
        cache.chmod(0o755)


def test_a_folder_that_cannot_be(tmp_path, monkeypatch):
    path = write_lines(tmp_path / "data.jsonl")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "file" / "cache"))
    assert sorted(ids(shuffled(path))) == list(range(300))
    assert not StreamingDataset(path).len_is_exact


def test_a_folder_in_the_way_of_the_file(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl", rows=20)
    build(path)
    (file,) = kept(cache)
    file.unlink()
    file.mkdir()
    assert sorted(ids(shuffled(path))) == list(range(20))
    assert [p.name for p in kept(cache)] == [file.name]  # nothing else is left


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"FAST_AXOLOTL_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c/index"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/fast_axolotl/index"),
        ({"XDG_CACHE_HOME": "x", "HOME": "/h"}, "/h/.cache/fast_axolotl/index"),
        ({"FAST_AXOLOTL_CACHE": "", "HOME": "/h"}, "/h/.cache/fast_axolotl/index"),
        ({}, ""),
    ],
)
def test_where_it_is_kept(monkeypatch, variables, expected):
    for name in ("FAST_AXOLOTL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _core.index_folder() == expected


def test_without_any_folder(tmp_path, monkeypatch):
    for name in ("FAST_AXOLOTL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    path = write_lines(tmp_path / "data.jsonl", rows=20)
    monkeypatch.chdir(tmp_path)
    assert sorted(ids(shuffled(path))) == list(range(20))
    assert [p.name for p in tmp_path.iterdir()] == ["data.jsonl"]


def test_it_is_written_whole_or_not_at_all(tmp_path, cache):
    """Whoever looks while it is written, again and again, sees all of it or nothing."""
    path = write_lines(tmp_path / "data.jsonl", rows=100)
    opened = StreamingDataset(path)._open()
    build(path)
    (file,) = kept(cache)
    good = file.read_bytes()
    stop = threading.Event()
    seen = set()

    def look():
        while not stop.is_set():
            if file.exists():
                seen.add(file.read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(20):
        if i % 2:
            file.write_bytes(b"")
        _core.build_index(opened, str(cache), 1, None)
    stop.set()
    thread.join()
    assert seen <= {good, b""}
    assert [p.name for p in kept(cache)] == [file.name]  # no temporary file stays


# --- what it saves --------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["plain", "zst"])
def test_going_on_reads_only_what_comes(tmp_path, cache, codec):
    data = epoch_files.lines(range(500), 40_000)
    if codec == "plain":
        path = tmp_path / "data.jsonl"
        path.write_bytes(data)
    else:
        path = tmp_path / "data.jsonl.zst"
        # Bytes that do not compress would take long to make; frames of little do as well.
        path.write_bytes(epoch_files.frames(data, 400_000))
    dataset = StreamingDataset(path, 10, ["id"], num_lanes=1)
    dataset.load_state_dict({**dataset.state_dict(), "batch": 48})
    with iter(dataset) as reader:
        assert ids(reader) == list(range(480, 500))
        assert reader.bytes_read < 0.15 * path.stat().st_size


def test_a_worker_of_many_reads_its_lane(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl", rows=400)
    total = 0
    for rank in range(4):
        dataset = StreamingDataset(path, 10, ["id"], distributed=(rank, 4))
        with iter(dataset) as reader:
            assert len(ids(reader)) == 100
            assert reader.bytes_read < 0.35 * path.stat().st_size
            total += reader.bytes_read
    assert total < 1.3 * path.stat().st_size


def test_an_arrow_file_with_dictionaries(tmp_path, cache):
    """A batch from the middle needs dictionaries from before it."""
    path = tmp_path / "data.arrow"
    schema = pa.schema({"id": pa.dictionary(pa.int32(), pa.string())})
    with pa.ipc.new_file(path, schema) as writer:
        for first in range(0, 40, 10):
            values = [f"v{i % 7}" for i in range(first, first + 10)]
            column = pa.array(values).dictionary_encode()
            column = pa.DictionaryArray.from_arrays(
                pa.array([int(v[1]) for v in values], pa.int32()),
                pa.array([f"v{i}" for i in range(7)]),
            )
            writer.write_batch(pa.record_batch([column], schema=schema))
    dataset = StreamingDataset(path, 5, num_lanes=1)
    dataset.load_state_dict({**dataset.state_dict(), "batch": 5})
    assert ids(dataset) == [f"v{i % 7}" for i in range(25, 40)]


def test_it_is_small(tmp_path, cache):
    path = write_lines(tmp_path / "data.jsonl", rows=2000, filler=10_000)
    build(path)
    assert kept(cache)[0].stat().st_size < 2000
    assert Path(f"{kept(cache)[0]}.lock").stat().st_size == 0
