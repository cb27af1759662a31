# SPDX-License-Identifier: Apache-2.0
"""System calls that fail: real ones where the machine allows, else preloaded ones.

fault_shim.c fails calls on the files of one folder. All is read through the package's own
door, by a process of its own.
"""

import errno
import gzip
import io
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import run

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


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, write in WRITERS.items():
        (folder / name).write_bytes(write())
    return folder


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
