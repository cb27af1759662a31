# SPDX-License-Identifier: Apache-2.0
"""Lists of numbers in Parquet, which this package puts together from levels itself."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fast_axolotl import streaming_dataset_reader

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def numbers(kind: str) -> st.SearchStrategy[Any]:
    if kind == "float":
        return st.floats(width=32, allow_nan=False)
    if kind == "double":
        return st.floats(allow_nan=False)
    bits = int(kind.lstrip("uint"))
    low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), None)
    return st.integers(low, -low - 1 if high is None else high)


@st.composite
def files(draw: st.DrawFn) -> tuple[pa.Table, dict[str, Any]]:
    kind = draw(st.sampled_from([*INTEGERS, "float", "double"]))
    nullable, nullable_values = draw(st.booleans()), draw(st.booleans())
    value = numbers(kind) | st.none() if nullable_values else numbers(kind)
    some = st.lists(value, max_size=draw(st.sampled_from([1, 4, 60])))
    rows = draw(st.lists(some | st.none() if nullable else some, max_size=60))
    # Long runs, which cross the borders of pages and of what is read at a time.
    if rows and rows[0] and draw(st.booleans()):
        rows[draw(st.integers(0, len(rows) - 1))] = rows[0] * 20_000
    arrow = getattr(pa, {"float": "float32", "double": "float64"}.get(kind, kind))()
    field = pa.field("element", arrow, nullable=nullable_values)
    table = pa.table(
        [pa.array(rows, pa.list_(field)), pa.array(range(len(rows)))],
        pa.schema([pa.field("a", pa.list_(field), nullable=nullable), ("b", pa.int64())]),
    )
    written = {
        "use_dictionary": draw(st.booleans()),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
        "version": draw(st.sampled_from(["1.0", "2.6"])),
        "compression": draw(st.sampled_from(["none", "zstd", "snappy"])),
        "data_page_size": draw(st.sampled_from([64, 500, 1 << 20])),
        "write_batch_size": draw(st.sampled_from([1, 7, 1024])),
        "row_group_size": draw(st.sampled_from([1, 10, 1000])),
        "store_schema": draw(st.booleans()),
        "use_compliant_nested_type": draw(st.booleans()),
    }
    return table, written


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files(), st.sampled_from([1, 7, 1000]), st.sampled_from([1, 2]))
def test_lists_are_those_that_pyarrow_reads(
    tmp_path: Any, file: tuple[pa.Table, dict[str, Any]], batch_size: int, threads: int
) -> None:
    table, written = file
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **written)
    wanted = pq.read_table(path)
    found = [
        pa.Table.from_batches([batch])
        for batch in streaming_dataset_reader(
            path, batch_size, output="arrow", num_threads=threads
        )
    ]
    for batch in found:
        batch.validate(full=True)
    together = pa.concat_tables(found) if found else wanted.slice(0, 0)
    assert together.to_pylist() == wanted.to_pylist()
    for name in ("a", "b"):
        assert together.schema.field(name).type.equals(wanted.schema.field(name).type)
    lists: dict[str, list[Any]] = {"a": [], "b": []}
    for rows in streaming_dataset_reader(path, batch_size, num_threads=threads):
        for name, values in rows.items():
            lists[name] += values
    assert lists == wanted.to_pydict()


def test_a_row_longer_than_what_is_read_at_a_time(tmp_path: Any) -> None:
    path = tmp_path / "a.parquet"
    rows = [[1], list(range(200_000)), [], None, [None, 5], list(range(70_000))] * 3
    pq.write_table(pa.table({"a": rows}), path, data_page_size=1000)
    found = [row for batch in streaming_dataset_reader(path, 2) for row in batch["a"]]
    assert found == rows


@pytest.mark.parametrize("nested", ["struct", "list", "map"])
def test_lists_inside_of_something_are_read_as_before(nested: str, tmp_path: Any) -> None:
    path = tmp_path / "a.parquet"
    rows: list[Any]
    if nested == "struct":
        rows, kind = (
            [{"x": [1, 2]}, None, {"x": None}],
            pa.struct({"x": pa.list_(pa.int32())}),
        )
    elif nested == "list":
        rows, kind = [[[1], []], None, [None, [2, None]]], pa.list_(pa.list_(pa.int32()))
    else:
        rows, kind = [[("x", [1])], None, []], pa.map_(pa.utf8(), pa.list_(pa.int32()))
    pq.write_table(pa.table({"a": pa.array(rows, kind)}), path)
    (batch,) = streaming_dataset_reader(path)
    assert batch["a"] == pq.read_table(path)["a"].to_pylist()


def test_a_page_with_fewer_values_than_levels_is_an_error(tmp_path: Any) -> None:
    path = tmp_path / "a.parquet"
    rows = [[i, i + 1] for i in range(2000)]
    pq.write_table(
        pa.table({"a": rows}),
        path,
        compression="none",
        use_dictionary=False,
        column_encoding="DELTA_BINARY_PACKED",
    )
    # The header of the values: blocks of 256, of 4 parts each, 4,000 in all.
    data = path.read_bytes()
    header = b"\x80\x02\x04\xa0\x1f"
    assert data.count(header) == 1
    path.write_bytes(data.replace(header, b"\x80\x02\x04\xe0\x12"))
    with pytest.raises(OSError, match=r"a\.parquet.*fewer values than their levels"):
        list(streaming_dataset_reader(path))


PEAK = """
import resource, sys
import fast_axolotl
rows = 0
for batch in fast_axolotl.streaming_dataset_reader(sys.argv[1], 100):
    rows += len(batch["a"])
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("kind", ["lists", "strings"])
@pytest.mark.parametrize("sizes_told", [True, False])
def test_what_is_stored_small_is_not_decoded_whole(
    sizes_told: bool, kind: str, tmp_path: Any
) -> None:
    """Half a gigabyte and more of values, in a file of some kilobytes."""
    value = [1] * 2048 if kind == "lists" else "x" * 3000
    path = tmp_path / "a.parquet"
    table = pa.table({"a": [value] * 200_000 if kind == "strings" else [value] * 60_000})
    pq.write_table(table, path, write_statistics=sizes_told)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, peak_kb = map(int, done.stdout.split())
    assert rows == len(table)
    # Inherited from this process until the program starts, hence the second bound.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kb < max(250_000, own + 1)
