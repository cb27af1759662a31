# SPDX-License-Identifier: Apache-2.0
"""Small files that become large: refused early, with little memory, and by name."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import MIB, gzip_zeros, ipc, measure, parquet, read, refused, zstd

import fast_axolotl
from fast_axolotl import count_rows, streaming_dataset_reader

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
