# SPDX-License-Identifier: Apache-2.0
"""Files that ask for much, and what comes of reading them."""

import io
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fast_axolotl import streaming_dataset_reader

MIB = 1 << 20

# Reads a file and prints what came of it and the memory it took at most, in MiB.
MEASURE = """
import json, sys, time
import fast_axolotl

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) >> 10

before, start, rows, error = peak(), time.monotonic(), 0, None
try:
    options = eval(sys.argv[2])
    with fast_axolotl.streaming_dataset_reader(sys.argv[1], **options) as reader:
        for batch in reader:
            rows = reader.rows_read
except OSError as caught:
    error = str(caught)
print(json.dumps([rows, error, peak() - before, time.monotonic() - start]))
"""


def measure(path, **options):
    """Rows read, the error, MiB beyond those of the import, and seconds."""
    if not Path("/proc/self/status").exists():
        pytest.skip("peaks of memory are measured through /proc")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), repr(options)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout)


def read(path, limits=None, **options):
    """All rows, as tuples."""
    rows = []
    with streaming_dataset_reader(path, limits=limits, **options) as reader:
        for batch in reader:
            rows += zip(*batch.values(), strict=True)
    return rows


def refused(path, limits=None, **options):
    """The rows before the error, and its text, which names the file."""
    rows, text = [], "no error"
    try:
        for batch in streaming_dataset_reader(path, limits=limits, **options):
            rows += zip(*batch.values(), strict=True)
    except OSError as error:
        text = str(error)
    assert str(path) in text
    return rows, text


def gzip_zeros(mib):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(mib)) + packer.flush()


def zstd(data):
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def ipc(table, make=pa.ipc.new_file, compression=None):
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with make(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()
