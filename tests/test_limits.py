# SPDX-License-Identifier: Apache-2.0
"""Limits: what asks for too much is refused early, with little memory, and by name."""

import json
import pickle

import pyarrow as pa
import pytest
from hostile import MIB, ipc, measure, parquet, read, refused

import fast_axolotl
from fast_axolotl import StreamingDataset, count_rows, streaming_dataset_reader
from fast_axolotl.cli import main

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
