# SPDX-License-Identifier: Apache-2.0
"""Rows of JSON that json.loads refuses are errors in their place."""

import datetime as dt
import json
import math
import re

import pytest
from formats import read_rows, read_until_error, write_data

import fast_axolotl

# After JSONTestSuite (N. Seriot, "Parsing JSON is a minefield"): what no row may be.
BAD = [
    # structure
    "{", "}", "{]", "{,}", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', '{"a":1,,"b":2}',
    '{,"a":1}', '{"a" 1}', '{"a"::1}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a"=1}',
    "{'a':1}", "{a:1}", "{1:1}", "{null:1}", '{"a":1}}', '{"a":1}]', '{"a":1}{"b":2}',
    '{"a":1} {"b":2}', '{"a":1},', '{"a":1},{"b":2}', '{"a":1} x', '{"a":1}#',
    '{"a":1}//c', '{"a":1}/**/', '/**/{"a":1}', '{"a":/**/1}', '{"a":1} "b"', '{"a":1}1',
    '{"a":(1)}', '{"a":1:2}', '{"a":"b":"c"}', '{"a":\x0c1}', '\x0b{"a":1}',
    '\u00a0{"a":1}', '{"a":\u20281}', '{"a":1}\u3000', '\ufeff{"a":1}',
    # arrays in it
    '{"a":[}', '{"a":[1}', '{"a":[1,]}', '{"a":[,1]}', '{"a":[1,,2]}', '{"a":[1 2]}',
    '{"a":[1}]', '{"a":[1:2]}', '{"a":[1]]}', '{"a":[7,]}', '{"a":[7, ]}', '{"a":[}]}',
    '{"a":["b",]}', '{"a":["b" "c"]}', '{"a":[{"b":1,}]}', '{"a":[{"b":1]}', '{"a":[[1]}',
    '{"a":[1,2,3', '{"a":[12345678,]}', '{"a":[-]}', '{"a":[01]}', '{"a":[1,02]}',
    '{"a":[1.]}', '{"a":[1e]}', '{"a":[tru]}', '{"a":[1,2}',
    # numbers
    '{"a":01}', '{"a":-01}', '{"a":00}', '{"a":-}', '{"a":+1}', '{"a":.5}', '{"a":-.5}',
    '{"a":1.}', '{"a":1.e5}', '{"a":1e}', '{"a":1e+}', '{"a":1E-}', '{"a":1.5.2}',
    '{"a":1-2}', '{"a":1e1.5}', '{"a":0x10}', '{"a":1_000}', '{"a":1a}', '{"a":--1}',
    '{"a":- 1}', '{"a":\uff11}', '{"a":1,000}', '{"a":1f}', '{"a":012.5}', '{"a":0e}',
    '{"a":1234567890123456789012.}', '{"a":1 .5}', '{"a":e5}',
    # words
    '{"a":True}', '{"a":nul}', '{"a":nulll}', '{"a":truefalse}', '{"a":None}',
    '{"a":nan}', '{"a":NAN}', '{"a":-NaN}', '{"a":+Infinity}', '{"a":infinity}',
    '{"a":Inf}', '{"a":- Infinity}', '{"a":-Infinit}', '{"a":undefined}', '{"a":b}',
    '{"a":TRUE}',
    # strings
    '{"a":"b}', '{"a":b"}', "{\"a\":'b'}", '{"a":"b"c}', '{"a":"\\x41"}', '{"a":"\\a"}',
    '{"a":"\\0"}', '{"a":"\\\'"}', '{"a":"\\u12"}', '{"a":"\\u"}', '{"a":"\\u123g"}',
    '{"a":"\\U0041"}', '{"a":"\\ "}', '{"a":"\\é"}', '{"a":"\\u00 1"}',
    '{"a":"\\ud800\\u"}',
    '{"a":"\\ud800\\udc"}', '{"a":"\\"}', '{"a":"\\', '{"a":"\\\\\\"}', '{"a":"\t"}',
    '{"a":"\x00"}', '{"a":"\x1f"}', '{"a":"\x01bc"}', '{"a\t":1}', '{"\\x":1}', '{"a',
    '{"a\\":1}', '{"a":{"\\q":1}}', '{"a":[{"k":"\\q"}]}', '{"a":"\\u+123"}',
    '{"a":"\\u-123"}', '{"a":"\\u0x1"}', '{"k":{"a":"\t"}}', '{"k":["\x02"]}',
    # no objects
    "1", "-1", "1.5", '"a"', "null", "true", "NaN", "[]", "[1]", '[{"a":1}]', "x", ",",
    ":", '""', '"', "[", "]", "\x00", "\x7f", "a,b,c", "<a/>", "--", "{\x00}",
    '{"a":1}\x00',
    '\x00{"a":1}', "[{}]",
    # nested too deep
    '{"a":' + "[" * 5000 + "]" * 5000 + "}", '{"a":' * 5000 + "1" + "}" * 5000,
    '{"a":' + "[" * 100_000, '{"a":' * 100_000,
]  # fmt: skip
BAD_BYTES = [
    b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xc3("}', b'{"a":"\xc0\xaf"}',
    b'{"a":"\xe2\x82"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xf8\x88\x80\x80\x80"}', b'{"\x80":1}', b'\xff{"a":1}', b'{"a":1}\xfe',
    b'{"a":\xa0}', b'{"a":"\xf0\x9f\xa6"}', b'{"a":{"b":"\x80"}}', b"\xc3\x28",
]  # fmt: skip
ALL_BAD = [text.encode("utf-8", "surrogatepass") for text in BAD] + BAD_BYTES

GOOD = [b'{"a": 1, "b": "x"}', b'{"b": "y", "a": 2}', b'{"a": [3], "c": null}']


def shown(row):
    return repr(row)[2:40]


def refused_by_json(row):
    try:
        return not isinstance(json.loads(row.decode()), dict)
    except (ValueError, RecursionError):
        return True


def test_the_bad_rows_are_bad():
    # Newer Pythons read deeper than our limit, which is that of 3.11.
    shallow = [row for row in ALL_BAD if row.count(b"[") + row.count(b"{") < 1024]
    good = [row for row in shallow if not refused_by_json(row)]
    assert not good
    assert len(shallow) == len(ALL_BAD) - 4
    assert len(ALL_BAD) == len(set(ALL_BAD)) > 80


def place(word, number):
    return re.compile(rf"\b{word} {number}\b")


@pytest.mark.parametrize("bad", ALL_BAD, ids=shown)
def test_a_bad_line(bad, tmp_path):
    """The rows before it come first; the error names its file and line."""
    path = tmp_path / "bad.jsonl"
    lines = [*GOOD, b"", GOOD[0], bad, *GOOD]
    path.write_bytes(b"\n".join(lines) + b"\n")
    before = [json.loads(line) for line in lines[:5] if line]
    for batch_size in (1, 2, 4, 1000):
        rows, error = read_until_error(path, batch_size)
        assert [{k: v for k, v in row.items() if v is not None} for row in rows] == [
            {k: v for k, v in row.items() if v is not None} for row in before
        ]
        assert error is not None
        assert path.name in str(error)
        assert place("line", 6).search(str(error)), error
    # The bad value is no business of the columns asked for, but its row is bad.
    rows, error = read_until_error(path, columns=["b"])
    assert [row["b"] for row in rows] == ["x", "y", None, "x"]
    assert error is not None


@pytest.mark.parametrize(
    "good", ["[10, 11]", "[]", '["x", "y"]', "[1.5]", "[true]", "7", '"z"', "null", "{}"]
)
def test_nothing_of_a_bad_line_stays(good, tmp_path):
    """Where it is left out, its neighbours are as they would be without it."""
    row = b'{"a": %s}\n' % good.encode()
    path = tmp_path / "data.jsonl"
    for bad in ALL_BAD:
        path.write_bytes(row + bad + b"\n" + row)
        (batch,) = fast_axolotl.streaming_dataset_reader(path, on_error="skip")
        assert repr(batch["a"]) == repr([json.loads(good)] * 2), bad


@pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
def test_a_bad_line_at_either_end(position, tmp_path):
    path = tmp_path / "bad.jsonl"
    for bad in ALL_BAD:
        # A mark at the very start is no part of the row, and a bracket starts an array.
        if position == 0 and bad.startswith((b"\xef\xbb\xbf", b"[")):
            continue
        lines = [bad, *GOOD] if position == 0 else [*GOOD, bad]
        path.write_bytes(b"\n".join(lines))
        if position == 0 and (b"\0" in bad[:2] or bad[:2] in {b"\xff\xfe", b"\xfe\xff"}):
            with pytest.raises((OSError, ValueError)):
                read_rows(path)
            continue
        rows, error = read_until_error(path)
        assert len(rows) == (0 if position == 0 else 3), bad
        assert error is not None, bad
        assert place("line", 1 if position == 0 else 4).search(str(error)), (bad, error)


# Elements whose brackets are balanced, or that reach to the end of the file: the rest
# leave it open which row the following ones belong to.
def is_framed(bad):
    text = re.sub(rb'"(\\.|[^"\\])*"', b"", bad)
    return (
        b'"' not in text
        and text.count(b"{") == text.count(b"}")
        and text.count(b"[") == text.count(b"]")
        and not re.match(rb"[^{[]*[]}]", text)
        and not re.search(rb"\}.*,", text)
        and bad != b","
    )


@pytest.mark.parametrize(
    "bad", [row for row in ALL_BAD if row != b'{"a":1},{"b":2}'], ids=shown
)
def test_a_bad_element(bad, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(b"[" + b",\n".join([*GOOD, bad, *GOOD]) + b"]")
    rows, error = read_until_error(path)
    before = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": [3]}]
    got = [{k: v for k, v in row.items() if v is not None} for row in rows]
    assert error is not None
    assert path.name in str(error)
    # An element such as `{"a":1},` is a good one and an empty one.
    assert got[:3] == before
    if is_framed(bad):
        assert len(got) == 3
        assert place("row", 4).search(str(error)), error


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('[{"a": 1}', 0), ('[{"a": 1},', 1), ('[{"a": 1}, ', 1), ("[", 0), ("[ ", 0),
        ('[{"a": 1}, {"a": 2}', 1), ('[{"a": 1}, {"a"', 1), ('[{"a": 1},]', 1),
        ('[,{"a": 1}]', 0), ('[{"a": 1},,{"a": 2}]', 1), ('[{"a": 1}]]', 1),
        ('[{"a": 1}] {"a": 2}', 1), ('[{"a": 1}][{"a": 2}]', 1), ('[{"a": 1}]\n,', 1),
        ('[{"a": 1} {"a": 2}]', 0), ('[{"a": 1}}', 0), ('[{"a": 1}, {"a": 2}}', 1),
        ('[{"a": 1}],', 1), ("[,]", 0), ('[{"a": 1}] x', 1), ('[{"a": 1}]\x00', 1),
        ('{"a": 1', 0), ('{\n"a": 1', 0), ('{\n"a": 1}\n}', 0),
        ('{\n"a": 1}\n{"a": 2}', 0),
        ('{"a": 1}\n]', 1), ('{"a": 1}\n{"a"', 1), ("1", 0), ('"a"', 0), ("x", 0),
        (" ", 0), ("\n\n", 0), ("{", 0), ("}", 0), ("]", 0),
    ],
    ids=repr,
)  # fmt: skip
def test_a_bad_json_file(text, rows, tmp_path):
    path = write_data(tmp_path, text, ".json")
    got, error = read_until_error(path)
    assert error is not None
    assert path.name in str(error)
    assert got == [{"a": i + 1} for i in range(rows)]


def test_a_bad_row_far_behind(tmp_path):
    """Beyond the sample and the first blocks, and in the middle of a batch."""
    lines = [json.dumps({"i": i, "text": "x" * 500}) for i in range(20_000)]
    broken = lines.copy()
    broken[17_777] = broken[17_777][:-1]
    path = write_data(tmp_path, "\n".join(broken), ".jsonl")
    for threads in (1, 8):
        rows, error = read_until_error(path, 1000, num_threads=threads)
        assert [row["i"] for row in rows] == list(range(17_777))
        assert place("line", 17_778).search(str(error))
        offset = sum(map(len, broken[:17_778])) + 17_777
        assert f"byte offset {offset}" in str(error)
    broken = lines.copy()
    broken[17_777] = '{"i": 1 "text": 2}'
    path = write_data(tmp_path, "[" + ",".join(broken) + "]", ".json")
    rows, error = read_until_error(path, 1000)
    assert [row["i"] for row in rows] == list(range(17_777))
    assert place("row", 17_778).search(str(error))


def test_a_bad_row_in_the_second_file(tmp_path):
    good = write_data(tmp_path, '{"a": 1}\n{"a": 2}\n', "1.jsonl")
    bad = write_data(tmp_path, '{"a": 3}\nnull\n', "2.jsonl")
    rows, error = read_until_error([good, bad, good], 2)
    assert rows == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert bad.name in str(error)
    assert good.name not in str(error)
    assert place("line", 2).search(str(error))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "1.5", "null"], "float64"),
        (["1.5", "2", "NaN", "-Infinity"], "float64"),
        (["[1]", "[1.5, null]", "[]", "null"], "list<float64>"),
        (["1", "12345678901234567890"], "json"),
        (["1", "1.5", '"x"'], "json"),
        (["[1]", "[1.5]", "[[1]]"], "json"),
        (["1", "[1.5]"], "json"),
        (["true", "1"], "json"),
    ],
)
def test_the_schema_widens_and_the_values_stay(values, kind, tmp_path):
    """Integers and floats make a float column, in whose batches integers are integers."""
    text = "".join(f'{{"x": {value}}}\n' for value in values)
    wanted = [json.loads(value) for value in values]
    for parts in ([text], text.splitlines()):
        paths = [
            write_data(tmp_path, part, f"-{i}.jsonl") for i, part in enumerate(parts)
        ]
        with fast_axolotl.streaming_dataset_reader(paths) as reader:
            assert reader.schema == {"x": kind}
            (batch,) = reader
        assert repr(batch["x"]) == repr(wanted)


def test_rows_raise_an_error_again(tmp_path):
    path = write_data(tmp_path, '{"a": 1}\n{"a": 2}\n{"a": \n', ".jsonl")
    rows = fast_axolotl.StreamingDataset(path).rows()
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
    for _ in range(3):
        with pytest.raises(OSError, match="line 3"):
            next(rows)


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("int64", ["2", "1.0", "null"], [2, 1, None]),
        ("float64", ["1.5", "2", "1e400"], [1.5, 2.0, math.inf]),
        ("float64", ["1.5", "9007199254740993"], [1.5]),
        ("date32", ['"2020-01-02"', "1"], [dt.date(2020, 1, 2)]),
        ("string", ['"x"', "1"], ["x"]),
        ("bool", ["true", "1"], [True]),
    ],
)
def test_a_value_converts_alike_in_any_company(kind, values, wanted, tmp_path):
    """Alone in a block of its own, or with values of other kinds before it."""
    text = "".join(f'{{"x": {value}}}\n' for value in values)
    filler = f'{{"x": null, "y": "{"-" * 999}"}}\n' * 3000
    for content in (text, text.replace("\n", "\n" + filler)):
        path = write_data(tmp_path, content, ".jsonl")
        got = []
        try:
            for row in fast_axolotl.streaming_dataset_reader(
                path, columns=["x"], schema={"x": kind}
            ):
                got += row["x"]
        except OSError:
            assert len(wanted) < len(values)
        else:
            assert len(wanted) == len(values)
        dense = [value for value in got if value is not None]
        assert repr(dense) == repr([value for value in wanted if value is not None])
