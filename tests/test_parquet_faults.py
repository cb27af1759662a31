# SPDX-License-Identifier: Apache-2.0
"""Damage in the middle of a Parquet row group: the rows before it come out.

How many these are is what pyarrow's own reader finds when it is asked for one row after
the other of each column.
"""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import read_rows, read_until_error

import fast_axolotl

ROWS = 4000


def some_table(rows=ROWS):
    rng = random.Random(1)
    lists = [[rng.randrange(1000) for _ in range(rng.randrange(9))] for _ in range(rows)]
    lists[::50] = [None] * len(lists[::50])
    return pa.table(
        {
            "id": range(rows),
            "text": [rng.randbytes(10).hex() for _ in range(rows)],
            "tokens": pa.array(lists, pa.list_(pa.int32())),
            "nested": [[[i], [i, i]] for i in range(rows)],
            "struct": [{"a": i, "b": [str(i)] * (i % 3)} for i in range(rows)],
            "flag": [i % 3 == 0 for i in range(rows)],
        }
    )


def write(path, table, **options):
    pq.write_table(
        table,
        path,
        **{
            "row_group_size": 1500,
            "data_page_size": 500,
            "write_batch_size": 50,
            "use_dictionary": ["text"],
            "write_page_checksum": True,
            **options,
        },
    )


def rows_of_pyarrow(path, column, row_group, step=1):
    """The rows of a column of a row group that can be read, and the error, if any."""
    file = pq.ParquetFile(path, page_checksum_verification=True)
    batches = file.iter_batches(step, row_groups=[row_group], columns=[column])
    rows = 0
    try:
        for _ in batches:
            rows += step
    except (OSError, pa.ArrowInvalid) as error:
        return rows, str(error)
    return rows, None


def chunk_of(path, column, row_group):
    """Where the data pages of a column's first leaf begin, and where they end."""
    metadata = pq.read_metadata(path).row_group(row_group)
    chunk = next(
        chunk
        for chunk in map(metadata.column, range(metadata.num_columns))
        if chunk.path_in_schema.split(".")[0] == column
    )
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    return chunk.data_page_offset, begin + chunk.total_compressed_size


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def damage(path, column, row_group, part):
    """Changes a byte of a page of a column, about at this part of them all."""
    begin, end = chunk_of(path, column, row_group)
    for at in range(begin + int((end - begin) * part), end):
        flip(path, at)
        _, error = rows_of_pyarrow(path, column, row_group)
        if error and "CRC" in error:
            return
        # That was in the header of a page.
        flip(path, at)
    pytest.fail("there is no page behind that place")


def good_rows(path, table, row_group):
    """How many rows of the file there are before the damage in that row group."""
    metadata = pq.read_metadata(path)
    before = sum(metadata.row_group(i).num_rows for i in range(row_group))
    return before + min(
        rows_of_pyarrow(path, name, row_group)[0] for name in table.column_names
    )


def ids_until_error(batches):
    """The ids that were given, and the error."""
    read = []
    try:
        for batch in batches:
            read += pa.array(batch["id"]).to_pylist()
    except OSError as error:
        return read, str(error)
    return read, None


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("column", some_table(1).column_names)
def test_rows_before_a_damaged_page(column, version, tmp_path):
    path = tmp_path / "data.parquet"
    table = some_table()
    expected = table.to_pylist()
    for row_group, part in [(0, 0.3), (1, 0.5), (2, 0.8)]:
        write(path, table, data_page_version=version)
        damage(path, column, row_group, part)
        good = good_rows(path, table, row_group)
        assert good > 1500 * row_group or column == "flag"
        rows, error = read_until_error(path, 100)
        assert len(rows) == good
        assert rows == expected[:good]
        assert path.name in str(error)
        place = f'row group {row_group}, column "{column}", after row {good} of the file'
        assert place in str(error)


@pytest.mark.parametrize("column", some_table(1).column_names)
def test_bytes_of_a_column_and_its_headers(column, tmp_path):
    """A page that is hidden by its damaged header moves no value to another row."""
    path = tmp_path / "data.parquet"
    table = some_table(600)
    expected = table.to_pylist()
    write(path, table)
    begin, end = chunk_of(path, column, 0)
    errors = 0
    places = range(begin, end)
    for at in random.Random(3).sample(places, min(80, len(places))):
        flip(path, at)
        rows, error = read_until_error(path, 100)
        assert rows == expected[: len(rows)], at
        assert error or len(rows) == 600, at
        errors += error is not None
        flip(path, at)
    assert errors > 20


@pytest.mark.parametrize("num_threads", [1, 4])
def test_two_damaged_columns(num_threads, tmp_path):
    """The one whose damage comes first is named, whichever is decoded first."""
    path = tmp_path / "data.parquet"
    table = some_table()
    write(path, table)
    damage(path, "id", 1, 0.9)
    damage(path, "tokens", 1, 0.5)
    good = good_rows(path, table, 1)
    rows, error = read_until_error(path, 10, num_threads=num_threads)
    assert len(rows) == good
    assert 'column "tokens"' in str(error)


def test_many_rows_at_a_time(tmp_path):
    """A batch of 65,536 rows with a fault in it; the whole pages before it are read."""
    path = tmp_path / "data.parquet"
    rows = 300_000
    table = pa.table({"id": range(rows), "other": [0.5] * rows})
    write(
        path,
        table,
        row_group_size=rows,
        use_dictionary=False,
        data_page_size=64 << 10,
        compression="none",
    )
    flip(path, chunk_of(path, "id", 0)[0] + rows * 8 * 6 // 10)
    # Pages are cut at multiples of 50 rows.
    good, _ = rows_of_pyarrow(path, "id", 0, step=50)
    assert 150_000 < good < 200_000
    read, error = ids_until_error(fast_axolotl.streaming_dataset_reader(path, 1000))
    assert read == list(range(good))
    assert f'column "id", after row {good} of the file' in error


def test_planned_reading_names_the_place(tmp_path):
    path = tmp_path / "data.parquet"
    write(path, some_table())
    damage(path, "text", 1, 0.5)
    read, error = ids_until_error(fast_axolotl.StreamingDataset(path, 10, num_lanes=1))
    assert read == list(range(len(read)))
    assert len(read) > 1500
    assert 'data.parquet: row group 1, column "text"' in error


def test_columns_that_are_not_wanted_may_be_damaged(tmp_path):
    path = tmp_path / "data.parquet"
    table = some_table()
    write(path, table)
    damage(path, "text", 1, 0.5)
    assert read_rows(path, columns=["id", "tokens"]) == [
        {"id": row["id"], "tokens": row["tokens"]} for row in table.to_pylist()
    ]


def test_output_of_one_schema_has_the_rows_before_it_too(tmp_path):
    path = tmp_path / "data.parquet"
    write(path, some_table())
    damage(path, "id", 0, 0.5)
    good, _ = rows_of_pyarrow(path, "id", 0)
    read, error = ids_until_error(
        fast_axolotl.streaming_dataset_reader(path, 10, ["id"], output="numpy")
    )
    assert read == list(range(good))
    assert f"after row {good} of the file" in error


@pytest.mark.parametrize("output", ["python", "arrow", "numpy"])
def test_an_index_outside_its_dictionary_is_an_error(output, tmp_path):
    """Whoever got such a batch would read memory that is not the column's."""
    path = tmp_path / "data.parquet"
    rows = pa.array(["a", "b", "c"] * 40).dictionary_encode()
    table = pa.table({"id": range(240), "word": pa.chunked_array([rows, rows])})
    pq.write_table(table, path, row_group_size=120, compression="none")
    data = path.read_bytes()
    packed = bytes([0b00_10_01_00, 0b01_00_10_01, 0b10_01_00_10] * 10)
    assert data.count(packed) == 2
    at = data.rindex(packed)
    path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    rows, error = read_until_error(path, batch_size=7, output=output)
    assert rows == [{"id": i, "word": "abc"[i % 3]} for i in range(120)]
    assert str(path) in str(error)
    assert "out of bounds" in str(error)
