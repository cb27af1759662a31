# SPDX-License-Identifier: Apache-2.0
"""Files whose columns differ in type, and the Arrow type that they have together."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_cases import CASES
from formats import exact
from outputs import (
    ARRAYS,
    arrow_column,
    assert_same,
    mixed,
    read_arrow,
    stable,
    until_error,
    values_of,
    write_ipc,
    write_lines,
)

from fast_axolotl import (
    StreamingDataset,
    streaming_dataset_reader,
)

# --- from typed columns to JSON ---------------------------------------------------------

DOUBLES = [
    0.0, -0.0, 1.0, -1.5, 0.1, 1e15, 1e16, 123456789012345680.0, 1e22, 1e23, 1e-4, 1e-5,
    0.00012345, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308,
    9007199254740993.0, math.nan, math.inf, -math.inf, None,
]  # fmt: skip
AS_JSON = {
    "bool": pa.array([True, None, False]),
    **{
        f"{sign}int{bits}": pa.array(
            [0, 2 ** (bits - (not sign)) - 1, None, 0 if sign else -(2 ** (bits - 1))],
            f"{sign}int{bits}",
        )
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    "float64": pa.array(DOUBLES),
    "float32": pa.array([0.1, 1.0, 3.4e38, 1e-45, math.nan, None], pa.float32()),
    "float16": pa.array([0.1, 65504.0, None, math.inf], pa.float16()),
    "string": pa.array(['a"b\\c/\n\t\r\b\f\x01\x7f', "é漢🦎\u2028", "", "null", None]),
    "large_string": pa.array(["a", None], pa.large_string()),
    "string_view": pa.array(["a", "b" * 40, None], pa.string_view()),
    "dictionary": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "null": pa.nulls(2),
    "list": pa.array([[1, None], [], None]),
    "large_list": pa.array([[1, None], [], None], pa.large_list(pa.int8())),
    "fixed_size_list": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
    "list_view": pa.array([["a"], None, []], pa.list_view(pa.string())),
    "struct": pa.array([{"b": [{"c": 1.0}], "a": None}, None]),
    "struct_empty": pa.array([{}, None], pa.struct([])),
    "struct_odd": pa.array([{"": 1, 'q"\n': 2}]),
    "list_of_dictionary": CASES["list_of_dictionary"],
    "runs": CASES["run_end_int16"],
    "runs_of_lists": CASES["run_end_of_lists"],
    "dictionary_of_lists": CASES["dictionary_of_lists"],
    "sparse_union": CASES["sparse_union"],
    "dense_union": CASES["dense_union"],
    "bool8": CASES["bool8"],
    "opaque": CASES["opaque"],
    "json": CASES["json"],
    "tensor": CASES["tensor"],
}


@pytest.mark.parametrize("name", AS_JSON)
def test_typed_columns_where_other_files_have_other_types(name, tmp_path):
    """What Python gets of them and json.dumps writes of that, letter by letter."""
    column = AS_JSON[name]
    write_ipc(tmp_path / "1.arrow", pa.table({"x": column}), rows=2)
    write_lines(tmp_path / "2.jsonl", [{"x": {"other": 1}}, {"x": [[]]}])
    lists = [v for b in streaming_dataset_reader(mixed(tmp_path), 3) for v in b["x"]]
    texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in lists]
    # As the lines have it.
    texts[-2:] = ['{"other": 1}', "[[]]"]
    for options in ({"batch_size": 3}, {"batch_size": 1000}, {"num_threads": 4}):
        got = arrow_column(mixed(tmp_path), **options)
        assert got.type == pa.json_()
        found = [t for chunk in got.chunks for t in chunk.storage.to_pylist()]
        assert found == texts
    for output in ARRAYS:
        batches = list(streaming_dataset_reader(mixed(tmp_path), 3, output=output))
        assert exact([v for batch in batches for v in batch["x"]]) == exact(lists)


def test_maps_are_objects(tmp_path):
    column = pa.array(
        [[("a", 1), ('b"', None)], None, []], pa.map_(pa.string(), pa.int8())
    )
    write_ipc(tmp_path / "1.arrow", pa.table({"x": column}))
    write_lines(tmp_path / "2.jsonl", [{"x": 1}, {"x": "s"}])
    (chunk,) = arrow_column(mixed(tmp_path)).chunks
    assert chunk.storage.to_pylist() == ['{"a": 1, "b\\"": null}', None, "{}", "1", '"s"']


NO_JSON = {
    "date": (pa.array([None, dt.date(2020, 1, 2)]), "2020-01-02"),
    "timestamp": (pa.array([None, dt.datetime(2020, 1, 2)]), "2020-01-02 00:00:00"),
    "time": (pa.array([None, dt.time(1, 2)]), "01:02:00"),
    "duration": (pa.array([None, dt.timedelta(1)]), "86400000000"),
    "decimal": (pa.array([None, decimal.Decimal("1.50")]), "1.50"),
    "binary": (pa.array([None, b"ab"]), "ab"),
    "fixed_size_binary": (pa.array([None, b"ab"], pa.binary(2)), "ab"),
    "uuid": (CASES["uuid"].take(pa.array([1, 0])), ""),
    "interval": (CASES["month_day_nano_interval"].take(pa.array([1, 0])), ""),
    "list of dates": (pa.array([[], [None, dt.date(2020, 1, 2)]]), "2020-01-02"),
    "struct of bytes": (pa.array([{"a": None}, {"a": b"x"}]), ""),
    "map of int keys": (
        pa.array([[], [(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        "1",
    ),
    "map of a key twice": (
        pa.array([[], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8())),
        "k",
    ),
    "text that is no UTF-8": (
        pa.Array.from_buffers(pa.string(), 2, pa.array([b"", b"caf\xe9"]).buffers()),
        "caf",
    ),
}


@pytest.mark.parametrize("name", NO_JSON)
def test_values_that_json_has_no_form_for(name, tmp_path):
    """Only where the files have no common type; the first such value is the error."""
    column, told = NO_JSON[name]
    suffix = ".parquet" if "UTF-8" in name else ".arrow"
    path = tmp_path / f"1{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"x": column}), path)
    else:
        write_ipc(path, pa.table({"x": column}), rows=1)
    write_lines(tmp_path / "2.jsonl", [{"x": 1}, {"x": {"y": 2}}])
    for batch_size in (1, 1000):
        batches, error = until_error(mixed(tmp_path), batch_size, output="arrow")
        assert [len(batch) for batch in batches] == [1]
        assert f'{path}: row 2: column "x": ' in error
        assert told in error
        assert "is not a value of the type json that a sample of the files shows" in error
        assert "schema=" in error


def test_strings_are_json_texts_only_where_the_caller_says_so(tmp_path):
    texts = ["[1, 2]", '{"a": null}', None]
    for kind in (
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary("int8", "string"),
    ):
        column = (
            pa.array(texts).cast(kind)
            if not pa.types.is_string_view(kind)
            else pa.array(texts, kind)
        )
        write_ipc(tmp_path / "1.arrow", pa.table({"x": column}))
        (batch,) = read_arrow(tmp_path / "1.arrow", schema={"x": "json"})
        assert values_of(batch) == {"x": [[1, 2], {"a": None}, None]}
        (batch,) = streaming_dataset_reader(tmp_path / "1.arrow", schema={"x": "json"})
        assert batch == {"x": [[1, 2], {"a": None}, None]}
        write_lines(tmp_path / "2.jsonl", [{"x": 1}, {"x": []}])
        (batch,) = read_arrow(mixed(tmp_path))
        assert values_of(batch) == {"x": [*texts, 1, []]}
        (tmp_path / "2.jsonl").unlink()
    batches, error = until_error(
        write_ipc(
            tmp_path / "1.arrow",
            pa.table({"x": pa.array(["1", "{oops"], pa.large_string())}),
        ),
        schema={"x": "json"},
        output="arrow",
    )
    assert values_of(batches[0]) == {"x": [1]}
    assert "row 2" in error


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_typed_columns_as_json_because_the_caller_says_so(suffix, tmp_path):
    values = [1.0, 2.5, None]
    path = tmp_path / f"x{suffix}"
    table = pa.table({"x": values, "s": [{"a": [1]}, None, {"a": None}]})
    pq.write_table(table, path) if suffix == ".parquet" else write_ipc(path, table)
    kinds = {"x": "json", "s": "json"}
    (batch,) = read_arrow(path, schema=kinds)
    assert exact(values_of(batch)) == exact(table.to_pydict())
    (batch,) = streaming_dataset_reader(path, schema=kinds)
    assert exact(batch) == exact(table.to_pydict())


# --- one type of several ----------------------------------------------------------------

US, NS, S, MS = (pa.timestamp(unit) for unit in ("us", "ns", "s", "ms"))
BERLIN = pa.timestamp("s", "Europe/Berlin")
STRUCT = pa.struct
COMMON = [
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string(), pa.string_view(), pa.string()),
    (pa.string_view(), pa.large_string(), pa.large_string()),
    (pa.string(), pa.dictionary("int8", "string"), pa.string()),
    (pa.dictionary("int8", "string"), pa.dictionary("int16", "string"), pa.string()),
    (pa.dictionary("int8", "string"), pa.null(), pa.dictionary("int32", "string")),
    (pa.dictionary("int8", "large_string"), pa.string(), pa.large_string()),
    (pa.binary(), pa.large_binary(), pa.large_binary()),
    (pa.binary(), pa.binary(3), pa.binary()),
    (pa.binary(2), pa.binary(3), pa.binary()),
    (pa.binary_view(), pa.binary(3), pa.binary()),
    (pa.date32(), pa.date64(), pa.date64()),
    (pa.time32("s"), pa.time64("us"), pa.time64("us")),
    (pa.time32("s"), pa.time32("ms"), pa.time32("ms")),
    (S, US, US),
    (NS, MS, NS),
    (BERLIN, pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("ms", "Europe/Berlin")),
    (pa.duration("s"), pa.duration("us"), pa.duration("us")),
    (pa.decimal128(9, 2), pa.decimal128(12, 2), pa.decimal128(12, 2)),
    (pa.decimal32(9, 2), pa.decimal256(50, 2), pa.decimal256(50, 2)),
    (pa.int8(), pa.float16(), pa.float64()),
    (pa.list_(pa.string()), pa.large_list(pa.large_string()),
     pa.large_list(pa.large_string())),
    (pa.list_(pa.list_(pa.int8())), pa.list_(pa.list_(pa.float32(), 1)),
     pa.list_(pa.list_(pa.float64()))),
    (STRUCT([("a", "int8"), ("b", "string")]), STRUCT([("a", "int64"), ("b", "null")]),
     STRUCT([("a", "int64"), ("b", "string")])),
    (pa.list_(STRUCT([("a", "int8")])), pa.list_(STRUCT([("a", "float64")])),
     pa.list_(STRUCT([("a", "float64")]))),
    (pa.list_(pa.field("item", pa.int64(), nullable=False)), pa.list_(pa.int64()),
     pa.list_(pa.int64())),
    # No common type: other keys, other zones, other digits, other kinds.
    (STRUCT([("a", "int8")]), STRUCT([("b", "int8")]), pa.json_()),
    (STRUCT([("a", "int8")]), STRUCT([("a", "string")]), pa.json_()),
    (pa.string(), pa.int8(), pa.json_()),
    (pa.bool_(), pa.int8(), pa.json_()),
    (pa.list_(pa.bool_()), pa.list_(pa.int8()), pa.json_()),
    (pa.list_(pa.int8()), pa.int8(), pa.json_()),
    (pa.dictionary("int8", "string"), pa.int8(), pa.json_()),
    (pa.int64(), pa.uint64(), pa.json_()),
]  # fmt: skip


def some_of(kind):  # noqa: C901  (a branch for each kind)
    """Some values of a type, nulls among them."""
    if pa.types.is_dictionary(kind):
        return some_of(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [some_of(kind.value_type), None, []]
    if pa.types.is_fixed_size_list(kind):
        return [some_of(kind.value_type)[: kind.list_size], None]
    if pa.types.is_struct(kind):
        columns = [(field.name, some_of(field.type)) for field in kind]
        return [{name: v[i] for name, v in columns} for i in range(2)] + [None]
    if pa.types.is_binary(kind) or "binary" in str(kind):
        width = kind.byte_width if pa.types.is_fixed_size_binary(kind) else 1
        return [b"x" * width, b"\xff" * width, None]
    if "string" in str(kind):
        return ["a", "é" * 20, None, "a"]
    if pa.types.is_boolean(kind):
        return [True, False, None]
    if pa.types.is_null(kind):
        return [None, None]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return [1, 0, None, 127]
    if pa.types.is_date(kind):
        return [dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]
    if pa.types.is_time(kind):
        return [dt.time(23, 59, 59), None, dt.time(0)]
    if pa.types.is_timestamp(kind):
        zone = dt.UTC if kind.tz else None
        return [
            dt.datetime(1970, 1, 1, tzinfo=zone),
            None,
            dt.datetime(2200, 2, 3, 4, tzinfo=zone),
        ]
    if pa.types.is_duration(kind):
        return [dt.timedelta(days=-3), None, dt.timedelta(seconds=1)]
    return [decimal.Decimal("1.50"), None, decimal.Decimal("-0.25")]


def array_of(kind):
    values = some_of(kind)
    if pa.types.is_dictionary(kind):
        array = pa.array(values, kind.value_type).dictionary_encode()
        return pa.DictionaryArray.from_arrays(
            array.indices.cast(kind.index_type), array.dictionary
        )
    return pa.array(values, kind)


@pytest.mark.parametrize(("first", "second", "common"), COMMON, ids=str)
def test_files_of_two_types(first, second, common, tmp_path):
    paths = []
    for i, kind in enumerate((first, second)):
        table = pa.table({"x": array_of(kind)}, schema=pa.schema([pa.field("x", kind)]))
        paths.append(write_ipc(tmp_path / f"{i}.arrow", table, rows=2))
    for order in (paths, paths[::-1]):
        lists = [v for b in streaming_dataset_reader(order) for v in b["x"]]
        for batch_size in (1, 3, 1000):
            batches = read_arrow(order, batch_size)
            assert {batch.schema.field("x").type for batch in batches} == {common}
            got = [v for batch in batches for v in values_of(batch)["x"]]
            assert_same({"x": got}, {"x": lists})
        shuffled = {"shuffle": True, "batch_size": 3}
        want = list(StreamingDataset(order, **shuffled))
        got = list(StreamingDataset(order, output="arrow", **shuffled))
        for mine, theirs in zip(got, want, strict=True):
            assert_same(values_of(mine), theirs)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([0], "timestamp[ns]"), pa.array([2**40], "timestamp[s]")),
        (pa.array([0], pa.duration("ns")), pa.array([2**40], pa.duration("s"))),
    ],
    ids=["timestamp", "duration"],
)
def test_a_time_that_the_finer_unit_does_not_reach(first, second, tmp_path):
    write_ipc(tmp_path / "1.arrow", pa.table({"x": first}))
    write_ipc(tmp_path / "2.arrow", pa.table({"x": second}))
    batches, error = until_error(tmp_path, output="arrow")
    assert [len(batch) for batch in batches] == [1]
    assert '2.arrow: row 1: column "x"' in error


def test_times_of_several_zones_have_no_common_type(tmp_path):
    write_ipc(
        tmp_path / "1.arrow", pa.table({"x": pa.array([0], pa.timestamp("s", "UTC"))})
    )
    write_ipc(tmp_path / "2.arrow", pa.table({"x": pa.array([0], BERLIN)}))
    batches, error = until_error(tmp_path, output="arrow")
    assert batches == []
    assert "1970-01-01" in error
    assert (
        arrow_column(tmp_path, schema={"x": "timestamp[s, UTC]"}).to_pylist()
        == [dt.datetime(1970, 1, 1, tzinfo=dt.UTC)] * 2
    )


@pytest.mark.parametrize(
    ("kind", "late"),
    [
        (pa.int32(), pa.array([1], pa.timestamp("s"))),
        (pa.timestamp("s"), pa.array([1])),
        (pa.timestamp("s"), pa.array(["2020-01-02"])),
        (pa.timestamp("s"), pa.array([1], pa.timestamp("s", "UTC"))),
        (pa.date32(), pa.array([1], pa.timestamp("s"))),
        (pa.date32(), pa.array([1], pa.int32())),
        (pa.string(), pa.array([b"a"])),
        (pa.binary(), pa.array(["a"])),
        (pa.string(), pa.array([1])),
        (pa.int64(), pa.array(["1"])),
        (pa.int64(), pa.array([True])),
        (pa.int8(), pa.array([300])),
        (pa.uint8(), pa.array([-1])),
        (pa.decimal128(9, 2), pa.array([1])),
        (pa.float64(), pa.array([decimal.Decimal("0.1")])),
        (pa.decimal128(9, 2), pa.array([decimal.Decimal("1.5")])),
        (pa.list_(pa.bool_()), pa.array([[1]])),
        (pa.list_(pa.int64()), pa.array([[True]])),
        (pa.list_(pa.int64()), pa.array([["1"]])),
        (pa.list_(pa.int64(), 2), pa.array([[1]])),
        (pa.struct([("a", "int8")]), pa.array([{"b": 1}])),
        (pa.struct([("a", "int8")]), pa.array([{"a": 1, "b": 1}])),
        (pa.map_("string", "int8"), pa.array([{"b": 1}])),
        (pa.bool8(), pa.array([1], pa.int8())),
        (pa.int8(), CASES["bool8"].slice(0, 1)),
        (pa.uuid(), pa.array([bytes(16)], pa.binary(16))),
        (pa.null(), pa.array([1])),
        (pa.dictionary("int8", "string"), pa.array(["a"])),
    ],
    ids=str,
)
def test_a_file_beyond_the_sample_is_not_taken_for_another_kind(kind, late, tmp_path):
    """Of 17 files the last is not looked at. Nulls fit; the first value does not."""
    for i in range(16):
        write_ipc(tmp_path / f"{i:02}.arrow", pa.table({"x": pa.nulls(1, kind)}))
    path = tmp_path / "16.arrow"
    rows = pa.concat_arrays([pa.nulls(2, late.type), late])
    write_ipc(path, pa.table({"x": rows}), rows=1000)
    for batch_size in (1, 5, 1000):
        batches, error = until_error(tmp_path, batch_size, output="arrow")
        assert sum(map(len, batches)) == 18
        assert {batch.schema.field("x").type for batch in batches} == {stable(kind)}
        assert f'{path}: row 3: column "x": ' in error
        assert "schema= can give it another" in error


@pytest.mark.parametrize(
    ("kind", "late"),
    [
        (pa.int64(), pa.array([1], "int8")),
        (pa.int8(), pa.array([1.0])),
        (pa.float32(), pa.array([0.5])),
        (pa.string(), pa.array(["a"]).dictionary_encode()),
        (pa.string_view(), pa.array(["a"])),
        (pa.timestamp("s"), pa.array([10**9], pa.timestamp("ns"))),
        (pa.date32(), pa.array([86_400_000], pa.date64())),
        (pa.list_(pa.int64()), pa.array([[1, None]], pa.list_view(pa.int8()))),
        (pa.list_(pa.int64(), 2), pa.array([[1, None]])),
        (pa.struct([("a", "int64")]), pa.array([{"a": 1}], pa.struct([("a", "int8")]))),
        (pa.dictionary("int16", "string"), pa.array(["a"]).dictionary_encode()),
    ],
    ids=str,
)
def test_a_file_beyond_the_sample_that_fits(kind, late, tmp_path):
    for i in range(16):
        write_ipc(tmp_path / f"{i:02}.arrow", pa.table({"x": pa.nulls(1, kind)}))
    rows = pa.concat_arrays([pa.nulls(1, late.type), late])
    write_ipc(tmp_path / "16.arrow", pa.table({"x": rows}))
    (chunk,) = arrow_column(tmp_path).chunks
    assert chunk.type == stable(kind)
    assert chunk.to_pylist() == [None] * 17 + late.to_pylist()


def test_a_column_that_only_a_file_beyond_the_sample_has(tmp_path):
    for i in range(17):
        table = {"x": [i]} if i < 16 else {"x": [i], "y": ["late"]}
        write_ipc(tmp_path / f"{i:02}.arrow", pa.table(table))
    with pytest.warns(UserWarning, match='"y"') as seen:
        batches = read_arrow(tmp_path)
    assert len(seen) == 1
    assert [batch.schema.names for batch in batches] == [["x"]]
    # Asked for by name, footers tell its type.
    (batch,) = read_arrow(tmp_path, columns=["y", "x"])
    assert batch.schema == pa.schema([("y", pa.string()), ("x", pa.int64())])
    assert batch["y"].to_pylist() == [None] * 16 + ["late"]


def test_csv_cells_and_values_of_other_formats(tmp_path):
    """Cells are strings where their kinds differ, or those of other files."""
    (tmp_path / "1.csv").write_text("x,y\n1,a\n")
    (tmp_path / "2.csv").write_text("x,y\nz,b\n")
    assert read_arrow(tmp_path)[0].schema == pa.schema(
        [("x", pa.string()), ("y", pa.string())]
    )
    write_ipc(tmp_path / "3.arrow", pa.table({"x": [7], "y": ["c"]}))
    files = [tmp_path / name for name in ("1.csv", "2.csv", "3.arrow")]
    for order in (files, files[::-1]):
        (want,) = streaming_dataset_reader(order)
        (batch,) = read_arrow(order)
        assert_same(values_of(batch), want)
        assert sorted(map(str, want["x"])) == ["1", "7", "z"]


def test_dictionaries_of_files_come_together(tmp_path):
    """With more words than int8 tells apart, in one batch."""
    for i in range(3):
        words = pa.array([f"{i}-{k}" for k in range(100)])
        column = pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), words)
        write_ipc(tmp_path / f"{i}.arrow", pa.table({"x": column}), rows=30)
    for options in ({}, {"shuffle": True}):
        (batch,) = StreamingDataset(tmp_path, 1000, output="arrow", **options)
        batch.validate(full=True)
        assert batch["x"].type == pa.dictionary(pa.int32(), pa.string())
        found = batch["x"].to_pylist()
        assert sorted(found) == sorted(f"{i}-{k}" for i in range(3) for k in range(100))


def test_dictionaries_that_arrow_cannot_unite(tmp_path):
    for i in range(2):
        words = pa.array([[i], None, [i, 7]])
        column = pa.DictionaryArray.from_arrays(
            pa.array([2, None, 0, 1], pa.int8()), words
        )
        write_ipc(tmp_path / f"{i}.arrow", pa.table({"x": column}), rows=30)
    (want,) = streaming_dataset_reader(tmp_path)
    (batch,) = read_arrow(tmp_path)
    batch.validate(full=True)
    assert values_of(batch) == want
