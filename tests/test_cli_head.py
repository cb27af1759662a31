# SPDX-License-Identifier: Apache-2.0
"""`fast-axolotl head`: rows as JSON and as tables."""

import base64
import datetime as dt
import decimal
import json

import make_sample_data as maker
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ROWS, json_lines, output

pytestmark = pytest.mark.usefixtures("cache")


def test_head_prints_ten_rows_as_json(rows_file):
    assert json_lines("head", rows_file) == ROWS[:10]


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_head_prints_so_many_rows(rows_file, count, batch_size):
    args = ["-n", count, "--batch-size", batch_size]
    assert json_lines("head", rows_file, *args) == ROWS[:count]


@pytest.mark.parametrize(
    "args", [["--columns", "output,id"], ["--columns", "output", "--columns", "id"]]
)
def test_head_prints_the_columns_asked_for_in_their_order(rows_file, args):
    lines = json_lines("head", rows_file, *args)
    assert [list(line) for line in lines] == [["output", "id"]] * 10


def test_head_reads_folders_globs_and_several_paths(tmp_path):
    maker.write_parts(tmp_path / "parts", ".jsonl", ROWS, 4)
    for paths in (
        [tmp_path / "parts"],
        [tmp_path / "**" / "*.jsonl"],
        sorted((tmp_path / "parts").iterdir()),
    ):
        assert json_lines("head", *paths, "-n", "100") == ROWS


def test_head_takes_the_format_that_it_is_told(tmp_path, rows_file):
    path = tmp_path / "rows.txt"
    path.write_bytes(rows_file.read_bytes())
    assert json_lines("head", path, "--format", "jsonl", "-n", "100") == ROWS


def test_head_prints_rows_that_have_no_columns(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("{}\n{}\n{}\n")
    assert json_lines("head", path, "-n", "2") == [{}, {}]


def test_head_prints_a_table(rows_file):
    text = output("head", rows_file, "-n", "3")
    assert all(name in text for name in ROWS[0])
    assert ROWS[0]["instruction"] in text
    assert text.count("├") == 2  # lines between three rows


def test_head_prints_many_columns_one_row_under_another(tmp_path):
    path = tmp_path / "wide.jsonl"
    path.write_text(json.dumps({f"column-{i}": f"value-{i}" for i in range(40)}) + "\n")
    text = output("head", path, width=80)
    assert "row 1" in text
    for i in range(40):
        assert any(
            f"column-{i} " in line and f"value-{i} " in line for line in text.split("\n")
        )


def test_head_of_a_file_without_rows(tmp_path):
    path = tmp_path / "header.csv"
    path.write_text("a,b\n")
    assert output("head", path) == "no rows; columns: a, b\n"
    assert json_lines("head", path) == []


def test_tables_show_data_as_it_is(tmp_path):
    """Neither markup nor emoji names nor control characters do anything."""
    path = tmp_path / "tricky.jsonl"
    row = {"[b]": "[red]x[/red] :smile: \x1b[31m\r\ud800 é"}
    path.write_text(json.dumps(row) + "\n")
    text = output("head", path)
    assert "[b]" in text
    assert "[red]x[/red] :smile: \\x1b[31m\\r\\ud800 é" in text
    assert json_lines("head", path) == [row]


def test_tables_are_printed_in_any_encoding(tmp_path):
    path = tmp_path / "greek.jsonl"
    path.write_text('{"text": "λίγο"}\n', encoding="utf-8")
    text = output("head", path, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert "\\u03bb" in text


def test_what_json_cannot_hold_becomes_a_string(tmp_path):
    zone = dt.UTC
    table = pa.table(
        {
            "bytes": pa.array([b"\x00\xff"]),
            "time": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 456, zone)]),
            "date": pa.array([dt.date(1999, 12, 31)]),
            "clock": pa.array([dt.time(23, 59, 1)]),
            "long": pa.array(
                [dt.timedelta(days=1, hours=1, seconds=61, milliseconds=500)]
            ),
            "back": pa.array([dt.timedelta(seconds=-2)]),
            "decimal": pa.array([decimal.Decimal("1.20")]),
            "floats": pa.array([[float("nan"), float("inf"), float("-inf"), 0.5]]),
            "map": pa.array([[("k", b"v")]], pa.map_(pa.string(), pa.binary())),
        }
    )
    path = tmp_path / "values.parquet"
    pq.write_table(table, path)
    assert json_lines("head", path) == [
        {
            "bytes": base64.b64encode(b"\x00\xff").decode(),
            "time": "2024-02-29T01:02:03.000456+00:00",
            "date": "1999-12-31",
            "clock": "23:59:01",
            "long": "PT90061.5S",
            "back": "-PT2S",
            "decimal": "1.20",
            "floats": ["NaN", "Infinity", "-Infinity", 0.5],
            "map": [["k", "dg=="]],
        }
    ]
    assert "PT90061.5S" in output("head", path)
