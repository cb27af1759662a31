# SPDX-License-Identifier: Apache-2.0
"""schema=: the types that a caller gives to columns."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.feather
import pytest
from formats import FORMATS, exact, read_batches, read_rows, read_until_error, table

from fast_axolotl import streaming_dataset_reader


def file_of(tmp_path, suffix, values, name="x"):
    (format_,) = (f for f in FORMATS if f.suffix == suffix and f.id != "json_pretty"
                  and not f.id.startswith("json_"))  # fmt: skip
    path = tmp_path / f"data{suffix}"
    path.write_bytes(format_.write(table(**{name: values, "other": ["o"] * len(values)})))
    return path


def typed(path, kind, name="x", **options):
    with streaming_dataset_reader(path, schema={name: kind}, **options) as reader:
        schema = reader.schema[name]
        return schema, [value for batch in reader for value in batch[name]]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("kind", "arrow", "values", "wanted"),
    [
        ("float64", pa.float64(), [1, None, 2], [1.0, None, 2.0]),
        ("double", pa.float64(), [1, None, 2], [1.0, None, 2.0]),
        ("int32", pa.int32(), [1, None, -2], [1, None, -2]),
        ("uint8", pa.uint8(), [1, None, 255], [1, None, 255]),
        ("float32", pa.float32(), [0.5, None], [0.5, None]),
        ("float16", pa.float16(), [0.5, None], [0.5, None]),
        ("int64", pa.int64(), [1, None, 2], [1, None, 2]),
        ("string", pa.string(), ["a", None], ["a", None]),
        ("large_string", pa.large_string(), ["a", None], ["a", None]),
        ("bool", pa.bool_(), [True, None, False], [True, None, False]),
        ("date32", pa.date32(), ["2024-02-29", None], [dt.date(2024, 2, 29), None]),
        (
            "timestamp[s]", pa.timestamp("s"), ["2024-02-29 12:30:00", None],
            [dt.datetime(2024, 2, 29, 12, 30), None],
        ),
    ],
    ids=lambda v: str(v) if isinstance(v, (str, pa.DataType)) else "",
)  # fmt: skip
def test_a_type_by_name_and_by_arrow_type(suffix, kind, arrow, values, wanted, tmp_path):
    path = file_of(tmp_path, suffix, values)
    by_name, got = typed(path, kind)
    assert exact(got) == exact(wanted)
    by_type, also = typed(path, arrow)
    assert by_name == by_type
    assert exact(also) == exact(wanted)
    assert typed(path, by_name)[0] == by_name
    with streaming_dataset_reader(path, schema=pa.schema([("x", arrow)])) as reader:
        assert reader.schema["x"] == by_name


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_types_of_nested_values(suffix, tmp_path):
    path = file_of(tmp_path, suffix, [[1, 2], None, []])
    for kind in ("list<float64>", "list<item: double>", pa.list_(pa.float64())):
        assert exact(typed(path, kind)[1]) == exact([[1.0, 2.0], None, []])
    path = file_of(tmp_path, suffix, [{"a": 1, "b": "x"}, None])
    for kind in ("struct<a: int64, b: string>",
                 pa.struct([("a", pa.int64()), ("b", pa.string())])):  # fmt: skip
        assert typed(path, kind)[1] == [{"a": 1, "b": "x"}, None]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_types_that_no_json_reader_knows(suffix, tmp_path):
    path = file_of(tmp_path, suffix, [1, None, -2])
    assert typed(path, "duration[s]")[1] == [
        dt.timedelta(seconds=1), None, dt.timedelta(seconds=-2)
    ]  # fmt: skip
    path = file_of(tmp_path, suffix, [[1, 2], None, []])
    assert typed(path, "large_list<int8>")[1] == [[1, 2], None, []]
    path = file_of(tmp_path, suffix, [[0.5], None, []])
    assert exact(typed(path, "list<float16>")[1]) == exact([[0.5], None, []])


def test_a_number_may_be_read_as_its_spelling_from_csv(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,y\n007,1.50\n1,2\n")
    assert read_rows(path, schema={"x": "string", "y": "string"}) == [
        {"x": "007", "y": "1.50"},
        {"x": "1", "y": "2"},
    ]
    assert read_rows(path, schema={"x": "int64", "y": "decimal128(5, 2)"})[1:] == [
        {"x": 1, "y": Decimal("2.00")}
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", [1, 2, "x", 4]),
        ("int8", [1, 2, 300, 4]),
        ("int64", [1, 2, 2.5, 4]),
        ("uint8", [1, 2, -1, 4]),
    ],
)
def test_a_value_that_does_not_fit_the_type_given(suffix, kind, values, tmp_path):
    if suffix in {".parquet", ".arrow"} and len({type(v) for v in values}) > 1:
        values = ["1", "2", "x", "4"] if "x" in values else [1.0, 2.0, 2.5, 4.0]
        if "x" in values:
            # Of another kind altogether: no value fits.
            rows, error = read_until_error(
                file_of(tmp_path, suffix, values), schema={"x": kind}
            )
            assert rows == []
            assert error is not None
            return
    path = file_of(tmp_path, suffix, values)
    for batch_size in (1, 1000):
        rows, error = read_until_error(path, batch_size, schema={"x": kind})
        assert [row["x"] for row in rows] == values[:2]
        message = str(error)
        assert path.name in message
        assert '"x"' in message
        assert kind in message
        assert "line 4" in message if suffix == ".csv" else True
        assert "line 3" in message if suffix == ".jsonl" else True
        assert "row 3" in message if suffix in {".parquet", ".arrow"} else True


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    "values", [[0, 1, 2], [1.0, 2.5], ["yes"], ["", "true"]], ids=repr
)
def test_only_bools_are_bools(suffix, values, tmp_path):
    path = file_of(tmp_path, suffix, values)
    rows, error = read_until_error(path, schema={"x": "bool"})
    assert [row["x"] for row in rows] in ([], [bool(value) for value in values[:-1]])
    assert path.name in str(error)


def test_json_type(tmp_path):
    path = tmp_path / "data.jsonl"
    values = [{"a": 1}, [1, "x"], None, 2.5, "s", 10**30]
    path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
    assert exact(typed(path, "json")) == exact(("json", values))
    path.write_text('{"x": 1}\n{"x": 2}\n')
    assert exact(typed(path, "json")) == exact(("json", [1, 2]))


def test_json_type_of_strings_that_hold_json(tmp_path):
    """Tool calls are often kept so in Parquet and CSV."""
    texts = ['{"a": [1, 2.0]}', "null", "7", '"s"', "[]"]
    values = [json.loads(text) for text in texts]
    for suffix in (".parquet", ".csv", ".arrow"):
        path = file_of(tmp_path, suffix, [*texts, None])
        assert exact(typed(path, "json")) == exact(("json", [*values, None]))
        path = file_of(tmp_path, suffix, [*texts, "{oops"])
        rows, error = read_until_error(path, schema={"x": "json"})
        assert [row["x"] for row in rows] == values
        assert path.name in str(error)


def test_a_type_for_a_column_that_is_not_there(tmp_path):
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = file_of(tmp_path, suffix, [1, 2])
        assert read_rows(path, schema={"more": "int64"}, columns=["more", "x"]) == [
            {"more": None, "x": 1},
            {"more": None, "x": 2},
        ]
        (row, _) = read_rows(path, schema={"more": "int64"})
        assert row == {"x": 1, "other": "o", "more": None}


def test_a_column_named_in_schema_that_comes_late(tmp_path):
    path = tmp_path / "data.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps({"text": "x" * 1000}) + "\n" for _ in range(8000))
        file.write('{"late": 1}\n')
    with pytest.raises(ValueError, match="late"):
        streaming_dataset_reader(path, columns=["late"])
    batches = read_batches(path, 8000, columns=["late"], schema={"late": "int64"})
    assert batches == [{"late": [None] * 8000}, {"late": [1]}]


def test_files_of_two_types(tmp_path):
    """The schema widens; the values of a typed file stay what they are in their file."""
    for suffix, wanted in (
        (".parquet", [1, 2, 0.5]),
        (".arrow", [1, 2, 0.5]),
        (".csv", [1.0, 2.0, 0.5]),
    ):
        paths = []
        for i, values in enumerate([[1, 2], [0.5]]):
            (tmp_path / str(i)).mkdir(exist_ok=True)
            paths.append(file_of(tmp_path / str(i), suffix, values))
        with streaming_dataset_reader(paths, columns=["x"]) as reader:
            assert reader.schema == {"x": "float64"}
            assert exact(list(reader)) == exact([{"x": wanted}]), suffix
