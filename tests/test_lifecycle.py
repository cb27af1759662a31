# SPDX-License-Identifier: Apache-2.0
"""How a reader begins, streams and ends, and what it leaves behind."""

import gc
import json
import os
import threading
import time

import pytest
from formats import COMPRESSIONS, FORMATS, table
from processes import LINUX, count_threads, python, settled_threads

from fast_axolotl import StreamingDataset, streaming_dataset_reader

ROW = b'{"i": 1234567, "text": "' + b"x" * 470 + b'"}'


def write_lines(path, megabytes):
    block = (ROW + b"\n") * (1_000_000 // (len(ROW) + 1))
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    return path


def write_array(path, megabytes):
    block = (b",\n" + ROW) * (1_000_000 // (len(ROW) + 2))
    with path.open("wb") as file:
        file.write(b"[" + ROW)
        for _ in range(megabytes):
            file.write(block)
        file.write(b"]")
    return path


# --- it streams -----------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("lines", [True, False], ids=["lines", "array"])
def test_the_first_batch_comes_early(lines, compression, tmp_path):
    (codec,) = (c for c in COMPRESSIONS if c.id == compression)
    # Noise, so that the compressed bytes are many as well, and many more than those of
    # the sample.
    rows = [
        b'{"i": 1, "text": "%s"}' % os.urandom(250).hex().encode() for _ in range(80_000)
    ]
    if lines:
        path = tmp_path / f"data.jsonl{codec.suffix}"
        path.write_bytes(codec.compress(b"\n".join(rows)))
    else:
        path = tmp_path / f"data.json{codec.suffix}"
        path.write_bytes(codec.compress(b"[" + b",\n".join(rows) + b"]"))
    with streaming_dataset_reader(path, 10, read_ahead_bytes=1 << 20) as reader:
        assert len(next(reader)["i"]) == 10
        assert 0 < reader.bytes_read < reader.bytes_total / 4


@pytest.mark.parametrize("compression", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["lines", "array", "text"])
def test_a_pass_goes_on_from_its_sample(kind, compression, tmp_path):
    """Rows behind the sample's 4 MiB keep their keys, kinds, order and places."""
    (codec,) = (c for c in COMPRESSIONS if c.id == compression)
    rows = [{"i": i, "text": f"{i:0200}"} for i in range(30_000)]
    rows[100]["i"] = 0.5
    rows[25_000]["late"] = [1]
    rows[26_000]["i"] = "27th"
    lines = [json.dumps(row) for row in rows]
    if kind == "text":
        path, wanted = tmp_path / f"a.txt{codec.suffix}", [{"text": x} for x in lines]
        path.write_bytes(codec.compress("\n".join([*lines, "\xff"]).encode("latin-1")))
        place = "line 30001,"
    elif kind == "lines":
        path, wanted = tmp_path / f"a.jsonl{codec.suffix}", rows
        path.write_bytes(codec.compress("\n".join([*lines, "?"]).encode()))
        place = "line 30001,"
    else:
        path, wanted = tmp_path / f"a.json{codec.suffix}", rows
        path.write_bytes(codec.compress(f"[{','.join([*lines, '?'])}]".encode()))
        place = "row 30001 "
    reader = streaming_dataset_reader(path, 7)
    found = []

    def take_all():
        for batch in reader:
            size = len(batch["text"])
            found.extend({key: batch[key][i] for key in batch} for i in range(size))

    with pytest.raises(OSError, match=place):
        take_all()
    behind = [row for row in found if "late" in row]
    assert [row.pop("late") for row in behind if row["i"] == 25_000] == (
        [] if kind == "text" else [[1]]
    )
    assert all(row.pop("late", None) is None for row in behind)
    rows[25_000].pop("late")
    assert found == wanted
    assert reader.bytes_read == reader.bytes_total


@pytest.mark.parametrize("format_", [f for f in FORMATS if not f.only_one_row],
                         ids=lambda f: f.id)  # fmt: skip
def test_read_ahead_is_bounded(format_, tmp_path):
    """A consumer that does not consume lets nothing pile up."""
    rows = 80_000  # of which the sample is less than half
    noise = [os.urandom(60).hex() for _ in range(rows)]
    path = tmp_path / f"data{format_.suffix}"
    path.write_bytes(format_.write(format_.fit(table(text=noise))))
    with streaming_dataset_reader(path, 10, num_threads=2, read_ahead_bytes=1) as reader:
        next(reader)
        time.sleep(0.2)
        assert reader.bytes_read < reader.bytes_total * 0.7
        assert 10 + sum(len(batch["text"]) for batch in reader) == rows
        assert reader.bytes_read >= reader.bytes_total * 0.9


PEAK = """
import resource, sys
import fast_axolotl
rows = 0
reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], 1000, num_threads=2)
for batch in reader:
    rows += len(batch["i"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(rows, peak // (1 if sys.platform == "darwin" else 1024) // 1)
"""


@pytest.mark.parametrize("write", [write_lines, write_array])
def test_memory_does_not_grow_with_the_file(write, tmp_path):
    suffix = ".jsonl" if write is write_lines else ".json"
    peaks = []
    for megabytes in (20, 200):
        path = write(tmp_path / f"data{suffix}", megabytes)
        rows, peak = map(int, python(PEAK, path).split())
        assert rows > megabytes * 1900
        peaks.append(peak)
        path.unlink()
    assert peaks[1] < peaks[0] + 80, peaks


DROPPED = """
import os, sys, time
import fast_axolotl

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

def drop(times):
    for _ in range(times):
        reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], 10, num_threads=2)
        next(reader)
        time.sleep(0.04)  # some of the rest is decoded by now
        del reader

drop(3)
before = megabytes()
drop(15)
print(megabytes() - before)
"""


@LINUX
def test_readers_that_were_dropped_leave_no_memory_behind(long_lines):
    assert int(python(DROPPED, long_lines)) < 150


# --- it ends --------------------------------------------------------------------------


def close(reader):
    reader.close()


def drop(reader):
    pass


def finish(reader):
    list(reader)


def leave(reader):
    with reader:
        pass


def leave_with_an_error(reader):
    with pytest.raises(KeyError), reader:
        raise KeyError


@LINUX
@pytest.mark.parametrize("batches", [0, 1, 5])
@pytest.mark.parametrize("end", [close, drop, finish, leave, leave_with_an_error])
def test_no_thread_is_left_behind(end, batches, long_lines):
    list(streaming_dataset_reader(long_lines, columns=["i"]))  # libarrow's own, if any
    gc.collect()  # readers of other tests
    before = count_threads()
    reader = streaming_dataset_reader(long_lines, 100, num_threads=4)
    for _ in range(batches):
        next(reader)
    assert count_threads() == before + 4 * (batches > 0)
    end(reader)
    del reader
    gc.collect()
    assert settled_threads(before) == before


@LINUX
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_reader_that_ended_keeps_no_thread(shuffle, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"i": 1}\n' * 5000)
    dataset = StreamingDataset(path, 1000, shuffle=shuffle)
    list(dataset)  # libarrow's own, if any
    gc.collect()
    before = count_threads()
    for reader in (iter(dataset), streaming_dataset_reader(path, 1000)):
        assert sum(len(batch["i"]) for batch in reader) == 5000
        assert settled_threads(before) == before
        assert reader.rows_read == 5000
        assert next(reader, None) is None
    del dataset, reader
    gc.collect()


@LINUX
def test_no_thread_and_no_file_is_left_behind_by_many_readers(long_lines, ten_files):
    list(streaming_dataset_reader(ten_files))
    threads, files = count_threads(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(50):
        next(streaming_dataset_reader(long_lines, 10))
        next(iter(StreamingDataset(ten_files, 10)))
        next(StreamingDataset(ten_files, 10).rows())
    gc.collect()
    assert settled_threads(threads) == threads
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208


def test_after_close_it_is_at_its_end(ten_files):
    reader = streaming_dataset_reader(ten_files, 10)
    next(reader)
    reader.close()
    reader.close()
    assert list(reader) == []
    assert next(reader, None) is None
    assert reader.rows_read == 10
    assert reader.columns == ["i"]
    assert len(reader.files) == 10


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": True}, {"distributed": (1, 2)}], ids=str
)
def test_closed_before_its_first_batch_it_reads_nothing(ten_files, options):
    dataset = StreamingDataset(ten_files, 2, **options)
    state = dataset.state_dict()
    reader = iter(dataset)
    reader.close()
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(reader)
    assert (reader.rows_read, reader.bytes_read) == (0, 0)
    assert reader.state_dict() == state


def test_a_second_iteration_gives_nothing_more(ten_files):
    reader = streaming_dataset_reader(ten_files, 300)
    assert iter(reader) is reader
    assert [len(batch["i"]) for batch in reader] == [300, 300, 300, 100]
    assert list(reader) == []


def test_a_dataset_gives_all_again_each_time(ten_files):
    dataset = StreamingDataset(ten_files, 300)
    first, second = iter(dataset), iter(dataset)
    assert next(first) == next(second)
    first.close()
    assert len(list(second)) == 3
    assert list(dataset) == list(dataset)
    assert [row["i"] for row in dataset.rows()] == list(range(1000))


def test_rows_ends_its_reader(long_lines):
    dataset = StreamingDataset(long_lines, 10)
    before = threading.active_count()
    rows = dataset.rows()
    next(rows)
    rows.close()
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(rows)
