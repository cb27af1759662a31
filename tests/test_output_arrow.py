# SPDX-License-Identifier: Apache-2.0
"""Batches as Arrow record batches: of one schema, in memory that lives on; streams."""

from __future__ import annotations

import datetime as dt
import decimal
import gc
import json
import math
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_cases import CASES, to_pylist
from arrow_cases import assert_same as assert_exactly_same
from formats import exact
from outputs import ARRAYS, assert_same, kinds_of, values_of
from test_arrow_values import IN_PARQUET

from fast_axolotl import (
    PackOptions,
    StreamingDataset,
    mix,
    streaming_dataset_reader,
)


def write_ipc(path, table, rows=4, stream=False):
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path, batch_size=1000, **options):
    with streaming_dataset_reader(path, batch_size, output="arrow", **options) as reader:
        return list(reader)


def column_of(path, batch_size=1000, **options):
    """Column x as pyarrow has it, of all batches."""
    batches = read(path, batch_size, **options)
    assert len({str(batch.schema) for batch in batches}) == 1
    for batch in batches:
        batch.validate(full=True)
    return pa.chunked_array([batch["x"] for batch in batches])


def mixed(folder):
    """Files of several formats, which a folder alone may not hold."""
    return sorted(path for path in folder.iterdir())


def until_error(path, batch_size=1000, **options):
    """The batches before the error, and the error; which comes again and again."""
    reader = streaming_dataset_reader(path, batch_size, output="arrow", **options)
    batches = []
    errors = []
    while len(errors) < 3:
        try:
            batches.append(next(reader))
            assert not errors
        except OSError as error:
            errors.append(str(error))
    assert errors == errors[:1] * 3
    return batches, errors[0]


# --- every type -------------------------------------------------------------------------


def stable(kind):
    """The type of a stream of blocks: dictionaries get indices that do not run out."""
    if pa.types.is_dictionary(kind):
        index = kind.index_type if kind.index_type.bit_width >= 32 else pa.int32()
        return pa.dictionary(index, kind.value_type, kind.ordered)
    if pa.types.is_list(kind):
        return pa.list_(stable(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(stable(field.type)) for field in kind])
    return kind


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
    batches = read(path, batch_size)
    for batch, wanted in zip(batches, lists, strict=True):
        batch.validate(full=True)
        assert batch["x"].type == stable(pq.read_schema(path).field("x").type)
        assert_exactly_same(to_pylist(batch["x"]), wanted["x"], name)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=repr)
def test_names_that_arrow_cannot_hand_over(name, tmp_path):
    """It has zero-terminated UTF-8 only; said at once, and not with a name cut short."""
    path = write_lines(tmp_path / "x.jsonl", [{"x": 1, name: 1}])
    with pytest.raises(ValueError, match="zero byte"):
        read(path)
    with pytest.raises(ValueError, match="zero byte"):
        pa.schema(StreamingDataset(path)._open())
    assert read(path, columns=["x"])[0].to_pylist() == [{"x": 1}]
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": CASES["struct_odd_names"]}))
    with pytest.raises(ValueError, match='column "x" has a name, or names in it'):
        read(path)


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
    assert column_of(path).chunk(0).equals(values)


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
    (batch,) = read(tmp_path)
    assert batch.schema.field("x").metadata[b"ARROW:extension:name"] == b"test.celsius"
    assert batch["x"].to_pylist() == [20.5, 21.0] * 2
    write_ipc(tmp_path / "c.arrow", pa.table({"x": [1.0]}))
    (batch,) = read(tmp_path)
    assert batch.schema.field("x").metadata is None
    pa.register_extension_type(Celsius())
    try:
        (batch,) = read([tmp_path / "a.arrow", tmp_path / "b.arrow"])
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
    (batch,) = read(path)
    assert batch.schema == pa.schema([("x", pa.json_())])
    assert exact(values_of(batch)["x"]) == exact([row.get("x") for row in rows])


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
        got = column_of(mixed(tmp_path), **options)
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
    (chunk,) = column_of(mixed(tmp_path)).chunks
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
        batches, error = until_error(mixed(tmp_path), batch_size)
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
        (batch,) = read(tmp_path / "1.arrow", schema={"x": "json"})
        assert values_of(batch) == {"x": [[1, 2], {"a": None}, None]}
        (batch,) = streaming_dataset_reader(tmp_path / "1.arrow", schema={"x": "json"})
        assert batch == {"x": [[1, 2], {"a": None}, None]}
        write_lines(tmp_path / "2.jsonl", [{"x": 1}, {"x": []}])
        (batch,) = read(mixed(tmp_path))
        assert values_of(batch) == {"x": [*texts, 1, []]}
        (tmp_path / "2.jsonl").unlink()
    batches, error = until_error(
        write_ipc(
            tmp_path / "1.arrow",
            pa.table({"x": pa.array(["1", "{oops"], pa.large_string())}),
        ),
        schema={"x": "json"},
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
    (batch,) = read(path, schema=kinds)
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
            batches = read(order, batch_size)
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
    batches, error = until_error(tmp_path)
    assert [len(batch) for batch in batches] == [1]
    assert '2.arrow: row 1: column "x"' in error


def test_times_of_several_zones_have_no_common_type(tmp_path):
    write_ipc(
        tmp_path / "1.arrow", pa.table({"x": pa.array([0], pa.timestamp("s", "UTC"))})
    )
    write_ipc(tmp_path / "2.arrow", pa.table({"x": pa.array([0], BERLIN)}))
    batches, error = until_error(tmp_path)
    assert batches == []
    assert "1970-01-01" in error
    assert (
        column_of(tmp_path, schema={"x": "timestamp[s, UTC]"}).to_pylist()
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
        batches, error = until_error(tmp_path, batch_size)
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
    (chunk,) = column_of(tmp_path).chunks
    assert chunk.type == stable(kind)
    assert chunk.to_pylist() == [None] * 17 + late.to_pylist()


def test_a_column_that_only_a_file_beyond_the_sample_has(tmp_path):
    for i in range(17):
        table = {"x": [i]} if i < 16 else {"x": [i], "y": ["late"]}
        write_ipc(tmp_path / f"{i:02}.arrow", pa.table(table))
    with pytest.warns(UserWarning, match='"y"') as seen:
        batches = read(tmp_path)
    assert len(seen) == 1
    assert [batch.schema.names for batch in batches] == [["x"]]
    # Asked for by name, footers tell its type.
    (batch,) = read(tmp_path, columns=["y", "x"])
    assert batch.schema == pa.schema([("y", pa.string()), ("x", pa.int64())])
    assert batch["y"].to_pylist() == [None] * 16 + ["late"]


def test_csv_cells_and_values_of_other_formats(tmp_path):
    """Cells are strings where their kinds differ, or those of other files."""
    (tmp_path / "1.csv").write_text("x,y\n1,a\n")
    (tmp_path / "2.csv").write_text("x,y\nz,b\n")
    assert read(tmp_path)[0].schema == pa.schema([("x", pa.string()), ("y", pa.string())])
    write_ipc(tmp_path / "3.arrow", pa.table({"x": [7], "y": ["c"]}))
    files = [tmp_path / name for name in ("1.csv", "2.csv", "3.arrow")]
    for order in (files, files[::-1]):
        (want,) = streaming_dataset_reader(order)
        (batch,) = read(order)
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
    (batch,) = read(tmp_path)
    batch.validate(full=True)
    assert values_of(batch) == want


# --- shapes -----------------------------------------------------------------------------


def test_batches_without_rows_or_columns(tmp_path):
    empty = pa.table({"x": pa.array([], pa.int32())})
    write_ipc(tmp_path / "0.arrow", empty)
    assert read(tmp_path / "0.arrow") == []
    stream = pa.RecordBatchReader.from_stream(StreamingDataset(tmp_path / "0.arrow"))
    assert stream.read_all().equals(empty)
    (tmp_path / "e.jsonl").write_text("{}\n{}\n{}\n")
    batches = read(tmp_path / "e.jsonl", 2)
    assert [(batch.num_rows, batch.num_columns) for batch in batches] == [(2, 0), (1, 0)]
    rows = pa.record_batch([pa.array([1, 2])], names=["x"]).select([])
    with pa.ipc.new_file(tmp_path / "n.arrow", rows.schema) as writer:
        writer.write_batch(rows)
    assert [batch.num_columns for batch in read(tmp_path / "n.arrow")] in ([], [0])


def test_columns_and_their_order(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"a": 1, "b": "x", "c": [1.5]}] * 3)
    (batch,) = read(path, columns=["c", "a"])
    assert batch.schema == pa.schema([("c", pa.list_(pa.float64())), ("a", pa.int64())])
    (batch,) = read(path, columns=["a"], schema={"a": "int8", "z": "string"})
    assert batch.schema == pa.schema([("a", pa.int8())])
    (batch,) = read(path, schema={"z": "string", "a": pa.float32()})
    assert batch.schema.names == ["a", "b", "c", "z"]
    assert batch["z"].null_count == 3
    assert batch["a"].type == pa.float32()


def test_a_field_that_the_files_call_never_null(tmp_path):
    """Another file lacks it, so the one schema cannot."""
    kind = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    write_ipc(tmp_path / "1.arrow", pa.table({"x": [1]}, schema=kind))
    write_ipc(tmp_path / "2.arrow", pa.table({"y": [1]}))
    (batch,) = read(tmp_path)
    batch.validate(full=True)
    assert batch.schema.field("x").nullable
    assert batch["x"].to_pylist() == [1, None]
    (batch,) = read(tmp_path, schema=kind)
    batch.validate(full=True)


def test_fixed_size_lists_by_the_callers_type(tmp_path):
    rows = [{"x": [1, 2.5]}, {"x": None}, {"x": [3, 4]}, {"x": [1]}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    batches, error = until_error(path, schema={"x": pa.list_(pa.float32(), 2)})
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
    (batch,) = read(lines)
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
