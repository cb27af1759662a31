# SPDX-License-Identifier: Apache-2.0
"""One array or more for every Arrow type, each with nulls where it can have them."""

from __future__ import annotations

import datetime as dt
import math
import struct
import uuid
from decimal import Decimal

import pyarrow as pa

MICROS = [
    0,
    1,
    -1,
    1_700_000_000_123_456,
    -62_135_596_800_000_000,
    None,
    951_782_400_000_000,
]
# Around the hour that comes twice in New York (fold) and the one that never comes.
FOLDS = [1_699_163_999, 1_699_164_000, 1_699_167_600, 1_678_604_400, None, -5_000_000_000]
TEXTS = [
    "",
    "a",
    None,
    "plain ascii text, longer than a word",
    "é",
    "naïve 漢字 🦎",
    "\0",
    "\x7f",
]
BLOBS = [b"", b"\x00\xff", None, b"0123456789abcdef", b"a" * 300]


def _half(*values: float | None) -> pa.Array:
    return pa.array(values, pa.float16())


def _dictionary(
    values: pa.Array, indices: list[int | None], kind: pa.DataType
) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices, kind), values)


def _extension(kind: pa.DataType, storage: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, storage)


def _integers() -> dict[str, pa.Array]:
    cases = {}
    for bits in (8, 16, 32, 64):
        top = 2 ** (bits - 1)
        signed = [-top, -1025, -1024, -6, -1, 0, 1, 256, 257, 262_143, 262_144, top - 1]
        kept = [value for value in signed if -top <= value < top]
        cases[f"int{bits}"] = pa.array([*kept, None], f"int{bits}")
        unsigned = [0, 255, 262_143, 262_144, 2 * top - 1025, 2 * top - 1024, 2 * top - 1]
        kept = [value for value in unsigned if 0 <= value < 2 * top]
        cases[f"uint{bits}"] = pa.array([*kept, None], f"uint{bits}")
    return cases


def _floats() -> dict[str, pa.Array]:
    special = [math.inf, -math.inf, math.nan, 0.0, -0.0, None]
    return {
        "float16": _half(1.5, 65504.0, 5.960464477539063e-08, -0.1, *special),
        "float32": pa.array([0.1, 3.4e38, 1e-45, *special], pa.float32()),
        "float64": pa.array(
            [0.1, 5e-324, 1.7976931348623157e308, *special], pa.float64()
        ),
    }


def _decimals() -> dict[str, pa.Array]:
    values = [Decimal("1.50"), Decimal("-0.01"), Decimal(0), None, Decimal("12345.67")]
    cases = {
        f"decimal{width}": pa.array(values, getattr(pa, f"decimal{width}")(9, 2))
        for width in (32, 64, 128, 256)
    }
    cases["decimal128_widest"] = pa.array(
        [Decimal("9" * 38), Decimal("-" + "9" * 38), None], pa.decimal128(38, 0)
    )
    cases["decimal128_tiny"] = pa.array(
        [Decimal("1E-38"), Decimal("-1E-12"), Decimal(0), None], pa.decimal128(38, 38)
    )
    cases["decimal256_widest"] = pa.array([Decimal("9" * 76), None], pa.decimal256(76, 0))
    cases["decimal256_negative_scale"] = pa.array(
        [Decimal("1.25E+6"), Decimal(0), None], pa.decimal256(70, -3)
    )
    return cases


def _texts() -> dict[str, pa.Array]:
    cases = {
        name: pa.array(TEXTS, getattr(pa, name)())
        for name in ("string", "large_string", "string_view")
    }
    for name in ("binary", "large_binary", "binary_view"):
        cases[name] = pa.array(BLOBS, getattr(pa, name)())
    cases["fixed_size_binary"] = pa.array([b"abc", None, b"\x00\x01\xff"], pa.binary(3))
    cases["fixed_size_binary_0"] = pa.array([b"", None, b""], pa.binary(0))
    return cases


def _temporals() -> dict[str, pa.Array]:
    dates = [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2000, 2, 29), None]
    dates += [dt.date(1970, 1, 1), dt.date(1969, 12, 31), dt.date(1900, 3, 1)]
    day = 86_400
    cases = {
        "date32": pa.array(dates, pa.date32()),
        "date64": pa.array(dates, pa.date64()),
        "time32_s": pa.array([0, day - 1, None, 3661], pa.time32("s")),
        "time32_ms": pa.array([0, day * 1000 - 1, None, 3_661_001], pa.time32("ms")),
        "time64_us": pa.array([0, day * 10**6 - 1, None, 1_000_001], pa.time64("us")),
        "time64_ns": pa.array([0, day * 10**9 - 1000, None, 1_001_000], pa.time64("ns")),
    }
    divisors = {"s": 10**6, "ms": 1000, "us": 1}
    zones = (
        None,
        "UTC",
        "America/New_York",
        "Asia/Kathmandu",
        "+05:30",
        "-23:59",
        "+00:00",
    )
    for unit, divisor in divisors.items():
        values = [None if value is None else value // divisor for value in MICROS]
        cases[f"duration_{unit}"] = pa.array(values, pa.duration(unit))
        cases[f"timestamp_{unit}"] = pa.array(values, pa.timestamp(unit))
        per_second = 10**6 // divisor
        folds = [None if value is None else value * per_second for value in FOLDS]
        for zone in zones[1:]:
            cases[f"timestamp_{unit}_{zone}"] = pa.array(folds, pa.timestamp(unit, zone))
    # Whole microseconds only: what has more is an error and has its own test.
    exact = [0, 1000, -1000, 1_700_000_000_123_456_000, None]
    cases["duration_ns"] = pa.array(exact, pa.duration("ns"))
    for zone in zones:
        cases[f"timestamp_ns_{zone}"] = pa.array(exact, pa.timestamp("ns", zone))
    cases["timestamp_us_first_and_last"] = pa.array(
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)],
        pa.timestamp("us"),
    )
    cases["duration_us_first_and_last"] = pa.array(
        [-(2**63) + 1, 2**63 - 1], pa.duration("us")
    )
    cases["duration_s_first_and_last"] = pa.array(
        [-999_999_999 * day, 999_999_999 * day + day - 1], pa.duration("s")
    )
    cases["timestamp_of_nulls_in_no_zone"] = pa.array(
        [None, None], pa.timestamp("us", "Atlantis/Capital")
    )
    cases["month_day_nano_interval"] = pa.array(
        [pa.MonthDayNano([1, -15, 2**40]), None, pa.MonthDayNano([0, 0, -1])],
        pa.month_day_nano_interval(),
    )
    return cases


def _lists() -> dict[str, pa.Array]:
    rows = [[1, 2, None], [], None, [300_000, -7], [0] * 100]
    cases = {
        "list": pa.array(rows, pa.list_(pa.int32())),
        "large_list": pa.array(rows, pa.large_list(pa.int64())),
        "list_view": pa.array(rows, pa.list_view(pa.int32())),
        "large_list_view": pa.array(rows, pa.large_list_view(pa.int32())),
        "fixed_size_list": pa.array([[1, None], None, [3, 4]], pa.list_(pa.int16(), 2)),
        "fixed_size_list_0": pa.array([[], None, []], pa.list_(pa.int16(), 0)),
        "list_of_string": pa.array([TEXTS, None, [], ["x"]], pa.list_(pa.string())),
        "list_of_null": pa.array([[None, None], None, []], pa.list_(pa.null())),
        "list_of_list": pa.array([[[1], None, []], None, [[2, None]]]),
        "list_of_bool": pa.array([[True, None, False] * 9, None]),
    }
    # Views may overlap and come in any order.
    cases["list_view_out_of_order"] = pa.ListViewArray.from_arrays(
        pa.array([4, 0, 2, 0], pa.int32()),
        pa.array([2, 3, 2, 0], pa.int32()),
        pa.array(["a", None, "c", "d", "e", "f"]),
    )
    # The values under a null row are no part of the data.
    cases["list_with_values_under_null"] = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()),
        pa.array([1, 2, 3, 4, 5]),
        mask=pa.array([False, True, False]),
    )
    return cases


def _structs() -> dict[str, pa.Array]:
    messages = [
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hé"}],
        None,
        [],
        [{"role": None, "content": "x"}, None],
    ]
    wide = {f"field_{i}": i for i in range(20)}
    # A date no datetime.date can hold, under a null struct: never looked at.
    masked = pa.StructArray.from_arrays(
        [pa.array([0, 20_000_000, 1], pa.date32())],
        names=["day"],
        mask=pa.array([False, True, False]),
    )
    return {
        "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}] * 70),
        "struct_wide": pa.array([wide, None, wide]),
        "struct_empty": pa.array([{}, None, {}], pa.struct([])),
        "struct_odd_names": pa.array([{"": 1, "é 漢": 2, "\0": 3}, None]),
        "struct_of_struct": pa.array(
            [{"a": {"b": [1]}}, {"a": None}, None, {"a": {"b": None}}]
        ),
        "struct_under_null": masked,
        "list_of_struct": pa.array(messages),
        "map": pa.array(
            [[("a", 1), ("b", None)], None, [], [("a", 1), ("a", 2)]],
            pa.map_(pa.string(), pa.int64()),
        ),
        "map_large": pa.array(
            [[(i, str(i)) for i in range(200)], None], pa.map_(pa.int16(), pa.string())
        ),
        "map_of_list": pa.array(
            [[(1, [{"x": 1}, None]), (2, None)], None],
            pa.map_(pa.int8(), pa.list_(pa.struct([("x", pa.int8())]))),
        ),
    }


def _encoded() -> dict[str, pa.Array]:
    words = pa.array(["red", "blue", "green", "ü"])
    indices = [0, 2, None, 1, 3, 0, 2]
    cases = {
        f"dictionary_{kind}": _dictionary(words, indices, pa.type_for_alias(kind))
        for kind in (
            "int8",
            "uint8",
            "int16",
            "uint16",
            "int32",
            "uint32",
            "int64",
            "uint64",
        )
    }
    # More values than one batch has use for, in an order that never comes back.
    many = 40_000
    cases["dictionary_large"] = _dictionary(
        pa.array([str(i) for i in range(many)]),
        [i * 16_384 % many for i in range(3000)],
        pa.int32(),
    )
    cases["dictionary_of_nulls"] = _dictionary(
        pa.array(["red", None]), [0, 1, None, 1], pa.int8()
    )
    cases["dictionary_of_type_null"] = _dictionary(
        pa.nulls(3), [0, None, 2, 1], pa.int8()
    )
    cases["dictionary_of_lists"] = _dictionary(
        pa.array([[1, 2], None, [], [3]]), indices, pa.int32()
    )
    cases["dictionary_of_dates"] = _dictionary(
        pa.array([0, 1, 20_000_000], pa.date32()), [0, 1, 0, None], pa.int8()
    )
    cases["dictionary_empty"] = _dictionary(words.slice(0, 0), [None, None], pa.int8())
    for kind in ("int16", "int32", "int64"):
        ends = pa.array([2, 3, 7, 8], kind)
        values = pa.array(["red", None, "green", "ü"])
        cases[f"run_end_{kind}"] = pa.RunEndEncodedArray.from_arrays(ends, values)
    cases["run_end_of_lists"] = pa.RunEndEncodedArray.from_arrays(
        pa.array([2, 5], pa.int32()), pa.array([[1], None])
    )
    codes = pa.array([0, 1, 0, 0, 1, 2, 1, 1], pa.int8())
    numbers = pa.array([1, None, 3, 4, 5, 6, 7, 8])
    texts = pa.array(["a", "b", None, "d", "e", "f", "g", "h"])
    nested = pa.array([[1], None, [], [2], [3], [4], [5], [6]])
    cases["sparse_union"] = pa.UnionArray.from_sparse(codes, [numbers, texts, nested])
    cases["dense_union"] = pa.UnionArray.from_dense(
        codes, pa.array([0, 0, 1, 2, 1, 0, 5, 7], pa.int32()), [numbers, texts, nested]
    )
    cases["union_type_codes"] = pa.UnionArray.from_sparse(
        pa.array([7, 90, 7], pa.int8()),
        [numbers.slice(0, 3), texts.slice(0, 3)],
        ["number", "text"],
        [7, 90],
    )
    cases["list_of_dictionary"] = pa.ListArray.from_arrays(
        pa.array([0, 3, 3, 7], pa.int32()), _dictionary(words, indices, pa.int8())
    )
    cases["struct_of_encoded"] = pa.StructArray.from_arrays(
        [
            _dictionary(words, indices, pa.int16()),
            pa.UnionArray.from_sparse(
                codes.slice(0, 7), [x.slice(0, 7) for x in (numbers, texts, nested)]
            ),
        ],
        names=["word", "either"],
    )
    return cases


def _extensions() -> dict[str, pa.Array]:
    ids = [uuid.UUID(int=2**127 + 5).bytes, None, bytes(16)]
    tensor = pa.fixed_shape_tensor(pa.int32(), [2])
    return {
        "uuid": _extension(pa.uuid(), pa.array(ids, pa.binary(16))),
        "bool8": _extension(pa.bool8(), pa.array([0, 1, -3, None], pa.int8())),
        "json": _extension(pa.json_(), pa.array(['{"a": 1}', None, "[]"])),
        "opaque": _extension(
            pa.opaque(pa.int32(), "kind", "vendor"), pa.array([1, None], pa.int32())
        ),
        "tensor": _extension(tensor, pa.array([[1, 2], None], pa.list_(pa.int32(), 2))),
        "list_of_uuid": pa.ListArray.from_arrays(
            pa.array([0, 2, 2, 3], pa.int32()),
            _extension(pa.uuid(), pa.array(ids, pa.binary(16))),
        ),
    }


CASES: dict[str, pa.Array] = {
    "null": pa.nulls(5),
    "bool": pa.array([True, False, None] * 7),
    "bool_without_nulls": pa.array([True, False] * 9),
    **_integers(),
    **_floats(),
    **_decimals(),
    **_texts(),
    **_temporals(),
    **_lists(),
    **_structs(),
    **_encoded(),
    **_extensions(),
}


def to_pylist(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """The values by pyarrow, which makes pandas objects of nanoseconds where it can."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz))
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"))
    return column.to_pylist()


def assert_same(actual: object, expected: object, place: str = "value") -> None:
    """Equal in value and type, all the way down; NaN equals NaN, 0.0 is not -0.0."""
    assert type(actual) is type(expected), f"{place}: {actual!r} is not {expected!r}"
    if isinstance(expected, list | tuple):
        assert len(actual) == len(expected), f"{place}: {actual!r} is not {expected!r}"
        for i, (mine, theirs) in enumerate(zip(actual, expected, strict=True)):
            assert_same(mine, theirs, f"{place}[{i}]")
    elif isinstance(expected, dict):
        assert list(actual) == list(expected), f"{place}: {actual!r} is not {expected!r}"
        for key, theirs in expected.items():
            assert_same(actual[key], theirs, f"{place}[{key!r}]")
    elif isinstance(expected, float):
        both_nan = math.isnan(actual) and math.isnan(expected)
        same_bits = struct.pack("d", actual) == struct.pack("d", expected)
        assert both_nan or same_bits, f"{place}: {actual!r} is not {expected!r}"
    elif isinstance(expected, Decimal):
        assert actual.as_tuple() == expected.as_tuple(), f"{place}: {actual!r}"
    elif isinstance(expected, dt.datetime):
        facts = (actual, actual.tzinfo, actual.utcoffset(), actual.fold)
        theirs = (expected, expected.tzinfo, expected.utcoffset(), expected.fold)
        assert facts == theirs, f"{place}: {actual!r} is not {expected!r}"
    else:
        assert actual == expected, f"{place}: {actual!r} is not {expected!r}"
