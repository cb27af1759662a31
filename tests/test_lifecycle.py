# SPDX-License-Identifier: Apache-2.0
"""Streaming, memory, threads and processes: how a reader begins, goes on and ends."""

import gc
import gzip
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from formats import COMPRESSIONS, FORMATS, table

import fast_axolotl
from fast_axolotl import StreamingDataset, streaming_dataset_reader

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
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


@pytest.fixture(scope="module")
def long_lines(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("long") / "data.jsonl", 50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for i in range(10):
        (folder / f"{i}.jsonl").write_text(
            "".join(f'{{"i": {i * 100 + j}}}\n' for j in range(100))
        )
    return folder


def python(code, *args, seconds=60):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    return done.stdout


def count_threads():
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def settled_threads(expected, seconds=2):
    """The threads there are; those that are just ending get a moment."""
    until = time.monotonic() + seconds
    while count_threads() > expected and time.monotonic() < until:
        time.sleep(0.01)
    return count_threads()


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
def test_no_thread_and_no_file_is_left_behind_by_many_readers(long_lines, folder):
    list(streaming_dataset_reader(folder))
    threads, files = count_threads(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(50):
        next(streaming_dataset_reader(long_lines, 10))
        next(iter(StreamingDataset(folder, 10)))
        next(StreamingDataset(folder, 10).rows())
    gc.collect()
    assert settled_threads(threads) == threads
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208


def test_after_close_it_is_at_its_end(folder):
    reader = streaming_dataset_reader(folder, 10)
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
def test_closed_before_its_first_batch_it_reads_nothing(folder, options):
    dataset = StreamingDataset(folder, 2, **options)
    state = dataset.state_dict()
    reader = iter(dataset)
    reader.close()
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(reader)
    assert (reader.rows_read, reader.bytes_read) == (0, 0)
    assert reader.state_dict() == state


def test_a_second_iteration_gives_nothing_more(folder):
    reader = streaming_dataset_reader(folder, 300)
    assert iter(reader) is reader
    assert [len(batch["i"]) for batch in reader] == [300, 300, 300, 100]
    assert list(reader) == []


def test_a_dataset_gives_all_again_each_time(folder):
    dataset = StreamingDataset(folder, 300)
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


@pytest.mark.parametrize(
    "code",
    [
        "next(reader)",
        "",
        "import threading; threading.Thread(target=reader.__next__, daemon=True).start()",
        "next(reader); sys.keep = reader",
        "next(reader); reader.me = reader",
        "import atexit; atexit.register(lambda: print(len(list(reader)))); next(reader)",
        "next(reader); raise SystemExit(0)",
        "iter(fast_axolotl._dataset.StreamingDataset(sys.argv[1]).rows()).__next__()",
    ],
)
def test_exit_with_an_open_reader(code, long_lines):
    start = time.monotonic()
    python(
        "import sys, fast_axolotl, fast_axolotl._dataset\n"
        "reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], 10)\n".replace(
            "\\\n", "\n"
        )
        + code,
        long_lines,
        seconds=20,
    )
    assert time.monotonic() - start < 15


DAEMON = """
import sys, threading, time
import fast_axolotl
reader = fast_axolotl.streaming_dataset_reader(sys.argv[1:] * 100, 10, num_threads=2)
def work():
    for batch in reader:
        pass
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""


def test_exit_while_a_daemon_thread_reads(long_lines):
    for _ in range(8):
        python(DAEMON, long_lines, seconds=20)


# --- signals --------------------------------------------------------------------------

SLOW = """
import sys, time
import fast_axolotl
reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], int(sys.argv[2]))
print("ready", flush=True)
try:
    for batch in reader:
        pass
    for batch in fast_axolotl.streaming_dataset_reader([sys.argv[1]] * 1000):
        pass
except KeyboardInterrupt:
    print("interrupted", time.time(), flush=True)
    reader.close()
"""


@pytest.mark.parametrize("batch_size", [10, 10**9], ids=["many_batches", "one_long_wait"])
def test_an_interrupt_is_answered_at_once(batch_size, long_lines, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, long_lines, str(batch_size)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n".replace("\\\n", "\n")
        time.sleep(0.03)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, err
    word, when = out.split()
    assert word == "interrupted"
    assert float(when) - sent < 1


# --- threads and forks ----------------------------------------------------------------


def test_a_reader_shared_by_threads(folder):
    """Each batch goes to one of them; who comes while another reads is told so."""
    reader = streaming_dataset_reader(folder, 3)
    seen, refused = [], []

    def work():
        while True:
            try:
                batch = next(reader)
            except StopIteration:
                return
            except ValueError as error:
                refused.append(str(error))
            else:
                seen.append(batch["i"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(i for batch in seen for i in batch) == list(range(1000))
    assert all("thread" in text for text in refused)


def test_a_reader_closed_by_another_thread(long_lines):
    for _ in range(10):
        reader = streaming_dataset_reader(long_lines, 50)
        thread = threading.Thread(target=list, args=[reader])
        thread.start()
        time.sleep(0.01)
        reader.close()
        thread.join(10)
        assert not thread.is_alive()
        assert list(reader) == []


def test_readers_side_by_side(folder):
    readers = [streaming_dataset_reader(folder, 7, num_threads=2) for _ in range(8)]
    for together in zip(*readers, strict=True):
        assert all(batch == together[0] for batch in together)


FORK = """
import os, sys
import fast_axolotl
from fast_axolotl import StreamingDataset, streaming_dataset_reader
path = sys.argv[1]
dataset = StreamingDataset(path, 10)
reader = iter(dataset)
first = next(reader)
child = os.fork()
if child == 0:
    code = 1
    try:
        assert [row["i"] for row in dataset.rows()] == list(range(1000))
        assert next(iter(dataset)) == first
        try:
            next(reader)
        except RuntimeError as error:
            assert "fork" in str(error)
        else:
            raise AssertionError("the parent's reader gave a batch")
        del reader
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        if sys.argv[2] == "exit":
            sys.exit(code)
        os._exit(code)
_, status = os.waitpid(child, 0)
assert status == 0, status
rest = list(reader)
assert len(rest) == 99
assert [i for batch in [first, *rest] for i in batch["i"]] == list(range(1000))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("way", ["exit", "_exit"])
def test_fork_with_an_open_reader(way, folder):
    for _ in range(2):
        python(FORK, folder, way, seconds=30)


# --- pickle ---------------------------------------------------------------------------


def test_a_dataset_can_be_pickled(folder):
    dataset = StreamingDataset(
        folder,
        7,
        ["i", "more"],
        schema={"more": "int64"},
        num_threads=2,
        csv=fast_axolotl.CsvOptions(delimiter=";"),
    )
    expected = list(dataset)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(dataset, protocol))
        assert list(copy) == expected
        assert copy.columns == dataset.columns
        assert copy.schema == dataset.schema
        assert copy.batch_size == 7
        assert len(copy) == len(dataset)
    iterator = iter(dataset)
    next(iterator)
    assert list(pickle.loads(pickle.dumps(dataset))) == expected
    assert len(list(iterator)) == len(expected) - 1


def test_a_reader_cannot_be_pickled(folder):
    reader = streaming_dataset_reader(folder)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(reader, protocol)
    assert len(list(reader)) == 1


def test_csv_options_are_values():
    one, other = fast_axolotl.CsvOptions(";"), fast_axolotl.CsvOptions(";")
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.delimiter = ","


# --- length ---------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.id)
def test_length(format_, tmp_path):
    data = format_.fit(table(text=["a"] * 100, n=list(range(100))))
    path = tmp_path / f"data{format_.suffix}"
    path.write_bytes(format_.write(data))
    dataset = StreamingDataset(path, 7)
    if format_.name == "parquet" or format_.id in {"ipc_file", "feather"}:
        assert dataset.len_is_exact
    if dataset.len_is_exact:
        assert dataset.num_rows == len(data.rows)
    assert len(dataset) == -(-dataset.num_rows // 7)
    if dataset.len_is_exact:
        assert len(dataset) == len(list(dataset))


def test_length_of_a_long_file_is_an_estimate(long_lines):
    dataset = StreamingDataset(long_lines, 100)
    rows = fast_axolotl.count_rows(long_lines)
    assert not dataset.len_is_exact
    assert rows * 0.9 < dataset.num_rows < rows * 1.1
    assert len(dataset) == -(-dataset.num_rows // 100)


def test_iteration_never_stops_by_an_estimate(tmp_path):
    """A sample of long rows, and then a million short ones."""
    path = tmp_path / "data.jsonl"
    with path.open("wb") as file:
        file.write(b'{"i": 1, "t": "%s"}\n' % (b"x" * 5_000_000))
        file.write(b'{"i": 2}\n' * 100_000)
    dataset = StreamingDataset(path, 1000)
    assert not dataset.len_is_exact
    assert sum(len(batch["i"]) for batch in dataset) == 100_001
    assert fast_axolotl.count_rows(path) == 100_001


def test_count_rows_reports_and_passes_on(long_lines):
    calls = []
    rows = fast_axolotl.count_rows(long_lines, progress=lambda *args: calls.append(args))
    assert calls
    assert calls == sorted(calls)
    assert rows == long_lines.read_bytes().count(b"\n")
    assert all(0 <= read <= total for read, total in calls)
    assert {total for _, total in calls} == {long_lines.stat().st_size}

    def stop(*args):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fast_axolotl.count_rows(long_lines, progress=stop)


def test_count_rows_finds_damage(tmp_path):
    path = tmp_path / "data.jsonl"
    # What tells rows apart is broken; a broken row itself counts.
    path.write_text('[{"a": 1},\n{"a": \n')
    with pytest.raises(OSError, match=r"data\.jsonl"):
        fast_axolotl.count_rows(path)
    path.write_text('{"a": 1}\n{"a": \n')
    assert fast_axolotl.count_rows(path) == 2


FEW_DESCRIPTORS = """
import resource, sys
import fast_axolotl
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
if sys.argv[3] == "plain":
    batches = fast_axolotl.streaming_dataset_reader(sys.argv[1], 10)
else:
    batches = fast_axolotl.StreamingDataset(sys.argv[1], 10, shuffle=True)
print(sum(len(batch["a"]) for batch in batches))
"""


@pytest.mark.parametrize("how", ["plain", "shuffled"])
@pytest.mark.parametrize("suffix", [".parquet.gz", ".jsonl.gz", ".parquet"])
def test_many_files_need_few_descriptors(suffix, how, tmp_path):
    """Those with a footer inside a codec stand in temporary files while being read."""
    (format_,) = (f for f in FORMATS if f.suffix == suffix.removesuffix(".gz"))
    data = format_.write(format_.fit(table(a=[1, 2, 3])))
    for i in range(300):
        (tmp_path / f"{i}{suffix}").write_bytes(
            gzip.compress(data) if suffix.endswith(".gz") else data
        )
    # torch, which the data set class needs where it is installed, has files open, too.
    assert python(FEW_DESCRIPTORS, tmp_path, 256, how).strip() == "900"
