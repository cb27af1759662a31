# SPDX-License-Identifier: Apache-2.0
"""More files than a process may hold open are read all the same."""

import gzip
import json
import os
import resource
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import FORMATS, table
from hostile import parquet, read

# Does things with as few descriptors as it is told, and prints what came of it.
FEW = """
import json, os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
from fast_axolotl import StreamingDataset, count_rows, mix, streaming_dataset_reader
folder = sys.argv[2]
{}
"""


def with_few(limit, folder, code):
    done = subprocess.run(
        [sys.executable, "-c", FEW.format(code), str(limit), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for i in range(10_000):
        (folder / f"{i:05}.jsonl").write_text(f'{{"a":{i}}}\n')
    return folder


@pytest.mark.parametrize("limit", [256, 64, 32])
def test_ten_thousand_files_with_few_descriptors(many, limit):
    code = """
seen = [a for b in streaming_dataset_reader(folder, 1000, num_threads=8) for a in b["a"]]
data = StreamingDataset(folder, 100, shuffle=True, num_lanes=4, num_threads=8)
mixed = [a for b in data for a in b["a"]]
print(json.dumps([seen == list(range(10000)), sorted(mixed) == seen, count_rows(folder)]))
"""
    assert with_few(limit, many, code) == [True, True, 10_000]


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet", "arrow"])
def test_more_lanes_than_descriptors(tmp_path, format):
    """Each of 100 lanes is in the middle of a file."""
    for i in range(100):
        table = pa.table({"a": range(i * 4000, i * 4000 + 4000)})
        path = tmp_path / f"{i:03}.{format}"
        if format == "jsonl":
            path.write_text("".join(f'{{"a":{v}}}\n' for v in table["a"].to_pylist()))
        elif format == "csv":
            path.write_text("a\n" + "".join(f"{v}\n" for v in table["a"].to_pylist()))
        elif format == "parquet":
            pq.write_table(table, path, row_group_size=500)
        else:
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=500)
    code = """
data = [StreamingDataset(folder, 100, shuffle=shuffle, num_lanes=100, num_threads=8,
                         read_ahead_bytes=1000) for shuffle in (False, True)]
seen = [sorted(a for b in d for a in b["a"]) == list(range(400000)) for d in data]
both = sum(len(b["a"]) for b in mix(data, num_lanes=100, stop="all"))
print(json.dumps([seen, both >= 800000]))
"""
    assert with_few(64, tmp_path, code) == [[True, True], True]


def test_temporary_files_with_few_descriptors(tmp_path):
    for i in range(60):
        (tmp_path / f"{i:02}.parquet.gz").write_bytes(
            gzip.compress(parquet(pa.table({"a": range(i * 100, i * 100 + 100)})))
        )
    code = """
data = StreamingDataset(folder, 10, shuffle=True, num_lanes=2, num_threads=2)
print(json.dumps(sorted(a for b in data for a in b["a"]) == list(range(6000))))
"""
    assert with_few(64, tmp_path, code) is True


def test_a_file_that_was_replaced_while_its_descriptor_was_given_up(tmp_path):
    """With few descriptors a file is opened again: it must be the same one."""
    for i in range(40):
        (tmp_path / f"{i:02}.txt").write_text("".join(f"{i}\n" for _ in range(300_000)))
    code = """
from fast_axolotl import StreamingDataset
data = StreamingDataset(folder, 1000, num_lanes=40, num_threads=1, read_ahead_bytes=1)
iterator = iter(data)
for _ in range(40):
    next(iterator)
for i in range(40):
    path = f"{folder}/{i:02}.txt"
    text = open(path).read()
    os.rename(path, path + ".old")
    open(path, "w").write(text.replace(str(i), "9" * len(str(i))))
rows, error = [], None
try:
    for batch in iterator:
        rows += batch["text"]
except OSError as caught:
    error = str(caught)
print(json.dumps([error, "99" in rows or "9" in rows]))
"""
    error, _ = with_few(40, tmp_path, code)
    assert "was replaced while it was read" in error


def test_one_clear_error_where_there_are_no_descriptors_at_all(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n')
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        with pytest.raises(OSError, match="Too many open files") as caught:
            read(path)
        assert caught.value.filename == str(path)
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert read(path) == [(1,)]


EITHER = {
    "plain": "streaming_dataset_reader(folder, 10)",
    "shuffled": "StreamingDataset(folder, 10, shuffle=True)",
}


@pytest.mark.parametrize("how", EITHER)
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
    code = f'print(sum(len(batch["a"]) for batch in {EITHER[how]}))'
    assert with_few(256, tmp_path, code) == 900
