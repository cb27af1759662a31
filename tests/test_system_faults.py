# SPDX-License-Identifier: Apache-2.0
"""System calls that fail: real ones where the machine allows, else preloaded ones.

fault_shim.c fails calls on the files of one folder. All is read through the package's own
door, by a process of its own.
"""

import errno
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 60_000

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="preloads a library, mounts file systems"
)


def lines(rows=ROWS):
    return "".join(f'{{"id": {i}, "text": "{"x" * 80}"}}\n' for i in range(rows)).encode()


def arrow_table(rows=ROWS):
    tokens = [[i, i + 1, i % 7] * 5 for i in range(rows)]
    return pa.table({"id": range(rows), "tokens": pa.array(tokens, pa.list_(pa.int32()))})


def parquet():
    out = io.BytesIO()
    pq.write_table(arrow_table(), out, row_group_size=ROWS // 4, use_dictionary=False)
    return out.getvalue()


def ipc(new):
    data, out = arrow_table(), io.BytesIO()
    with new(out, data.schema) as writer:
        writer.write_table(data, max_chunksize=ROWS // 20)
    return out.getvalue()


WRITERS = {
    "data.jsonl": lines,
    "data.jsonl.gz": lambda: gzip.compress(lines(), 0, mtime=0),
    "data.csv": lambda: b"id\n" + "".join(f"{i}\n" for i in range(10 * ROWS)).encode(),
    "data.parquet": parquet,
    "data.parquet.gz": lambda: gzip.compress(parquet(), 0, mtime=0),
    "data.arrow": lambda: ipc(pa.ipc.new_file),
    "data.ipc": lambda: ipc(pa.ipc.new_stream),
}

# Reads a file in order, or by a plan with an index, and prints what came of it.
READ = """
import fast_axolotl
def read(path, how="in order", **options):
    rows, error = [], None
    try:
        if how == "planned":
            batches = fast_axolotl.StreamingDataset(
                path, 100, ["id"], shuffle=True, num_lanes=2, **options)
        else:
            batches = fast_axolotl.streaming_dataset_reader(path, 100, ["id"], **options)
        for batch in batches:
            rows += batch["id"]
    except Exception as found:
        error = found
    return rows, error

def told(rows, error):
    number = getattr(error, "errno", None)
    whole = sorted(rows) == list(range(len(rows)))
    return [len(rows), whole, type(error).__name__, number, str(error)]
"""

ONE_PASS = (
    READ
    + """
import json, sys
print(json.dumps(told(*read(sys.argv[1], sys.argv[2]))))
"""
)


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library to preload."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    source = Path(__file__).with_name("fault_shim.c")
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lstdc++"],
        check=True,
    )
    return library


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, write in WRITERS.items():
        (folder / name).write_bytes(write())
    return folder


def run(script, *arguments, seconds=60, prefix=(), **variables):
    """What a script prints, as JSON."""
    ran = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Warning" not in ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def with_faults(shim, folder, faults, script, *arguments, **variables):
    return run(
        script,
        *arguments,
        LD_PRELOAD=shim,
        FAULT_FOLDER=folder,
        FAULTS=faults,
        **variables,
    )


def rows_in(name):
    return 10 * ROWS if name == "data.csv" else ROWS


NAMES = pytest.mark.parametrize("name", WRITERS)
HOW = pytest.mark.parametrize("how", ["in order", "planned"])
ALWAYS = 10**9


# --- reading --------------------------------------------------------------------------


EACH_FAULT = (
    READ
    + """
import ctypes, json, os, shutil, sys
path, how, *faults = sys.argv[1:]
found = []
for fault in faults:
    shutil.rmtree(os.environ["FAST_AXOLOTL_CACHE"], ignore_errors=True)
    ctypes.CDLL(None).set_faults(fault.encode())
    found.append(told(*read(path, how)))
print(json.dumps(found))
"""
)


@LINUX
@NAMES
@HOW
def test_the_disk_fails(name, how, shim, data, tmp_path):
    """After the rows that were read before; the error is that of the system."""
    firsts = [*range(13), *range(20, 70, 5), 100]
    faults = [f"pread {errno.EIO} {first} {ALWAYS};" for first in firsts]
    found = with_faults(
        shim, data, "", EACH_FAULT, data / name, how, *faults,
        FAST_AXOLOTL_CACHE=tmp_path / "cache",
    )  # fmt: skip
    seen = set()
    for count, whole, kind, number, text in found:
        if kind == "NoneType":
            # It is read with fewer calls.
            assert (count, whole) == (rows_in(name), True)
            continue
        assert (kind, number) == ("OSError", errno.EIO), text
        assert name in text
        assert whole or how == "planned"
        seen.add(count)
    assert min(seen) == 0
    assert found[1][3] == errno.EIO
    # Behind gzip, Parquet is read whole before its first row.
    assert how == "planned" or max(seen) > 0 or name == "data.parquet.gz"


LESS = [
    f"pread {errno.EINTR} 0 3;open {errno.EINTR} 0 1;write {errno.EINTR} 0 3;",
    "pread slow 1 3;open slow 0 2;",
]
SHORT = f"pread short 0 {ALWAYS};write short 0 {ALWAYS};"


@LINUX
@NAMES
@HOW
def test_calls_that_do_less(name, how, shim, data, tmp_path):
    """Fewer bytes than were asked for, interruptions and stalls change nothing."""
    cache = tmp_path / "cache"
    # Seven bytes at a time take long.
    small = tmp_path / name
    small.write_bytes(small_file(name))
    for path, faults, rows in [(data / name, LESS, rows_in(name)), (small, [SHORT], 50)]:
        found = with_faults(
            shim, path.parent, "", EACH_FAULT, path, how, *faults,
            FAST_AXOLOTL_CACHE=cache,
        )  # fmt: skip
        for count, whole, kind, _, text in found:
            assert (count, whole, kind) == (rows, True, "NoneType"), text


def small_file(name):
    small = pa.table({"id": range(50)})
    out = io.BytesIO()
    if "parquet" in name:
        pq.write_table(small, out)
    elif name in {"data.arrow", "data.ipc"}:
        new = pa.ipc.new_file if name == "data.arrow" else pa.ipc.new_stream
        with new(out, small.schema) as writer:
            writer.write_table(small, max_chunksize=10)
    elif name == "data.csv":
        out.write(b"id\n" + "".join(f"{i}\n" for i in range(50)).encode())
    else:
        out.write(lines(50))
    return gzip.compress(out.getvalue()) if name.endswith(".gz") else out.getvalue()


INTERRUPTED = (
    READ
    + """
import json, os, signal, sys, threading, time
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    for batch in fast_axolotl.streaming_dataset_reader(sys.argv[1], 100):
        pass
    told = "ended"
except KeyboardInterrupt:
    told = "interrupted"
print(json.dumps([told, time.monotonic() - begin]))
"""
)


@LINUX
def test_ctrl_c_while_the_disk_stalls(shim, tmp_path):
    """What is answered at once is answered within a read or two."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(lines(800_000))
    slow = f"pread slow 0 {ALWAYS};" * 6
    told, seconds = with_faults(shim, tmp_path, slow, INTERRUPTED, path)
    assert told == "interrupted"
    assert seconds < 5


STORM = (
    READ
    + """
import json, signal, sys
counted = 0
def count(*_):
    global counted
    counted += 1
signal.signal(signal.SIGALRM, count)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
found = [told(*read(path, how)) for path in sys.argv[1:]
         for how in ("in order", "planned")]
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps([counted, found]))
"""
)


def test_a_storm_of_signals(data, tmp_path):
    paths = [data / name for name in WRITERS]
    counted, found = run(STORM, *paths, FAST_AXOLOTL_CACHE=tmp_path)
    assert counted > 100
    for at, (count, whole, kind, _, text) in enumerate(found):
        assert (count, whole, kind) == (rows_in(paths[at // 2].name), True, "NoneType"), (
            text
        )


# --- a full table of files ------------------------------------------------------------

FULL_TABLE = (
    READ
    + """
import json, os, resource, sys
soft = len(os.listdir("/dev/fd")) + 60
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
folder, how = sys.argv[1:]

def fill():
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return held

options = dict(num_threads=1, read_ahead_bytes=1)
if how == "planned":
    data = fast_axolotl.StreamingDataset(folder, 10, ["id"], shuffle=False, num_lanes=1,
                                         **options)
    len(data)
    batches = iter(data)
else:
    batches = fast_axolotl.streaming_dataset_reader(folder, 10, ["id"], **options)
rows = list(next(batches)["id"])
held = fill()
error = None
try:
    for batch in batches:
        rows += batch["id"]
except OSError as found:
    error = found
for fd in held:
    os.close(fd)
before = told(rows, error)
begun = told(*read(folder, how, **options))
held = fill()
none = told(*read(folder, how, **options))
for fd in held:
    os.close(fd)
print(json.dumps([before, begun, none, told(*read(folder, how, **options))]))
"""
)


@HOW
@pytest.mark.parametrize("name", ["data.jsonl", "data.parquet", "data.arrow"])
def test_a_full_table_of_files(name, how, tmp_path):
    """An error that says so, after the rows before; with room again all is well."""
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(30):
        kind = name.removeprefix("data")
        out = io.BytesIO()
        small = pa.table({"id": range(i * 100, i * 100 + 100)})
        if kind == ".parquet":
            pq.write_table(small, out)
        elif kind == ".arrow":
            with pa.ipc.new_file(out, small.schema) as writer:
                writer.write_table(small)
        else:
            out.write("".join(f'{{"id": {i * 100 + j}}}\n' for j in range(100)).encode())
        (folder / f"{i:02d}{kind}").write_bytes(out.getvalue())
    before, between, none, after = run(
        FULL_TABLE, folder, how, FAST_AXOLOTL_CACHE=tmp_path / "cache"
    )
    count, whole, kind, number, text = before
    assert (whole, kind, number) == (True, "OSError", errno.EMFILE), text
    assert 10 <= count < 3000
    assert str(folder) in text
    assert between[:3] == after[:3] == [3000, True, "NoneType"]
    assert none[0] == 0
    # torch has no OSError for the memory that it shares.
    assert none[2:4] == ["OSError", errno.EMFILE] or "Too many open files" in none[4]


# --- no memory ------------------------------------------------------------------------

NO_MEMORY = """
import json, resource, sys
import fast_axolotl
path, mib = sys.argv[1:]
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + (int(mib) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
bad, rows, error = [], 0, None
try:
    for batch in fast_axolotl.streaming_dataset_reader(
        path, num_threads=1, on_error=bad.append
    ):
        rows += len(batch["v"])
except Exception as found:
    error = found
print(json.dumps([rows, len(bad), type(error).__name__, str(error)]))
"""


@LINUX
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt", ".parquet", ".arrow"])
def test_no_row_is_left_out_for_want_of_memory(suffix, tmp_path):
    """It is the machine's fault, and the row may be read elsewhere."""
    path = tmp_path / f"data{suffix}"
    long = "x" * (150 << 20)
    if suffix == ".jsonl":
        path.write_text('{"v": [' + "1," * (20 << 20) + "1]}\n")
    elif suffix == ".parquet":
        pq.write_table(pa.table({"v": [long]}), path, compression="none")
    elif suffix == ".arrow":
        data = pa.record_batch({"v": [long]})
        with pa.ipc.new_file(path, data.schema) as writer:
            writer.write_batch(data)
    else:
        path.write_text(("v\n" if suffix == ".csv" else "") + long + "\n")
    rows, bad, kind, text = run(NO_MEMORY, path, 200)
    assert (rows, bad, kind) == (0, 0, "MemoryError"), text


LATE_LIMIT = """
import json, resource, sys
import fast_axolotl
work, first, path, mib = sys.argv[1:]
# Before the limit: the allocator is chosen, and Python imports what it needs.
fast_axolotl.count_rows(first)
if work != "index":
    list(fast_axolotl.StreamingDataset(first, output=work))
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + (int(mib) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    if work == "index":
        rows = fast_axolotl.build_index(path, num_threads=8)
    else:
        rows = 0
        dataset = fast_axolotl.StreamingDataset(path, num_threads=8, output=work)
        for batch in dataset:
            rows += len(batch["v"])
    print(json.dumps([rows, ""]))
except MemoryError as error:
    print(json.dumps([-1, str(error)]))
"""


@LINUX
@pytest.mark.parametrize("mib", [16, 18, 20, 22, 30, 80])
@pytest.mark.parametrize("work", ["index", "python", "numpy"])
def test_memory_that_is_limited_after_a_first_use(work, mib, tmp_path):
    """One thread does the work then: new ones would crash in the allocator."""
    first = tmp_path / "first.jsonl"
    first.write_text('{"v": 1}\n')
    path = tmp_path / "data.jsonl"
    path.write_text('{"v": "' + "x" * 1000 + '"}\n')
    path.write_text(path.read_text() * 40_000)
    for i in range(3 if work == "index" else 1):
        cache = tmp_path / f"cache{i}"
        rows, text = run(LATE_LIMIT, work, first, path, mib, FAST_AXOLOTL_CACHE=cache)
        # What is left beside Python decides whether reading gets by with it.
        assert rows == 40_000 or (work != "index" and mib < 80 and rows == -1), text


FAIL_NEW = """
import ctypes, json, os, resource, sys
import fast_axolotl
shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
path, limited, shuffle = sys.argv[1], sys.argv[2] == "True", sys.argv[3] == "True"
fast_axolotl.count_rows(path + "/0.jsonl")
import hashlib
if limited:  # the caller's thread reads then
    most = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (most + (4 << 30),) * 2)

def values(after):
    dataset = fast_axolotl.StreamingDataset(path, 100, num_threads=2, shuffle=shuffle)
    reader = iter(dataset)
    found, errors = [], 0
    shim.fail_new(ctypes.c_long(after))
    while errors < 3:
        try:
            found += next(reader)["v"]
        except StopIteration:
            break
        except (MemoryError, OSError):
            errors += 1
    return found, errors

found = {-1: json.dumps(values(-1))}
for after in range(0, 400, 4):
    end, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(begin, json.dumps(values(after)).encode())
        os._exit(0)
    os.close(begin)
    with open(end) as file:
        found[after] = file.read()
    os.waitpid(child, 0)
print(json.dumps(found))
"""


@LINUX
@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_row_is_missing_where_an_allocation_failed(shuffle, limited, shim, tmp_path):
    """Whoever goes on gets the error again, or all rows."""
    path = tmp_path / "data"
    path.mkdir()
    for i in range(3):
        rows = [f'{{"v": {v}}}\n' for v in range(300 * i, 300 * i + 300)]
        (path / f"{i}.jsonl").write_text("".join(rows))
    found = run(FAIL_NEW, path, limited, shuffle, LD_PRELOAD=shim)
    right, _ = json.loads(found.pop("-1"))
    assert sorted(right) == list(range(900))
    assert (right == sorted(right)) is not shuffle
    failed = 0
    for text in found.values():
        # A Status that cannot be allocated ends the process.
        values, errors = json.loads(text) if text else ([], 3)
        assert values == right[: len(values)]
        assert len(values) == 900 or errors == 3
        failed += errors > 0
    assert failed > 10


# --- a full disk ----------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize(
    "faults",
    [
        f"write {errno.ENOSPC} 0 {ALWAYS};",
        f"write {errno.EIO} 1 {ALWAYS};write short 0 1;",
        f"mkostemp {errno.ENOSPC} 0 {ALWAYS};",
        f"rename {errno.EIO} 0 {ALWAYS};",
        f"open {errno.EROFS} 0 {ALWAYS};mkostemp {errno.EROFS} 0 {ALWAYS};",
        f"open {errno.EMFILE} 0 {ALWAYS};mkostemp {errno.EMFILE} 0 {ALWAYS};",
    ],
)
def test_an_index_that_cannot_be_kept(faults, shim, data, tmp_path):
    """Reading goes on without, and nothing is left behind."""
    cache = tmp_path / "cache"
    found = with_faults(
        shim, cache, faults, ONE_PASS, data / "data.jsonl", "planned",
        FAST_AXOLOTL_CACHE=cache,
    )  # fmt: skip
    assert found[:3] == [ROWS, True, "NoneType"]
    left = [path.name for path in (cache / "index").iterdir()]
    assert [name for name in left if not name.endswith(".lock")] == []


def mounts():
    """Whether a file system can be mounted for a process alone."""
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def mounted(folder, options):
    script = 'mount -t tmpfs -o "$0" tmpfs "$1" && shift && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, options, str(folder)]


@LINUX
@pytest.mark.parametrize("options", ["size=4k", "ro"])
def test_a_cache_on_a_full_or_read_only_disk(options, data, tmp_path):
    if not shutil.which("unshare") or not mounts():
        pytest.skip("no file system can be mounted here")
    cache = tmp_path / "cache"
    cache.mkdir()
    found = run(
        ONE_PASS,
        data / "data.jsonl",
        "planned",
        prefix=mounted(cache, options),
        FAST_AXOLOTL_CACHE=cache,
    )
    assert found[:3] == [ROWS, True, "NoneType"]


@LINUX
@HOW
@pytest.mark.parametrize("real", [True, False], ids=["full", "preloaded"])
def test_no_room_to_decompress(real, how, shim, data, tmp_path):
    """Parquet inside gzip goes to a temporary file first."""
    if real and (not shutil.which("unshare") or not mounts()):
        pytest.skip("no file system can be mounted here")
    arguments = (data / "data.parquet.gz", how)
    variables = {"TMPDIR": tmp_path, "FAST_AXOLOTL_CACHE": tmp_path / "cache"}
    if real:
        prefix = mounted(tmp_path, "size=64k")
        found = run(ONE_PASS, *arguments, prefix=prefix, **variables)
    else:
        fault = f"write {errno.ENOSPC} 0 {ALWAYS};"
        found = with_faults(shim, tmp_path, fault, ONE_PASS, *arguments, **variables)
    count, _, kind, number, text = found
    assert (count, kind, number) == (0, "OSError", errno.ENOSPC)
    assert f"{tmp_path}/fast_axolotl-" in text
    assert "data.parquet.gz' is decompressed to; TMPDIR names another folder" in text
    assert list(tmp_path.glob("fast_axolotl-*")) == []
