# SPDX-License-Identifier: Apache-2.0
"""CSV: kinds, nulls, quotes, row ends, and the errors that name the cell."""

import csv
import io
import re

import pytest
from formats import exact, read_batches, read_rows, read_until_error
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fast_axolotl
from fast_axolotl import CsvOptions

FIXED = settings(
    deadline=None,
    derandomize=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)


def write(folder, text, name="data.csv"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def column(folder, *cells, **options):
    """The values and the type of a column; a second one keeps blank lines from being
    rows."""
    path = write(folder, "x,end\n" + "".join(f"{cell},.\n" for cell in cells))
    with fast_axolotl.streaming_dataset_reader(path, **options) as reader:
        kind = reader.schema["x"]
        return kind, [value for batch in reader for value in batch["x"]]


def assert_column(folder, kind, values, *cells):
    got = column(folder, *cells)
    assert exact(got) == exact((kind, values))


# --- kinds ----------------------------------------------------------------------------


def test_integers(tmp_path):
    assert_column(tmp_path, "int64", [0, -1, 42], "0", "-1", "42")
    top = ["9223372036854775807", "-9223372036854775808"]
    assert_column(tmp_path, "int64", [int(text) for text in top], *top)


@pytest.mark.parametrize(
    "text",
    [
        "007", "00", "-01", "+1", " 1", "1 ", "1_000", "1,000", "0x10", "1.0.0", "--1",
        "-",
        "\u0661", "12:30", "2024-01-01", "1e", "e5", ".", "-.", "1e+", "0b1", "1f",
        "1L", "½",
        "+1.5", "01.5", "-00.1", " 1.5", "1.5 ", "1.5f", "0x1p3", "1e5.0", "1 2", "True",
        "TRUE", "False", "yes", "t", "0true", "None", "null", "NULL", "NA", "N/A", "#N/A",
        "nil", "-nan", "NAN", "INF", "+inf", "infinit", "true ", " false", "-true", "1\t",
    ],
)  # fmt: skip
def test_what_no_number_nor_bool_looks_like_stays_a_string(text, tmp_path):
    quoted = f'"{text}"' if "," in text else text
    assert_column(tmp_path, "string", [text], quoted)
    # One such cell makes its whole column a column of strings, as they are written.
    assert_column(tmp_path, "string", ["1", text, "2"], "1", quoted, "2")
    assert_column(tmp_path, "string", ["true", text], "true", quoted)


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1" + "0" * 30,
    ],
)
def test_integers_beyond_64_bits_are_strings(text, tmp_path):
    assert_column(tmp_path, "string", [text], text)
    assert_column(tmp_path, "string", ["1", text], "1", text)
    assert_column(tmp_path, "string", ["0.5", text], "0.5", text)


def test_floats(tmp_path):
    cells = ["0.5", "-1.25", "1e5", "1E-3", "1e400", "-0.0", "5e-324", "0.1", "1e+2"]
    assert_column(tmp_path, "float64", [float(cell) for cell in cells], *cells)
    assert_column(tmp_path, "float64", [1.0, 2.5], "1", "2.5")
    assert_column(tmp_path, "float64", [float("nan"), 1.0], "nan", "1")
    assert_column(tmp_path, "float64", [float("inf"), float("-inf")], "inf", "-inf")


@FIXED
@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_floats_as_python_writes_them(tmp_path_factory, values):
    folder = tmp_path_factory.getbasetemp()
    assert_column(folder, "float64", [float(v) for v in values], *map(repr, values))


@FIXED
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_integers_as_python_writes_them(tmp_path_factory, values):
    assert_column(tmp_path_factory.getbasetemp(), "int64", values, *map(str, values))


def test_bools(tmp_path):
    assert_column(tmp_path, "bool", [True, False], "true", "false")
    assert_column(tmp_path, "string", ["true", "1"], "true", "1")
    assert_column(tmp_path, "string", ["0.5", "false"], "0.5", "false")


def test_kinds_are_those_of_the_whole_sample(tmp_path):
    """Not of the first block: 2 MB of integers, then another kind."""
    cells = ["1"] * 500_000
    assert column(tmp_path, *cells, "x")[0] == "string"
    assert column(tmp_path, *cells, "0.5") == ("float64", [1.0] * 500_000 + [0.5])


def test_dates_stay_strings(tmp_path):
    cells = ["2024-01-31", "2024-01-31T12:00:00Z", "12:00"]
    assert_column(tmp_path, "string", cells, *cells)


# --- nulls ----------------------------------------------------------------------------


def test_only_an_empty_cell_without_quotes_is_null(tmp_path):
    assert_column(tmp_path, "string", ["a", None, "", None], "a", "", '""', "")
    assert_column(tmp_path, "int64", [1, None, 2], "1", "", "2")
    assert_column(tmp_path, "float64", [None, 0.5], "", "0.5")
    assert_column(tmp_path, "bool", [True, None], "true", "")
    assert_column(tmp_path, "string", [" ", "  "], " ", "  ")
    # A quoted empty cell is no integer.
    assert_column(tmp_path, "string", ["1", ""], "1", '""')


def test_a_column_without_values_is_string(tmp_path):
    assert_column(tmp_path, "string", [None, None], "", "")
    assert_column(tmp_path, "string", [])


def test_quotes_do_not_change_the_kind(tmp_path):
    assert_column(tmp_path, "int64", [1, 2], '"1"', '"2"')
    assert_column(tmp_path, "bool", [True], '"true"')


# --- quotes and row ends --------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"a,b"', "a,b"),
        ('"a\nb"', "a\nb"),
        ('"a\r\nb"', "a\r\nb"),
        ('"a\rb"', "a\rb"),
        ('"\n"', "\n"),
        ('"say ""hi"""', 'say "hi"'),
        ('""""', '"'),
        ('""""""', '""'),
        ('"a"""', 'a"'),
        ('"""a"', '"a'),
        ('a"b', 'a"b'),
        ('a""b', 'a""b'),
        ('5" pipe', '5" pipe'),
        ('a "quoted" word', 'a "quoted" word'),
        (' "a"', ' "a"'),
        ("it's", "it's"),
        ("back\\slash", "back\\slash"),
        ('"back\\"', "back\\"),
        ("#no comment", "#no comment"),
        ("漢字 🦎", "漢字 🦎"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_cell(cell, value, newline, tmp_path):
    """In every place of a row, with every row end."""
    for row in (f"{cell},1,2", f"1,{cell},2", f"1,2,{cell}", f"{cell},{cell},{cell}"):
        for end in ("", newline):
            text = f"a,b,c{newline}{row}{newline}x,y,z{end}"
            rows = read_rows(write(tmp_path, text), schema=dict.fromkeys("abc", "string"))
            want = [
                value if part == "V" else part
                for part in row.replace(cell, "V").split(",")
            ]
            assert [list(r.values()) for r in rows] == [want, ["x", "y", "z"]]


CELLS = st.text(st.sampled_from(list("ab\",\n\r\t ;é漢🦎\\'")), max_size=6)


@FIXED
@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from(",;\t|"),
    batch_size=st.sampled_from([1, 3, 1000]),
)
def test_what_the_csv_module_writes(
    tmp_path_factory, rows, newline, quoting, delimiter, batch_size
):
    if quoting == csv.QUOTE_MINIMAL:
        # The module quotes only the characters of its own row end.
        bare = dict.fromkeys(map(ord, set("\r\n") - set(newline)))
        rows = [[cell.translate(bare) for cell in row] for row in rows]
    out = io.StringIO()
    writer = csv.writer(
        out, lineterminator=newline, quoting=quoting, delimiter=delimiter, strict=True
    )
    writer.writerows([["a", "b"], *rows])
    path = write(tmp_path_factory.getbasetemp(), out.getvalue())
    got = read_rows(
        path,
        batch_size,
        csv=CsvOptions(delimiter=delimiter),
        schema={"a": "string", "b": "string"},
    )
    empty = "" if quoting == csv.QUOTE_ALL else None
    assert got == [{"a": a or empty, "b": b or empty} for a, b in rows]


def test_quoted_newlines_across_blocks(tmp_path):
    rows = [[str(i), f'line\n"{"x" * (i % 300)}"\r\n,' * (i % 5)] for i in range(6000)]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["i", "text"], *rows])
    path = write(tmp_path, out.getvalue())
    for threads in (1, 8):
        got = read_rows(path, 999, num_threads=threads, schema={"i": "string"})
        assert [list(row.values()) for row in got] == rows


def test_lone_carriage_returns_across_blocks(tmp_path):
    for quote in ("", '"'):
        text = f"{quote}a{quote},b\r" + "".join(
            f"{quote}row {i}{quote},{i}\r" for i in range(200_000)
        )
        path = write(tmp_path, text)
        with fast_axolotl.streaming_dataset_reader(path, 1, read_ahead_bytes=1) as reader:
            assert next(reader) == {"a": ["row 0"], "b": [0]}
            # Rows that end so are framed as they come, not all at the end.
            assert reader.bytes_read < reader.bytes_total
        got = read_batches(path, 200_000)
        assert [batch["b"] for batch in got] == [list(range(200_000))]


# --- blank lines and widths -----------------------------------------------------------


def test_blank_lines_are_skipped(tmp_path):
    text = "\n\na,b\n\n1,2\n\n\n3,4\n\n"
    assert read_rows(write(tmp_path, text)) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    text = text.replace("\n", "\r\n")
    assert read_rows(write(tmp_path, text)) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_a_blank_line_of_a_single_column_is_a_null(tmp_path):
    path = write(tmp_path, 'a\n\n1\n\n""\n\n')
    assert read_rows(path, schema={"a": "string"}) == [
        {"a": None},
        {"a": "1"},
        {"a": None},
        {"a": ""},
        {"a": None},
    ]
    assert read_rows(write(tmp_path, "a\r\n\r\n1\r\n")) == [{"a": None}, {"a": 1}]


def test_blank_lines_over_many_blocks_before_the_header(tmp_path):
    """The header is found in a later block than the first; what lies before is no row."""
    path = write(tmp_path, b"\n" * 4_000_000 + b"x\n1\n")
    for _ in range(5):
        assert read_rows(path, num_threads=4) == [{"x": 1}]


def test_a_blank_first_line_of_a_single_column_without_header(tmp_path):
    path = write(tmp_path, "\nx\n\ny\n")
    rows = read_rows(path, csv=CsvOptions(header=False))
    assert [row["column_0"] for row in rows] == [None, "x", None, "y"]


@pytest.mark.parametrize("row", ["1", "1,2,3", "1,2,", '"1,2"', ",,"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_rows_of_another_width_are_errors(row, newline, tmp_path):
    path = write(tmp_path, newline.join(["a,b", "1,2", "", "3,4", row, "5,6", ""]))
    for batch_size in (1, 2, 1000):
        rows, error = read_until_error(path, batch_size)
        assert rows == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
        assert path.name in str(error)
        assert "line 5" in str(error)
        assert "2" in str(error)


def test_lines_are_counted_through_quoted_newlines(tmp_path):
    path = write(tmp_path, 'a,b\n"1\n2\n3",x\n"4\r\n5",y\n6\n7,z\n')
    rows, error = read_until_error(path)
    assert [row["a"] for row in rows] == ["1\n2\n3", "4\r\n5"]
    assert "line 7" in str(error)


def test_a_quote_that_is_not_closed(tmp_path):
    for text in ('a,b\n1,2\n3,"4\n5,6\n', 'a,b\n1,2\n3,"', 'a,b\n1,2\n"3"",4\n5,6\n'):
        path = write(tmp_path, text)
        rows, error = read_until_error(path, schema={"a": "string"})
        assert rows == [{"a": "1", "b": 2}]
        assert path.name in str(error)
        assert "line 3" in str(error)
    path = write(tmp_path, '"a,b\n1,2\n')
    rows, error = read_until_error(path)
    assert rows == []
    assert error is not None


def test_bytes_that_are_not_utf8(tmp_path):
    for cell in (b"\xff", b"caf\xe9", b'"\xc3"', b"\xed\xa0\x80"):
        path = write(tmp_path, b"a,b\n1,x\n2,y\n3," + cell + b"\n4,z\n")
        rows, error = read_until_error(path)
        assert rows == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
        assert path.name in str(error)
        assert "line 4" in str(error)
    rows, error = read_until_error(write(tmp_path, b"a\xff,b\n1,2\n"))
    assert rows == []
    assert "line 1" in str(error)


# --- options --------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ":", " ", "'"])
def test_delimiter(delimiter, tmp_path):
    text = f'a{delimiter}b\n1{delimiter}x,y\n2{delimiter}"p{delimiter}q"\n'
    rows = read_rows(write(tmp_path, text), csv=CsvOptions(delimiter=delimiter))
    assert rows == [{"a": 1, "b": "x,y"}, {"a": 2, "b": f"p{delimiter}q"}]


def test_delimiter_of_tsv_files(tmp_path):
    assert read_rows(write(tmp_path, "a\tb\n1,5\tx\n", "data.tsv")) == [
        {"a": "1,5", "b": "x"}
    ]
    assert read_rows(
        write(tmp_path, "a,b\n1,x\ty\n", "data.tsv"), csv=CsvOptions(delimiter=",")
    ) == [{"a": 1, "b": "x\ty"}]


def test_without_header(tmp_path):
    options = CsvOptions(header=False)
    path = write(tmp_path, "1,x\n2,\n")
    expected = [{"column_0": 1, "column_1": "x"}, {"column_0": 2, "column_1": None}]
    assert read_rows(path, csv=options) == expected
    assert read_rows(path, csv=options, columns=["column_1"]) == [
        {"column_1": "x"},
        {"column_1": None},
    ]
    assert read_rows(write(tmp_path, '"1","x"\n2,'), csv=options) == expected
    assert read_batches(write(tmp_path, ""), csv=options) == []


def test_column_names(tmp_path):
    path = write(tmp_path, '"a ""b""", c ,"d\ne",,"x,y"\n1,2,3,4,5\n')
    assert list(read_rows(path)[0]) == ['a "b"', " c ", "d\ne", "column_3", "x,y"]
    assert read_rows(path, columns=["x,y", "column_3"]) == [{"x,y": 5, "column_3": 4}]


def test_only_a_header(tmp_path):
    for text in ("a,b\n", "a,b", "a,b\r\n", "a,b\n\n\n"):
        path = write(tmp_path, text)
        assert read_batches(path) == []
        with fast_axolotl.streaming_dataset_reader(path) as reader:
            assert reader.schema == {"a": "string", "b": "string"}


def test_the_header_may_follow_a_mark(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbf"a",b\n1,2\n')
    assert read_rows(path) == [{"a": 1, "b": 2}]


# --- a cell that does not fit ---------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("1", "x"), ("1", "1.5"), ("1", "007"), ("1", "9223372036854775808"),
        ("1", "true"), ("1", '""'), ("0.5", "x"), ("0.5", "1,5"), ("0.5", " 1"),
        ("true", "1"),
        ("true", "True"), ("true", "x"), ("0.5", "false"),
    ],
)  # fmt: skip
def test_a_later_cell_that_does_not_fit(kind, cell, tmp_path):
    """Names file, line, column, value and the way out, after the rows before it."""
    filler = "x" * 100
    good = 80_000  # 8 MB: beyond the sample
    text = "a,value\n" + f"{filler},{kind}\n" * good
    quoted = f'"{cell}"' if "," in cell else cell
    path = write(tmp_path, text + f"y,{quoted}\nz,{kind}\n")
    rows, error = read_until_error(path, 9999)
    message = str(error)
    assert len(rows) == good
    assert "schema=" in message
    assert path.name in message
    assert f"line {good + 2}" in message
    assert '"value"' in message
    assert f'"{cell}"' in message or cell == '""'
    # The way out that it names.
    last = list(
        fast_axolotl.streaming_dataset_reader(path, good, schema={"value": "string"})
    )
    assert last[-1]["value"] == ["" if cell == '""' else cell, kind]
    # Nothing is wrong with the other columns.
    assert len(read_rows(path, columns=["a"])) == good + 2


def test_a_later_integer_in_a_column_of_floats_is_a_float(tmp_path):
    path = write(tmp_path, "x,y\n" + f"0.5,{'x' * 100}\n" * 80_000 + "7,\n")
    with fast_axolotl.streaming_dataset_reader(path, 80_000) as reader:
        last = list(reader)[-1]
    assert exact(last["x"]) == "[7.0]"


def test_a_later_value_in_a_column_of_nulls(tmp_path):
    """A column without values in the sample holds strings."""
    path = write(tmp_path, "x,y\n" + f",{'x' * 100}\n" * 80_000 + "7,\n")
    with fast_axolotl.streaming_dataset_reader(path, 80_000) as reader:
        assert reader.schema["x"] == "string"
        assert list(reader)[-1]["x"] == ["7"]


# --- many files -----------------------------------------------------------------------


def test_kinds_of_many_files_are_united(tmp_path):
    files = [
        write(tmp_path, "a,b,c\n1,1,\n", "1.csv"),
        write(tmp_path, "b,a,d\nx,2.5,true\n", "2.csv"),
        write(tmp_path, "a\n3\n", "3.csv"),
    ]
    assert exact(read_rows(files)) == exact(
        [
            {"a": 1.0, "b": "1", "c": None, "d": None},
            {"a": 2.5, "b": "x", "c": None, "d": True},
            {"a": 3.0, "b": None, "c": None, "d": None},
        ]
    )


def test_the_line_is_that_of_the_file(tmp_path):
    files = [write(tmp_path, "a,b\n1,2\n", f"{i}.csv") for i in range(3)]
    bad = write(tmp_path, "a,b\n1,2\n3\n", "2.csv")
    rows, error = read_until_error(files)
    assert len(rows) == 3
    assert bad.name in str(error)
    assert re.search(r"\bline 3\b", str(error))
