# SPDX-License-Identifier: Apache-2.0
"""Limits: what asks for too much is refused early, with little memory, and by name."""

import gzip
import io
import json
import os
import pickle
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fast_axolotl
from fast_axolotl import StreamingDataset, count_rows, streaming_dataset_reader
from fast_axolotl.cli import main

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


# --- the argument ---------------------------------------------------------------------


NAMES = [
    "row_bytes",
    "json_depth",
    "expansion",
    "decoded_bytes",
    "columns",
    "metadata_bytes",
]


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n')
    return path


@pytest.mark.parametrize(
    "entry",
    [
        streaming_dataset_reader,
        StreamingDataset,
        fast_axolotl.create_streaming_dataset,
        count_rows,
        fast_axolotl.build_index,
        fast_axolotl.validate,
    ],
)
def test_every_door_checks_limits(small, entry):
    with pytest.raises(ValueError, match="unknown limit 'rows'.*" + ".*".join(NAMES)):
        entry(small, limits={"rows": 1})
    for value in (0, -1, 2**64):
        with pytest.raises(ValueError, match=r"limits\['columns'\] must be from 1 to"):
            entry(small, limits={"columns": value})
    for value in (1.5, "1", True, None):
        with pytest.raises(TypeError, match=r"limits\['columns'\] must be an int"):
            entry(small, limits={"columns": value})
    with pytest.raises(TypeError, match="limits must map names to numbers"):
        entry(small, limits=[1])
    with pytest.raises(TypeError, match="limits must have str as keys"):
        entry(small, limits={1: 1})
    entry(small, limits=dict.fromkeys(NAMES, 1000))


def test_depth_cannot_be_raised_beyond_what_the_stack_holds(small):
    with pytest.raises(ValueError, match="from 1 to 1024, not 1025"):
        read(small, {"json_depth": 1025})


def test_limits_are_pickled_and_are_no_part_of_a_state(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n' * 8 + '{"a":"' + "x" * 200 + '"}\n')
    strict = StreamingDataset(path, 4, limits={"row_bytes": 100})
    with pytest.raises(OSError, match="row_bytes"):
        list(pickle.loads(pickle.dumps(strict)))
    iterator = iter(strict)
    next(iterator)
    loose = StreamingDataset(path, 4)
    loose.load_state_dict(strict.state_dict())
    assert [len(batch["a"]) for batch in loose] == [4, 1]


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":"' + "x" * 200 + '"}\n')
    assert main(["head", str(path), "--limit", "row_bytes=1000"]) == 0
    capsys.readouterr()
    assert main(["head", str(path), "--limit", "row_bytes=100"]) == 1
    error = capsys.readouterr().err
    assert "the limit is 100" in error
    assert "--limit row_bytes=..." in error
    for wrong in ("rows=1", "row_bytes", "row_bytes=0", "row_bytes=x", "columns=1.5"):
        with pytest.raises(SystemExit):
            main(["head", str(path), "--limit", wrong])
        assert "row_bytes" in capsys.readouterr().err or wrong == "columns=1.5"


# --- rows -----------------------------------------------------------------------------


ROWS = {
    "jsonl": ('{"a":"', '"}\n', 8),
    "csv": ("", "\n", 0),
    "txt": ("", "\n", 0),
}


@pytest.mark.parametrize("format", ROWS)
@pytest.mark.parametrize("size", [100, 100_000, 3_000_000])
def test_a_row_of_the_limit_is_read_and_a_longer_one_is_not(tmp_path, format, size):
    before, after, around = ROWS[format]
    path = tmp_path / f"a.{format}"
    long = "x" * (size - around)
    rows = [before + "y" + after] * 3 + [before + long + after] + [before + "z" + after]
    path.write_text(("a\n" if format == "csv" else "") + "".join(rows))
    expected = [("y",)] * 3 + [(long,), ("z",)]
    assert read(path, {"row_bytes": size}) == expected
    good, error = refused(path, {"row_bytes": size - 1})
    assert good == expected[:3]
    assert f"{size - 1}" in error
    assert 'limits={"row_bytes": ...}' in error


@pytest.mark.parametrize("format", ROWS)
def test_long_rows_are_left_out_where_bad_rows_are(tmp_path, format):
    before, after, around = ROWS[format]
    path = tmp_path / f"a.{format}"
    texts = ["y", "x" * (100 - around), "x" * (101 - around), "z"] * 3
    rows = [before + text + after for text in texts]
    path.write_text(("a\n" if format == "csv" else "") + "".join(rows))
    bad = []
    good = read(path, {"row_bytes": 100}, on_error=bad.append)
    assert [text for (text,) in good] == [t for t in texts if len(t) <= 100 - around]
    assert len(bad) == 3
    assert all('limits={"row_bytes": ...}' in row.reason for row in bad)


def test_rows_left_out_under_other_limits_are_there_under_these(tmp_path, monkeypatch):
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jsonl"
    path.write_text(('{"a":"' + "x" * 200 + '"}\n{"a":"y"}\n') * 3)
    strict = {"row_bytes": 100}
    assert len(fast_axolotl.validate(path, index=True, limits=strict)) == 3
    for limits, rows in ((strict, 3), (None, 6)):
        data = StreamingDataset(path, 10, shuffle=True, limits=limits)
        assert sum(len(batch["a"]) for batch in data) == rows


def test_rows_that_are_too_deep_are_left_out_where_bad_rows_are(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text((nested(5) + nested(4)) * 3)
    bad = []
    assert len(read(path, {"json_depth": 4}, on_error=bad.append)) == 3
    assert [row.row for row in bad] == [1, 3, 5]


def test_a_json_array_has_rows_of_bounded_length(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a": "y"}, {"a": "x" * 992}]))
    assert len(read(path, {"row_bytes": 1002})) == 2
    good, error = refused(path, {"row_bytes": 900})
    assert good == [("y",)]
    assert "row_bytes" in error


def test_a_file_without_row_ends_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        for _ in range(400):
            file.write(b"x" * MIB)
    rows, error, peak, _ = measure(path, limits={"row_bytes": 64 * MIB})
    assert rows == 0
    assert "longer than the limit of 67108864 bytes" in error
    assert peak < 300


# --- depth ----------------------------------------------------------------------------


def nested(depth):
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}\n"


@pytest.mark.parametrize("depth", [2, 3, 100, 1024])
def test_depth(tmp_path, depth):
    path = tmp_path / "a.jsonl"
    path.write_text(nested(depth))
    assert len(read(path, {"json_depth": depth})) == 1
    good, error = refused(path, {"json_depth": depth - 1})
    assert not good
    assert f"fewer levels of nesting: the limit is {depth - 1}" in error
    assert 'limits={"json_depth": ...}' in error


def test_depth_by_default(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(nested(1024))
    assert len(read(path)) == 1
    path.write_text('{"a":1}\n' + nested(1025))
    good, error = refused(path)
    assert good == [(1,)]
    assert "the limit is 1024" in error
    # There is no way to raise it.
    assert "limits=" not in error
    path.write_text('{"a":' + "[" * 1_000_000 + "]" * 1_000_000 + "}\n")
    assert "the limit is 1024" in refused(path)[1]


def test_depth_of_columns_that_are_not_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"b":1}\n{"b":1,' + nested(40)[1:])
    good, error = refused(path, {"json_depth": 30}, columns=["b"])
    assert good == [(1,)]
    assert "json_depth" in error


# --- decompression --------------------------------------------------------------------


@pytest.fixture(scope="module")
def zeros():
    return gzip_zeros(1024)


@pytest.mark.parametrize("suffix", ["txt", "parquet", "arrow", "feather"])
def test_a_gigabyte_of_zeros_in_gzip_is_refused(tmp_path, zeros, suffix):
    path = tmp_path / f"a.{suffix}.gz"
    path.write_bytes(zeros)
    rows, error, peak, seconds = measure(path)
    assert rows == 0
    assert str(path) in error
    if suffix in ("txt", "parquet"):
        assert "more than 1000 times its size" in error
        assert 'limits={"expansion": ...}' in error
    assert peak < 400
    assert seconds < 20


def test_a_bomb_of_rows_in_zstd_gives_the_rows_before(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstd(b'{"a":1}\n' * 40_000_000))
    rows, error, peak, seconds = measure(path)
    # 64 MiB are free.
    assert 64 * MIB // 8 <= rows < 80 * MIB // 8
    assert "zstd" in error
    assert "expansion" in error
    assert peak < 400
    assert seconds < 20
    rows, error, peak, _ = measure(path, limits={"expansion": 100_000})
    assert (rows, error) == (40_000_000, None)
    assert peak < 400


def test_a_bomb_ends_its_file_where_bad_rows_are_left_out(tmp_path):
    # Frames behind it are no reason to go on: each could be as large.
    bomb = zstd(b'{"a":1}\n' * 10_000_000)
    (tmp_path / "a.jsonl.zst").write_bytes(bomb * 10)
    (tmp_path / "b.jsonl").write_text('{"a":2}\n')
    bad, rows, last = [], 0, None
    with streaming_dataset_reader(tmp_path, 100_000, on_error=bad.append) as reader:
        for batch in reader:
            rows += len(batch["a"])
            last = batch["a"][-1]
    assert rows < 20_000_000
    assert last == 2
    assert len(bad) == 1
    assert bad[0].rows is None
    assert 'limits={"expansion": ...}' in bad[0].reason


def test_what_compresses_well_is_no_bomb(tmp_path):
    # 70 MB of one row again and again, about 300 to 1 in gzip.
    path = tmp_path / "a.jsonl.gz"
    row = json.dumps({"input_ids": list(range(200)), "labels": [-100] * 200}) + "\n"
    path.write_bytes(gzip.compress(row.encode() * (70 * MIB // len(row))))
    assert path.stat().st_size * 100 < 70 * MIB
    assert count_rows(path) == 70 * MIB // len(row)


def test_the_ratio_can_be_lowered(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a line of text\n" * 6_000_000, 1))
    limits = {"expansion": 1}
    assert "more than 1 times its size" in refused(path, limits)[1]
    for count in (count_rows, fast_axolotl.build_index):
        with pytest.raises(OSError, match="expansion"):
            count(path, limits=limits)


@pytest.mark.parametrize("codec", ["gz", "zst"])
def test_decoded_bytes(tmp_path, codec):
    path = tmp_path / f"a.txt.{codec}"
    data = b"0123456789\n" * 100_000
    path.write_bytes(gzip.compress(data) if codec == "gz" else zstd(data))
    assert len(read(path, {"decoded_bytes": len(data)})) == 100_000
    good, error = refused(path, {"decoded_bytes": len(data) - 1})
    assert len(good) <= 100_000
    assert f"more than the limit of {len(data) - 1} bytes" in error
    assert 'limits={"decoded_bytes": ...}' in error


def test_a_temporary_file_is_bounded(tmp_path):
    table = pa.table({"a": range(1000)})
    path = tmp_path / "a.parquet.zst"
    path.write_bytes(zstd(parquet(table)))
    size = len(parquet(table))
    assert len(read(path, {"decoded_bytes": size})) == 1000
    assert "decoded_bytes" in refused(path, {"decoded_bytes": size - 1})[1]


def test_a_zstd_frame_with_a_window_of_two_gigabytes(tmp_path):
    # Magic, a descriptor without flags, the largest window; then a block of nothing.
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00")
    error = refused(path)[1]
    assert "looks back farther than 128 MiB" in error
    assert "--long=27" in error


# --- inside of Parquet and Arrow ------------------------------------------------------


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def with_page_sizes(data, size):
    """A Parquet file whose first page claims to be of that size."""
    # A page header begins with its type and its two sizes, three integers of Thrift.
    assert data[4:6] == b"\x15\x00"
    at = 6
    for _ in range(2):
        assert data[at] == 0x15
        at += 1
        while data[at] & 128:
            at += 1
        at += 1
    return data[:6] + (b"\x15" + varint(2 * size)) * 2 + data[at:]


@pytest.mark.parametrize("values", [range(1000), [[i] for i in range(1000)]])
def test_a_page_header_cannot_ask_for_any_amount(tmp_path, values):
    path = tmp_path / "a.parquet"
    data = parquet(
        pa.table({"a": values}),
        use_dictionary=False,
        compression="none",
        write_statistics=False,
    )
    path.write_bytes(with_page_sizes(data, 2_147_483_600))
    rows, error, peak, seconds = measure(path)
    assert rows == 0
    assert "row group 0" in error
    assert "a page asks for 2147483" in error
    assert peak < 300
    assert seconds < 20


def test_a_page_of_zeros_is_refused(tmp_path):
    # One page of a gigabyte.
    path = tmp_path / "a.parquet"
    path.write_bytes(
        parquet(
            pa.table({"a": pa.array([bytes(1 << 30)])}),
            use_dictionary=False,
            compression="zstd",
            write_statistics=False,
        )
    )
    assert path.stat().st_size < MIB
    rows, error, peak, seconds = measure(path)
    assert rows == 0
    assert 'limits={"expansion": ...}' in error
    assert peak < 300
    assert seconds < 20


def test_a_row_of_one_value_a_billion_times(tmp_path):
    # Runs take no room in the file, and no page is large.
    values = pa.DictionaryArray.from_arrays(
        pa.array([0] * 20_000_000, pa.int32()), pa.array([7], pa.int64())
    )
    rows = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), values)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": rows}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    limits = {"row_bytes": 100 * MIB}
    got, error, peak, _ = measure(path, limits=limits, output="arrow")
    assert got == 0
    assert "the limit of a row is 104857600" in error
    assert 'limits={"row_bytes": ...}' in error
    assert peak < 300


def test_a_constant_column_of_many_rows_takes_little_memory(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"a": pa.array(["y" * 1000] * 2_000_000)})
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < MIB
    rows, error, peak, _ = measure(path)
    assert (rows, error) == (2_000_000, None)
    assert peak < 400


@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_record_batch_of_zeros_is_refused(tmp_path, make):
    path = tmp_path / "a.arrow"
    table = pa.table({"a": pa.array([bytes(1 << 30)], pa.large_binary())})
    path.write_bytes(ipc(table, make, "zstd"))
    assert path.stat().st_size < MIB
    rows, error, peak, seconds = measure(path)
    assert rows == 0
    assert "record batch 0" in error
    assert "more than 1000 times its size" in error
    assert 'limits={"expansion": ...}' in error
    assert peak < 300
    assert seconds < 20
    rows, error, _, _ = measure(path, limits={"expansion": 100_000}, output="arrow")
    assert (rows, error) == (1, None)


# --- columns --------------------------------------------------------------------------


def columns_of(count):
    return [f"k{i}" for i in range(count)]


def of_columns(format, count):
    names = columns_of(count)
    if format == "csv":
        return (",".join(names) + "\n" + ",".join("1" * count) + "\n").encode()
    if format == "jsonl":
        return json.dumps(dict.fromkeys(names, 1)).encode() + b"\n"
    table = pa.table({name: [1] for name in names})
    if format == "parquet":
        return parquet(table)
    return ipc(table, pa.ipc.new_stream if format == "stream" else pa.ipc.new_file)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "arrow", "stream"])
@pytest.mark.parametrize("count", [3, 10_000])
def test_columns(tmp_path, format, count):
    path = tmp_path / f"a.{format.replace('stream', 'arrow')}"
    limits = {"columns": count} if count == 3 else None
    path.write_bytes(of_columns(format, count))
    assert len(read(path, limits)[0]) == count
    path.write_bytes(of_columns(format, count + 1))
    error = refused(path, limits)[1]
    assert f"limit is {count}" in error
    assert 'limits={"columns": ...}' in error


def test_columns_are_counted_over_all_files(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.jsonl").write_text(json.dumps({f"k{i}": 1}) + "\n")
    assert len(read(tmp_path, {"columns": 3})) == 3
    with pytest.raises(OSError, match="3 columns, the limit is 2"):
        read(tmp_path, {"columns": 2})


def test_nested_columns_count(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"a": [dict.fromkeys(columns_of(20), 1)]})
    for data in (ipc(table), parquet(table)):
        path.write_bytes(data)
        assert len(read(path, {"columns": 20})) == 1
        assert "20 columns" in refused(path, {"columns": 19})[1]


def test_a_key_of_its_own_in_every_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"k%d":1}\n' % i for i in range(1_000_000)))
    rows, error, peak, seconds = measure(path)
    assert 3000 < rows < 10_000
    assert "fewer different keys" in error
    assert 'limits={"columns": ...}' in error
    assert peak < 1500
    assert seconds < 60


def test_many_rows_of_few_columns_are_no_matter_of_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1,"b":2}\n' * 200_000)
    assert len(read(path, {"columns": 2})) == 200_000


# --- metadata -------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["parquet", "arrow", "stream"])
def test_metadata(tmp_path, format):
    table = pa.table({"a": [1]}).replace_schema_metadata({"note": "x" * 100_000})
    path = tmp_path / f"a.{format.replace('stream', 'arrow')}"
    make = {"arrow": pa.ipc.new_file, "stream": pa.ipc.new_stream}.get(format)
    path.write_bytes(ipc(table, make) if make else parquet(table))
    assert read(path, {"metadata_bytes": 300_000}) == [(1,)]
    error = refused(path, {"metadata_bytes": 100_000})[1]
    assert "the limit is 100000" in error
    assert 'limits={"metadata_bytes": ...}' in error


def test_a_footer_of_a_hundred_megabytes_is_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    length = 100 * MIB
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.truncate(4 + length)
        file.seek(4 + length)
        file.write(length.to_bytes(4, "little") + b"PAR1")
    _, error, peak, _ = measure(path)
    assert "the metadata take 104857600 bytes, the limit is 33554432" in error
    assert peak < 100


# --- open files -----------------------------------------------------------------------

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
