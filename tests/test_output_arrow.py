# SPDX-License-Identifier: Apache-2.0
"""Batches as Arrow record batches: of one schema, and in memory that lives on."""

from __future__ import annotations

import gc
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_cases import CASES, to_pylist
from arrow_cases import assert_same as assert_exactly_same
from formats import exact
from outputs import (
    ARRAYS,
    arrow_column,
    read_arrow,
    stable,
    until_error,
    values_of,
    write_ipc,
    write_lines,
)
from test_arrow_values import IN_PARQUET

from fast_axolotl import (
    StreamingDataset,
    streaming_dataset_reader,
)

# --- every type -------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True], ids=["plain", "shuffled"])
@pytest.mark.parametrize("batch_size", [1000, 3, 5])
@pytest.mark.parametrize("name", [name for name in CASES if name != "struct_odd_names"])
def test_every_type_comes_as_it_is(name, batch_size, shuffle, tmp_path):
    column = CASES[name]
    table = pa.table({"x": column})
    path = write_ipc(tmp_path / "x.arrow", table)
    options = {"shuffle": True, "seed": 5} if shuffle else {}
    lists = list(StreamingDataset(path, batch_size, output="python", **options))
    batches = list(StreamingDataset(path, batch_size, output="arrow", **options))
    assert len(batches) == len(lists)
    for batch, wanted in zip(batches, lists, strict=True):
        batch.validate(full=True)
        assert batch.schema == pa.schema([("x", stable(column.type))])
        assert_exactly_same(to_pylist(batch["x"]), wanted["x"], name)


@pytest.mark.parametrize("batch_size", [1000, 3])
@pytest.mark.parametrize("name", [n for n in IN_PARQUET if n != "struct_odd_names"])
def test_every_type_of_parquet(name, batch_size, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": CASES[name]}), path, row_group_size=1000)
    lists = list(streaming_dataset_reader(path, batch_size))
    batches = read_arrow(path, batch_size)
    for batch, wanted in zip(batches, lists, strict=True):
        batch.validate(full=True)
        assert batch["x"].type == stable(pq.read_schema(path).field("x").type)
        assert_exactly_same(to_pylist(batch["x"]), wanted["x"], name)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=repr)
def test_names_that_arrow_cannot_hand_over(name, tmp_path):
    """It has zero-terminated UTF-8 only; said at once, and not with a name cut short."""
    path = write_lines(tmp_path / "x.jsonl", [{"x": 1, name: 1}])
    with pytest.raises(ValueError, match="zero byte"):
        read_arrow(path)
    with pytest.raises(ValueError, match="zero byte"):
        pa.schema(StreamingDataset(path)._open())
    assert read_arrow(path, columns=["x"])[0].to_pylist() == [{"x": 1}]
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": CASES["struct_odd_names"]}))
    with pytest.raises(ValueError, match='column "x" has a name, or names in it'):
        read_arrow(path)


def test_values_that_python_does_not_have(tmp_path):
    """Python's error names this output, which has them."""
    values = pa.array([0, 1001, None], pa.timestamp("ns"))
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": values}))
    for output in ["python", *ARRAYS]:
        with (
            streaming_dataset_reader(path, output=output) as reader,
            pytest.raises(OSError, match=r'row 2, column "x".*schema=.*output="arrow"'),
        ):
            for _ in reader:
                pass
    assert arrow_column(path).chunk(0).equals(values)


def test_an_extension_type_of_pythons_own(tmp_path):
    """Several files with it keep it; with another one it is no common type."""

    class Celsius(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.float64(), "test.celsius")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            return cls()

    column = pa.ExtensionArray.from_storage(Celsius(), pa.array([20.5, 21.0]))
    for name in "ab":
        write_ipc(tmp_path / f"{name}.arrow", pa.table({"x": column}))
    # Unknown to Arrow, what is told of it stands with the field and comes along.
    (batch,) = read_arrow(tmp_path)
    assert batch.schema.field("x").metadata[b"ARROW:extension:name"] == b"test.celsius"
    assert batch["x"].to_pylist() == [20.5, 21.0] * 2
    write_ipc(tmp_path / "c.arrow", pa.table({"x": [1.0]}))
    (batch,) = read_arrow(tmp_path)
    assert batch.schema.field("x").metadata is None
    pa.register_extension_type(Celsius())
    try:
        (batch,) = read_arrow([tmp_path / "a.arrow", tmp_path / "b.arrow"])
        assert batch["x"].type == Celsius()
        assert batch["x"].storage.to_pylist() == [20.5, 21.0] * 2
        for array in ARRAYS:
            (batch,) = streaming_dataset_reader(tmp_path / "a.arrow", output=array)
            assert batch["x"].tolist() == [20.5, 21.0]
    finally:
        pa.unregister_extension_type("test.celsius")


def test_json_columns_are_arrow_json(tmp_path):
    rows = [
        {"x": {"b": 1, "a": [None, 1.0, True]}},
        {"x": None},
        {"x": 'q"\\\né\ud800'},
        {"x": 10**30},
        {},
    ]
    path = write_lines(tmp_path / "x.jsonl", rows)
    (batch,) = read_arrow(path)
    assert batch.schema == pa.schema([("x", pa.json_())])
    assert exact(values_of(batch)["x"]) == exact([row.get("x") for row in rows])


# --- shapes -----------------------------------------------------------------------------


def test_batches_without_rows_or_columns(tmp_path):
    empty = pa.table({"x": pa.array([], pa.int32())})
    write_ipc(tmp_path / "0.arrow", empty)
    assert read_arrow(tmp_path / "0.arrow") == []
    stream = pa.RecordBatchReader.from_stream(StreamingDataset(tmp_path / "0.arrow"))
    assert stream.read_all().equals(empty)
    (tmp_path / "e.jsonl").write_text("{}\n{}\n{}\n")
    batches = read_arrow(tmp_path / "e.jsonl", 2)
    assert [(batch.num_rows, batch.num_columns) for batch in batches] == [(2, 0), (1, 0)]
    rows = pa.record_batch([pa.array([1, 2])], names=["x"]).select([])
    with pa.ipc.new_file(tmp_path / "n.arrow", rows.schema) as writer:
        writer.write_batch(rows)
    assert [batch.num_columns for batch in read_arrow(tmp_path / "n.arrow")] in ([], [0])


def test_columns_and_their_order(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"a": 1, "b": "x", "c": [1.5]}] * 3)
    (batch,) = read_arrow(path, columns=["c", "a"])
    assert batch.schema == pa.schema([("c", pa.list_(pa.float64())), ("a", pa.int64())])
    (batch,) = read_arrow(path, columns=["a"], schema={"a": "int8", "z": "string"})
    assert batch.schema == pa.schema([("a", pa.int8())])
    (batch,) = read_arrow(path, schema={"z": "string", "a": pa.float32()})
    assert batch.schema.names == ["a", "b", "c", "z"]
    assert batch["z"].null_count == 3
    assert batch["a"].type == pa.float32()


def test_a_field_that_the_files_call_never_null(tmp_path):
    """Another file lacks it, so the one schema cannot."""
    kind = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    write_ipc(tmp_path / "1.arrow", pa.table({"x": [1]}, schema=kind))
    write_ipc(tmp_path / "2.arrow", pa.table({"y": [1]}))
    (batch,) = read_arrow(tmp_path)
    batch.validate(full=True)
    assert batch.schema.field("x").nullable
    assert batch["x"].to_pylist() == [1, None]
    (batch,) = read_arrow(tmp_path, schema=kind)
    batch.validate(full=True)


def test_fixed_size_lists_by_the_callers_type(tmp_path):
    rows = [{"x": [1, 2.5]}, {"x": None}, {"x": [3, 4]}, {"x": [1]}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    batches, error = until_error(
        path, schema={"x": pa.list_(pa.float32(), 2)}, output="arrow"
    )
    assert batches[0]["x"].type == pa.list_(pa.float32(), 2)
    batches[0].validate(full=True)
    assert batches[0]["x"].to_pylist() == [[1.0, 2.5], None, [3.0, 4.0]]
    assert "line 4" in error


# --- memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl"])
def test_record_batches_outlive_all_that_they_came_from(suffix, tmp_path):
    path = tmp_path / f"data{suffix}"
    count = 3000
    table = pa.table(
        {
            "int": range(count),
            "list": [[i, i + 1] for i in range(count)],
            "text": [f"text {i}" for i in range(count)],
            "bool": [i % 2 == 0 for i in range(count)],
        }
    )
    other = tmp_path / f"other{suffix}"
    for where, rows in ((path, table), (other, table.take(list(range(count))[::-1]))):
        if suffix == ".parquet":
            pq.write_table(rows, where, row_group_size=500)
        elif suffix == ".arrow":
            write_ipc(where, rows, rows=500)
        else:
            write_lines(where, rows.to_pylist())
    dataset = StreamingDataset(path, 128, output="arrow")
    reader = iter(dataset)
    batches = list(reader)
    slices = [batch["text"].slice(3, 2) for batch in batches]
    reader.close()
    del reader, dataset
    path.unlink()
    for _ in range(3):
        for _ in streaming_dataset_reader(other, 100, output="arrow"):
            pass
    junk = [bytearray(b"\xee" * (1 << 16)) for _ in range(64)]
    del junk
    gc.collect()
    assert pa.Table.from_batches(batches).to_pydict() == table.to_pydict()
    del batches
    gc.collect()
    for _ in streaming_dataset_reader(other, 100, output="arrow"):
        pass
    texts = [text for part in slices for text in part.to_pylist()]
    assert texts == [
        f"text {i + k}" for i in range(0, count, 128) for k in (3, 4) if i + k < count
    ]


def test_nothing_of_arrow_is_left_when_the_batches_are_gone(tmp_path):
    pq.write_table(pa.table({"x": range(200_000)}), tmp_path / "x.parquet")
    program = f"""
import gc
import pyarrow as pa
from fast_axolotl import streaming_dataset_reader
pools = [pa.default_memory_pool()]
if "jemalloc" in pa.supported_memory_backends():
    pools.append(pa.jemalloc_memory_pool())
def allocated():
    return sum({{pool.backend_name: pool.bytes_allocated() for pool in pools}}.values())
before = allocated()
batches = list(streaming_dataset_reader({str(tmp_path / "x.parquet")!r}, output="arrow"))
assert allocated() - before >= 1_600_000
del batches
gc.collect()
assert allocated() - before < 100_000, allocated()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
