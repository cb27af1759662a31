# SPDX-License-Identifier: Apache-2.0
"""Every Arrow type comes out of a file as pyarrow's own `to_pylist` gives it."""

from __future__ import annotations

import ctypes
import datetime as dt
import itertools
import struct
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_cases import CASES, assert_same, to_pylist
from hypothesis import given, settings
from hypothesis import strategies as st

import fast_axolotl

# What pyarrow cannot write to Parquet, or not read back.
NOT_IN_PARQUET = {
    "decimal256_negative_scale",
    "dictionary_of_lists",
    "dictionary_of_nulls",
    "dictionary_of_type_null",
    "dense_union",
    "fixed_size_binary_0",
    "fixed_size_list_0",
    "month_day_nano_interval",
    "run_end_int16",
    "run_end_int32",
    "run_end_int64",
    "run_end_of_lists",
    "sparse_union",
    "struct_empty",
    "struct_of_encoded",
    "union_type_codes",
}
IN_PARQUET = [name for name in CASES if name not in NOT_IN_PARQUET]


def write_ipc(path: Path, column: pa.Array) -> Path:
    table = pa.table({"x": column})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def read(path: Path, batch_size: int = 1000) -> list[object]:
    rows: list[object] = []
    for batch in fast_axolotl.streaming_dataset_reader(str(path), batch_size=batch_size):
        assert list(batch) == ["x"]
        rows += batch["x"]
    return rows


# Batches of 3 cut a column anywhere: inside bitmaps, runs, unions and structs.
@pytest.mark.parametrize("batch_size", [1000, 3])
@pytest.mark.parametrize("name", CASES)
def test_ipc_values(tmp_path, name, batch_size):
    column = CASES[name]
    path = write_ipc(tmp_path / "x.arrow", column)
    assert_same(read(path, batch_size), to_pylist(column), name)


@pytest.mark.parametrize("batch_size", [1000, 3])
@pytest.mark.parametrize("name", IN_PARQUET)
def test_parquet_values(tmp_path, name, batch_size):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": CASES[name]}), path)
    # Not the array itself: Parquet has no seconds, for one.
    assert_same(read(path, batch_size), to_pylist(pq.read_table(path)["x"]), name)


def test_every_type_has_a_case():
    kinds = {column.type.id for column in CASES.values()}
    factories = [
        pa.null(), pa.bool_(), pa.float16(), pa.decimal32(1), pa.decimal64(1),
        pa.decimal128(1), pa.decimal256(1), pa.date32(), pa.date64(), pa.time32("s"),
        pa.time64("us"), pa.timestamp("s"), pa.duration("s"), pa.string(), pa.binary(),
        pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view(),
        pa.binary(1), pa.list_(pa.null()), pa.large_list(pa.null()),
        pa.list_(pa.null(), 1), pa.list_view(pa.null()), pa.large_list_view(pa.null()),
        pa.struct([]), pa.map_(pa.int8(), pa.null()), pa.sparse_union([]),
        pa.dense_union([]), pa.dictionary(pa.int8(), pa.null()),
        pa.run_end_encoded(pa.int16(), pa.null()), pa.month_day_nano_interval(),
        pa.uuid(),
    ]  # fmt: skip
    assert {factory.id for factory in factories} <= kinds


def test_dictionary_values_that_can_change_are_not_shared(tmp_path):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1]]))
    first, second = read(write_ipc(tmp_path / "x.arrow", column))
    first.append(2)
    assert second == [1]


# --- values that Python cannot hold -----------------------------------------------------

NO_VALUE = {
    "timestamp[ns]": (
        pa.array([0, 1001], pa.timestamp("ns")),
        "1001 of type timestamp[ns]",
    ),
    "timestamp[ns, tz]": (
        pa.array([0, -1], pa.timestamp("ns", "UTC")),
        "-1 of type timestamp[ns, tz=UTC]",
    ),
    "duration[ns]": (pa.array([0, 999], pa.duration("ns")), "999 of type duration[ns]"),
    "time64[ns]": (pa.array([0, 1], pa.time64("ns")), "1 of type time64[ns]"),
    "date32": (pa.array([0, 10_950_000], pa.date32()), "10950000 of type date32[day]"),
    "date32 before 1": (
        pa.array([0, -719_163], pa.date32()),
        "-719163 of type date32[day]",
    ),
    "date32 at the end": (
        pa.array([0, 2**31 - 1], pa.date32()),
        "2147483647 of type date32",
    ),
    "timestamp[s]": (pa.array([0, 2**63 - 1], pa.timestamp("s")), "9223372036854775807"),
    "timestamp[us]": (
        pa.array([0, -(2**63)], pa.timestamp("us")),
        "-9223372036854775808",
    ),
    "duration[s]": (pa.array([0, 2**62], pa.duration("s")), "4611686018427387904"),
    "local time past the end": (
        pa.array([0, 253_402_300_799], pa.timestamp("s", "Asia/Tokyo")),
        "253402300799 of type timestamp[s, tz=Asia/Tokyo]",
    ),
    "fixed offset before 1": (
        pa.array([0, -62_135_596_800], pa.timestamp("s", "-00:01")),
        "-62135596800 of type timestamp[s, tz=-00:01]",
    ),
    "zone": (
        pa.array([None, 7], pa.timestamp("s", "Atlantis/Capital")),
        "7 of type timestamp[s, tz=Atlantis/Capital]",
    ),
    "field twice": (
        pa.StructArray.from_arrays([pa.array([1, 2])] * 2, names=["a", "a"]),
        'two fields with the name "a"',
    ),
}


@pytest.mark.parametrize("name", NO_VALUE)
def test_a_value_python_cannot_hold_is_an_error(tmp_path, name):
    column, told = NO_VALUE[name]
    with pytest.raises(OSError, match=r'schema= can give.*output="arrow"') as caught:
        read(write_ipc(tmp_path / "x.arrow", column))
    assert told in str(caught.value)


@pytest.mark.parametrize("name", NO_VALUE)
def test_such_a_value_is_found_inside_others(tmp_path, name):
    column, told = NO_VALUE[name]
    lists = pa.ListArray.from_arrays(pa.array([0, 0, 2], pa.int32()), column)
    nested = pa.StructArray.from_arrays([pa.array(["a", "b"]), lists], names=["a", "b"])
    with pytest.raises(OSError, match="schema= can give") as caught:
        read(write_ipc(tmp_path / "x.arrow", nested))
    assert told in str(caught.value)


def test_a_string_that_is_not_utf8_is_an_error(tmp_path):
    # Parquet readers do not look at it, so that it comes as far as Python.
    raw = pa.array([b"fine", b"caf\xe9"])
    column = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": column}), path)
    with pytest.raises(OSError, match=r"UTF-8.*caf\\xe9"):
        read(path)


@pytest.mark.parametrize("type_", [pa.utf8(), pa.large_utf8()], ids=str)
@pytest.mark.parametrize("nested", [False, True])
def test_a_string_that_ends_inside_a_character_is_an_error(nested, type_, tmp_path):
    """Its bytes and those of the next string are valid UTF-8 only together."""
    width = "i" if type_ == pa.utf8() else "q"
    offsets = pa.py_buffer(struct.pack(f"4{width}", 0, 3, 5, 6))
    column = pa.Array.from_buffers(
        type_, 3, [None, offsets, pa.py_buffer("abéc".encode() + b"d")]
    )
    if nested:
        column = pa.StructArray.from_arrays([column], ["s"])
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, pa.schema([("a", column.type)])) as writer:
        writer.write_batch(pa.record_batch([column], names=["a"]))
    with pytest.raises(OSError, match=r"UTF-?8"):
        list(fast_axolotl.streaming_dataset_reader(path))


@pytest.mark.parametrize("type_", [pa.utf8(), pa.large_utf8()], ids=str)
def test_what_stands_under_a_null_string_does_not_matter(type_, tmp_path):
    width = "i" if type_ == pa.utf8() else "q"
    offsets = pa.py_buffer(struct.pack(f"4{width}", 0, 2, 4, 5))
    column = pa.Array.from_buffers(
        type_, 3, [pa.py_buffer(b"\x05"), offsets, pa.py_buffer(b"ab\xff\xfec")]
    )
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, pa.schema([("a", type_)])) as writer:
        writer.write_batch(pa.record_batch([column], names=["a"]))
    for output in ("python", "arrow"):
        (batch,) = fast_axolotl.streaming_dataset_reader(path, output=output)
        found = batch["a"] if output == "python" else batch.column("a").to_pylist()
        assert found == ["ab", None, "c"]


# --- the intervals that pyarrow has no class for ----------------------------------------


class _Schema(ctypes.Structure):
    """The head of Arrow's C schema struct, as far as it is used here."""

    _fields_: ClassVar = [
        ("format", ctypes.c_char_p), ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p), ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64), ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("rest", ctypes.c_void_p * 3),
    ]  # fmt: skip


def write_as(path: Path, column: pa.Array, kind: bytes) -> Path:
    """Write the column under a type that pyarrow has no name for, by its C format."""
    batch = pa.record_batch({"x": column})
    schema = _Schema()
    array = ctypes.create_string_buffer(80)
    batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    _Schema.from_address(schema.children[0]).format = kind
    batch = pa.RecordBatch._import_from_c(
        ctypes.addressof(array), ctypes.addressof(schema)
    )
    with pa.ipc.new_file(path, batch.schema) as writer:
        writer.write_batch(batch)
    return path


@pytest.mark.parametrize(
    ("kind", "storage", "expected"),
    [
        (b"tiM", pa.array([14, None, -3], pa.int32()), [(14, 0, 0), None, (-3, 0, 0)]),
        (
            b"tiD",
            pa.array([2 + (5 << 32), None, -7 << 32], pa.int64()),
            [(0, 2, 5_000_000), None, (0, 0, -7_000_000)],
        ),
    ],
)
def test_old_intervals(tmp_path, kind, storage, expected):
    assert read(write_as(tmp_path / "x.arrow", storage, kind)) == expected


# --- independence of pyarrow's Python side ----------------------------------------------


def test_values_need_no_pyarrow_and_pyarrow_works_afterwards(tmp_path):
    columns = {
        name: column
        for name, column in CASES.items()
        if len(column) == 3 and name != "month_day_nano_interval"
    }
    table = pa.table(columns)
    path = tmp_path / "x.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    program = f"""
import sys
import fast_axolotl
(batch,) = fast_axolotl.streaming_dataset_reader({str(path)!r})
assert len(batch) == {len(columns)}
assert "pyarrow" not in sys.modules and "numpy" not in sys.modules
import pyarrow as pa
assert repr(pa.ipc.open_file({str(path)!r}).read_all().to_pydict()) == repr(batch)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- any type in any other --------------------------------------------------------------

_LEAVES = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.string_view(): st.text("aé漢", max_size=20),
    pa.binary(): st.binary(),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.timestamp("us"): st.datetimes(),
    pa.duration("us"): st.timedeltas(dt.timedelta(-100_000), dt.timedelta(100_000)),
    pa.decimal128(12, 3): st.decimals("-1e8", "1e8", places=3),
    pa.null(): st.none(),
}

Typed = tuple[pa.DataType, st.SearchStrategy[object]]


def _lists_of(item: Typed) -> st.SearchStrategy[Typed]:
    kind, values = item
    many = st.none() | st.lists(values, max_size=5)
    two = st.none() | st.lists(values, min_size=2, max_size=2)
    return st.sampled_from(
        [
            (pa.list_(kind), many),
            (pa.large_list(kind), many),
            (pa.list_view(kind), many),
            (pa.large_list_view(kind), many),
            (pa.list_(kind, 2), two),
        ]
    )


def _map_of(item: Typed) -> Typed:
    kind, values = item
    pairs = st.lists(st.tuples(st.text("ab", max_size=2), values), max_size=4)
    return pa.map_(pa.string(), kind), st.none() | pairs


def _struct_of(items: list[Typed]) -> Typed:
    names = [f"f{i}" for i in range(len(items))]
    kind = pa.struct(list(zip(names, (kind for kind, _ in items), strict=True)))
    rows = st.fixed_dictionaries(
        {name: values for name, (_, values) in zip(names, items, strict=True)}
    )
    return kind, st.none() | rows


typed = st.recursive(
    st.sampled_from([(kind, st.none() | values) for kind, values in _LEAVES.items()]),
    lambda inner: st.one_of(
        inner.flatmap(_lists_of),
        inner.map(_map_of),
        st.lists(inner, min_size=1, max_size=7).map(_struct_of),
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("nested")


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_nesting(folder, data):
    kind, values = data.draw(typed)
    rows = data.draw(st.lists(values, min_size=1, max_size=12))
    column = pa.array(rows, kind)
    batch_size = data.draw(st.integers(1, 13))
    path = write_ipc(folder / f"{next(_numbers)}.arrow", column)
    assert_same(read(path, batch_size), column.to_pylist(), str(kind))
    path.unlink()


# A new name for each file: a cache of ours may tell files apart by name, size and time.
_numbers = itertools.count()
