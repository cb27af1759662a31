# SPDX-License-Identifier: Apache-2.0
"""Nulls in arrays: NaN among floats, and elsewhere an error in its place."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from outputs import (
    ARRAYS,
    column_of,
    until_error,
    values_of,
    write_ipc,
    write_lines,
)

from fast_axolotl import StreamingDataset, streaming_dataset_reader


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_null_among_floats_is_nan(kind, output, tmp_path):
    column = pa.array([1.5, None, 2.5], kind)
    path = write_ipc(
        tmp_path / "x.arrow", pa.table({"x": column, "y": [[None, 1.0]] * 3})
    )
    (batch,) = streaming_dataset_reader(path, output=output)
    assert repr(batch["x"].tolist()) == "[1.5, nan, 2.5]"
    assert str(batch["x"].dtype).endswith(kind)
    assert repr(batch["y"][2].tolist()) == "[nan, 1.0]"


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, None, 5],
        [True, False, True, None],
        [[1], [2, 3], [], [4, None], [5]],
        [[True], None, [False], [None]],
    ],
    ids=["ints", "bools", "lists of ints", "lists of bools"],
)
def test_a_null_that_has_no_value_is_an_error(
    values, num_threads, batch_size, output, tmp_path
):
    """The rows before it come first; it names the place and the ways out."""
    path = write_lines(tmp_path / "x.jsonl", [{"x": value, "i": 0} for value in values])
    batches, error = until_error(path, batch_size, output, num_threads=num_threads)
    assert [v for b in batches for v in values_of(b)["x"]] == values[:3]
    assert f'{path}: row 4, column "x": null' in error
    assert 'output="arrow"' in error
    assert ("schema=" in error) == ("rue" not in str(values))


def test_the_first_of_several_misfits_is_told(tmp_path):
    rows = [{"a": 1, "b": 1}] * 3 + [{"a": 1, "b": None}, {"a": None, "b": 1}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    batches, error = until_error(path)
    assert len(batches[0]["a"]) == 3
    assert 'row 4, column "b"' in error


@pytest.mark.parametrize("kind", ["float64", "float32", pa.float16()])
def test_the_ways_out_of_a_null(kind, tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"x": 1}, {"x": None}])
    (array,) = column_of(path, schema={"x": kind})
    assert repr(array.tolist()) == "[1.0, nan]"
    assert column_of(path, output="python") == [[1, None]]
    assert column_of(path, output="arrow")[0].to_pylist() == [1, None]


def test_a_null_far_behind_in_the_second_file(tmp_path):
    good = tmp_path / "1.parquet"
    bad = tmp_path / "2.parquet"
    pq.write_table(pa.table({"x": range(5000)}), good, row_group_size=700)
    pq.write_table(
        pa.table({"x": [None if i == 3333 else i for i in range(5000)]}),
        bad,
        row_group_size=700,
    )
    for threads in (1, 4):
        batches, error = until_error([good, bad], 600, num_threads=threads)
        assert sum(len(batch["x"]) for batch in batches) == 8333
        assert f'{bad}: row 3334, column "x": null' in error


def test_a_shuffled_batch_with_a_null_comes_not_at_all(tmp_path):
    """A planned batch keeps its rows' places: batches before it come whole."""
    path = write_lines(
        tmp_path / "x.jsonl", [{"x": None if i == 40 else i} for i in range(100)]
    )
    rows = StreamingDataset(path, 10, shuffle=True, output="python")
    (bad,) = (j for j, batch in enumerate(rows) if None in batch["x"])
    iterator = iter(StreamingDataset(path, 10, shuffle=True, output="numpy"))
    for _ in range(bad):
        assert len(next(iterator)["x"]) == 10
    for _ in range(3):
        with pytest.raises(OSError, match=r'row 41, column "x": null'):
            next(iterator)


@pytest.mark.parametrize("output", ["python", *ARRAYS, "arrow"])
@pytest.mark.parametrize("transform", [None, lambda b: b], ids=["plain", "transform"])
def test_an_error_in_the_last_batch_that_counts_is_no_end(output, transform, tmp_path):
    """The rows before it make a short batch, and what comes behind it is the error."""
    path = tmp_path / "x.jsonl"
    lines = ['{"x": 1}'] * 27
    lines[25] = '{"x": oops}'
    path.write_text("\n".join(lines))
    for dataset, before in (
        (
            StreamingDataset(path, 10, output=output, transform=transform).take(3),
            [10, 10, 5],
        ),
        (StreamingDataset(path, 26, output=output, transform=transform).take(1), [25]),
        (
            StreamingDataset(path, 10, output=output, transform=transform).take(2),
            [10, 10],
        ),
    ):
        batches = iter(dataset)
        assert [len(next(batches)["x"]) for _ in before] == before
        if sum(before) < 25:
            with pytest.raises(StopIteration):
                next(batches)
            continue
        for _ in range(3):
            with pytest.raises(OSError, match="line 26"):
                next(batches)


@pytest.mark.parametrize("output", ["numpy", "python"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_error_in_the_last_batch_of_a_plan_is_no_end(output, shuffle, tmp_path):
    """Shuffled it comes whole or not at all, else with the rows before the error."""
    never = dt.timedelta.max // dt.timedelta(days=1) * 2
    days = [0 if i != 18 else never for i in range(20)]
    table = {
        "x": [1 if i != 18 else None for i in range(20)],
        "d": pa.array(days, "date32"),
    }
    column = "x" if output == "numpy" else "d"
    path = write_ipc(tmp_path / "x.arrow", pa.table(table), rows=5)
    dataset = StreamingDataset(
        path, 20, [column], output=output, shuffle=shuffle, num_lanes=2
    )
    batches = iter(dataset)
    if not shuffle:
        assert len(next(batches)[column]) == 18
    for _ in range(3):
        with pytest.raises(OSError, match=f'row 19, column "{column}"'):
            next(batches)
