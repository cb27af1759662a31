# SPDX-License-Identifier: Apache-2.0
"""Readers and datasets as Arrow streams, and datasets with another output."""

from __future__ import annotations

import gc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from outputs import (
    ARRAYS,
    kinds_of,
    read_arrow,
    values_of,
    write_lines,
)

from fast_axolotl import (
    PackOptions,
    StreamingDataset,
    mix,
    streaming_dataset_reader,
)

# --- streams ----------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "x.jsonl", [{"x": i, "y": str(i)} for i in range(100)])


def test_a_reader_is_a_stream(lines):
    reader = streaming_dataset_reader(lines, 30, output="arrow")
    assert next(reader).num_rows == 30
    stream = pa.RecordBatchReader.from_stream(reader)
    assert stream.schema == pa.schema([("x", pa.int64()), ("y", pa.string())])
    assert [batch.num_rows for batch in stream] == [30, 30, 10]
    assert reader.rows_read == 100


def test_a_stream_reads_as_it_is_asked(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": range(400_000)}), path, row_group_size=20_000)
    reader = streaming_dataset_reader(
        path, 1000, output="arrow", num_threads=1, read_ahead_bytes=1 << 18
    )
    stream = pa.RecordBatchReader.from_stream(reader)
    assert reader.rows_read == 0
    assert stream.read_next_batch()["x"][0].as_py() == 0
    assert reader.rows_read == 1000
    assert reader.bytes_read < path.stat().st_size / 2


def test_a_stream_casts_as_its_reader_asks(lines):
    wanted = pa.schema([("x", pa.float64()), ("y", pa.large_string())])
    dataset = StreamingDataset(lines)
    stream = pa.RecordBatchReader.from_stream(dataset, schema=wanted)
    assert stream.read_all().schema == wanted


@pytest.mark.parametrize("output", ["python", "arrow", *ARRAYS])
def test_a_dataset_is_a_stream_whatever_its_output(lines, output):
    dataset = StreamingDataset(lines, 30, shuffle=True, output=output)
    passes = [pa.table(dataset)["x"].to_pylist() for _ in range(2)]
    # A look at the epoch that is next, which it stays.
    again = StreamingDataset(lines, 30, shuffle=True)
    assert [[x for batch in again for x in batch["x"]]] * 2 == passes
    assert dataset.state_dict()["epoch"] == 0
    next(iter(dataset))
    state = dataset.state_dict()
    pa.table(dataset)
    assert dataset.state_dict() == state


def test_a_stream_of_a_pass(lines):
    """The rest of a pass that has begun, and that counts."""
    dataset = StreamingDataset(lines, 10, shuffle=True, output="arrow")
    batches = iter(dataset)
    first = [next(batches) for _ in range(3)]
    state = dataset.state_dict()
    assert state["batch"] == 3
    rest = pa.RecordBatchReader.from_stream(batches).read_all()
    resumed = StreamingDataset(lines, 10, shuffle=True, output="arrow")
    resumed.load_state_dict(state)
    assert pa.Table.from_batches(list(resumed)).equals(rest)
    found = [x for part in (*first, rest) for x in part["x"].to_pylist()]
    assert sorted(found) == list(range(100))


def test_a_stream_passes_an_error_on(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"x": 1}\n{"x": 2}\n{"x": \n')
    for source in (
        StreamingDataset(path, 1),
        streaming_dataset_reader(path, 1, output="arrow"),
    ):
        stream = pa.RecordBatchReader.from_stream(source)
        assert [stream.read_next_batch()["x"][0].as_py() for _ in range(2)] == [1, 2]
        for _ in range(3):
            with pytest.raises(OSError, match=r"x\.jsonl: line 3, column 7"):
                stream.read_next_batch()


def test_a_stream_that_is_dropped_stops_the_reader(lines):
    dataset = StreamingDataset(lines, 10)
    stream = pa.RecordBatchReader.from_stream(dataset)
    stream.read_next_batch()
    del stream
    gc.collect()
    # A reader that is held ends itself.
    reader = streaming_dataset_reader(lines, 10, output="arrow")
    stream = pa.RecordBatchReader.from_stream(reader)
    stream.read_next_batch()
    reader.close()
    assert stream.read_all().num_rows == 0


def test_what_is_no_stream(lines):
    for output in ["python", *ARRAYS]:
        with (
            streaming_dataset_reader(lines, output=output) as reader,
            pytest.raises(TypeError, match='output="arrow"'),
        ):
            pa.RecordBatchReader.from_stream(reader)
    with (
        streaming_dataset_reader(lines, output="arrow", transform=len) as reader,
        pytest.raises(TypeError, match="transform="),
    ):
        pa.RecordBatchReader.from_stream(reader)
    ids = write_lines(lines.parent / "ids.jsonl", [{"input_ids": [1, 2]}])
    for dataset in (
        StreamingDataset(lines).map(len),
        StreamingDataset(lines, output="arrow", transform=len),
        StreamingDataset(ids, output="numpy", pad={"input_ids": 0}),
        StreamingDataset(ids, output="numpy", pack=PackOptions(8)),
    ):
        with pytest.raises(TypeError, match=r"map\(\), transform=, pad= and pack="):
            pa.RecordBatchReader.from_stream(dataset)
    mapped = iter(StreamingDataset(lines, output="arrow").map(len))
    with pytest.raises(TypeError, match=r"map\(\)"):
        pa.RecordBatchReader.from_stream(mapped)
    both = mix([StreamingDataset(lines, output="arrow")] * 2, [1, 1])
    with pytest.raises(TypeError, match="an Arrow stream is"):
        pa.RecordBatchReader.from_stream(iter(both))


def test_the_interface_of_a_batch(lines):
    (batch,) = read_arrow(lines)
    assert pa.record_batch(batch).equals(batch)
    assert pa.table(batch).num_rows == 100


# --- with_format ------------------------------------------------------------------------


def test_with_format(lines):
    dataset = StreamingDataset(lines, 10, shuffle=True, seed=3)
    want = [batch["x"] for batch in dataset]
    # It goes its own way from the epoch where the dataset is.
    assert [b["x"] for b in dataset.with_format("python")] == [b["x"] for b in dataset]
    dataset.set_epoch(0)
    for output in ["arrow", *ARRAYS, "python"]:
        other = dataset.with_format(output)
        assert other is not dataset
        got = list(other)
        assert [values_of(batch)["x"] for batch in got] == want
        assert len({str(kinds_of(batch)) for batch in got}) == 1
    assert [b["x"] for b in dataset] == want
    # Of variations.
    two = dataset.take(3).skip(1).with_format("arrow")
    two.set_epoch(0)
    assert [b["x"].to_pylist() for b in two] == want[1:3]
    (made,) = dataset.take(1).map(len).with_format("arrow")
    assert made == 10


def test_a_state_does_not_depend_on_the_format(lines):
    dataset = StreamingDataset(lines, 10, shuffle=True)
    batches = iter(dataset)
    next(batches)
    state = dataset.state_dict()
    rest = [batch["x"] for batch in batches]
    other = dataset.with_format("arrow")
    other.load_state_dict(state)
    assert [batch["x"].to_pylist() for batch in other] == rest


def test_with_format_checks_its_argument(lines):
    dataset = StreamingDataset(lines)
    with pytest.raises(ValueError, match="unknown output 'pandas'"):
        dataset.with_format("pandas")
    with pytest.raises(TypeError, match="NoneType"):
        dataset.with_format(None)
    ids = write_lines(lines.parent / "ids.jsonl", [{"input_ids": [1, 2]}])
    padded = StreamingDataset(ids, output="numpy", pad={"input_ids": 0})
    with pytest.raises(ValueError, match="pad makes tensors"):
        padded.with_format("arrow")
    if "torch" in ARRAYS:
        (batch,) = padded.with_format("torch")
        assert type(batch["input_ids"]).__name__ == "Tensor"


def test_the_workers_of_a_loader_hand_over_record_batches(tmp_path):
    if "torch" not in ARRAYS:
        pytest.skip("torch is not installed")
    path = write_lines(
        tmp_path / "x.jsonl", [{"x": i, "s": [str(i)]} for i in range(100)]
    )
    dataset = StreamingDataset(path, 10, output="arrow")
    loader = dataset.loader(num_workers=2, multiprocessing_context="fork")
    rows = [row for batch in loader for row in batch.to_pylist()]
    assert sorted(rows, key=lambda row: row["x"]) == [
        {"x": i, "s": [str(i)]} for i in range(100)
    ]
