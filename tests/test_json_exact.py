# SPDX-License-Identifier: Apache-2.0
"""JSON rows come back as `json.loads` gives them; bad rows are errors in their place."""

import datetime as dt
import json
import math
import re

import pytest
from formats import exact, read_batches, read_rows, read_until_error
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fast_axolotl

FIXED = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MISSING = object()


# --- raw JSON text, more of it than json.dumps would ever write -----------------------

BLANKS = st.sampled_from(["", "", "", " ", "\t", "  ", "\r", " \t \r"])
BREAKS = st.sampled_from(["", "", " ", "\n", "\r\n  ", "\n\n\t"])
ESCAPES = st.sampled_from(
    [
        r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u0041", r"\u0000",
        r"\uD83E\uDD8E", r"\ud800", r"\udfff", r"\udc00\ud800", r"\uD800\u0041",
        r"\ud83e\uD83E\uDD8E", r"\\u0041", r"\u00e9", r"\uFFFF", r"\u2028",
    ]
)  # fmt: skip
PLAIN_TEXT = st.text(
    st.characters(
        exclude_characters='"\\', exclude_categories=["Cs"], min_codepoint=0x20
    ),
    max_size=12,
)
STRING = st.lists(PLAIN_TEXT | ESCAPES, max_size=4).map(lambda s: '"' + "".join(s) + '"')
LONG_STRING = st.integers(0, 70).map(lambda n: '"' + "x" * n + r"\n" + "é" * n + '"')
INTEGERS = st.one_of(
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(
        [
            "0", "-0", "9223372036854775807", "9223372036854775808",
            "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
            "18446744073709551616", "9" * 40, "1" + "0" * 400, "999999999999999999",
            "1000000000000000000", "12345678", "123456789012345678",
        ]
    ),
)  # fmt: skip
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        [
            "-0.0", "0.0", "0e0", "-0e-1", "1e400", "-1e400", "1e-400", "1E5", "1E+5",
            "1.0", "2.50", "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308",
            "1.7976931348623159e308", "9007199254740993.0", "0.1e1", "NaN", "Infinity",
            "-Infinity", "123456789012345678901234567890.5", "1e22", "1e23",
            "0." + "1234567890" * 20, "0." + "0" * 330 + "1e340",
        ]
    ),
)  # fmt: skip
SCALARS = st.one_of(
    STRING, LONG_STRING, INTEGERS, FLOATS, st.sampled_from(["null", "true", "false"])
)
KEYS = st.one_of(
    st.sampled_from(
        ['"a"', '"b"', '"id"', '"text"', '""', r'"\u0061"', r'"\ud800"', '"é"']
    ),
    STRING,
)


def join(values, opening, closing, blanks):
    return opening + blanks + f"{blanks},{blanks}".join(values) + blanks + closing


def arrays(items, blanks):
    return st.builds(
        lambda v, b: join(v, "[", "]", b), st.lists(items, max_size=4), blanks
    )


def objects(items, blanks, keys=KEYS, max_size=4):
    def build(pairs, b):
        return join([f"{key}{b}:{b}{value}" for key, value in pairs], "{", "}", b)

    return st.builds(build, st.lists(st.tuples(keys, items), max_size=max_size), blanks)


def values(blanks):
    return st.recursive(
        SCALARS,
        lambda inner: arrays(inner, blanks) | objects(inner, blanks),
        max_leaves=8,
    )


def kinds(blanks):
    """Values of one kind: the columns that are typed, until another kind comes."""
    return st.sampled_from(
        [
            INTEGERS,
            FLOATS,
            STRING,
            st.sampled_from(["true", "false"]),
            arrays(st.integers(0, 10**8).map(str), blanks),
            arrays(INTEGERS, blanks),
            arrays(STRING | st.just("null"), blanks),
            arrays(FLOATS, blanks),
            st.just("null"),
            values(blanks),
        ]
    )


@st.composite
def similar_rows(draw, blanks):
    """Rows of mostly the same keys and kinds, as real files have them."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=4))
    kind = [draw(kinds(blanks)) for _ in keys]
    stray = values(blanks)
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        pairs = [
            (key, draw(stray if draw(st.integers(0, 11)) == 0 else of))
            for key, of in zip(keys, kind, strict=True)
            if draw(st.integers(0, 9)) > 0
        ]
        b = draw(blanks)
        rows.append(join([f"{k}{b}:{b}{v}" for k, v in pairs], "{", "}", b))
    return rows


def rows_of_text(blanks):
    return similar_rows(blanks) | st.lists(objects(values(blanks), blanks), max_size=8)


# --- the same as json.loads -----------------------------------------------------------


def assert_same_rows(path, texts, **options):
    """Each row as json.loads gives it; keys that it has not are None."""
    wanted = [json.loads(text) for text in texts]
    got = read_rows(path, **options)
    if not any(wanted):
        # Rows without a key have no lists to stand in.
        assert got == []
        assert fast_axolotl.count_rows(path) == len(texts)
        return
    assert len(got) == len(wanted)
    for row, want in zip(got, wanted, strict=True):
        assert want.keys() <= row.keys()
        assert exact({key: row[key] for key in want}) == exact(want)
        assert all(row[key] is None for key in row.keys() - want.keys())


def write(folder, text, suffix):
    path = folder / f"data{suffix}"
    path.write_bytes(text.encode())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


batch_sizes = st.sampled_from([1, 2, 3, 1000])


@FIXED
@given(data=st.data(), batch_size=batch_sizes)
def test_json_lines(folder, data, batch_size):
    texts = data.draw(rows_of_text(BLANKS))
    ends = st.sampled_from(["\n", "\n", "\r\n", " \n", "\n\n", "\n \t\r\n"])
    text = "".join(row + data.draw(ends) for row in texts)
    if data.draw(st.booleans()):
        text = text.rstrip()
    assert_same_rows(write(folder, text, ".jsonl"), texts, batch_size=batch_size)


@FIXED
@given(data=st.data(), batch_size=batch_sizes)
def test_json_array(folder, data, batch_size):
    texts = data.draw(rows_of_text(BREAKS))
    breaks = [data.draw(BREAKS) for _ in range(4)]
    text = breaks[0] + "[" + breaks[1]
    text += f"{breaks[2]},{breaks[3]}".join(texts)
    text += breaks[1] + "]" + breaks[0]
    assert_same_rows(write(folder, text, ".json"), texts, batch_size=batch_size)


@FIXED
@given(row=objects(values(BREAKS), BREAKS), around=st.tuples(BREAKS, BREAKS))
def test_one_object(folder, row, around):
    assert_same_rows(write(folder, row.join(around), ".json"), [row])


@FIXED
@given(
    rows=st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: (
                    st.lists(inner, max_size=4)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=4)
                ),
                max_leaves=10,
            ),
            min_size=1,
            max_size=5,
        ),
        max_size=8,
    ),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
    batch_size=batch_sizes,
)
def test_what_json_dumps_writes(folder, rows, ascii_only, indent, batch_size):
    texts = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    lines = write(folder, "".join(text + "\n" for text in texts), ".jsonl")
    assert_same_rows(lines, texts, batch_size=batch_size)
    array = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
    assert_same_rows(write(folder, array, ".json"), texts, batch_size=batch_size)


@FIXED
@given(data=st.data())
def test_columns_chosen(folder, data):
    texts = data.draw(similar_rows(BLANKS))
    path = write(folder, "".join(text + "\n" for text in texts), ".jsonl")
    found = dict.fromkeys(key for text in texts for key in json.loads(text))
    there = [key for key in found if not re.search("[\ud800-\udfff]", key)]
    if not there:
        return
    columns = data.draw(st.lists(st.sampled_from(there), min_size=1, unique=True))
    rows = read_rows(path, 3, columns=columns)
    wanted = [{name: json.loads(text).get(name) for name in columns} for text in texts]
    assert exact(rows) == exact(wanted)


def test_a_key_that_is_no_unicode_can_be_asked_for(tmp_path):
    path = write(tmp_path, r'{"a": 1, "\ud800": 2}', ".jsonl")
    assert read_rows(path) == [{"a": 1, "\ud800": 2}]
    assert read_rows(path, columns=["\ud800"]) == [{"\ud800": 2}]


# --- by hand --------------------------------------------------------------------------

KINDS = {
    "int": "7",
    "big": "123456789012345678901234567890",
    "float": "7.5",
    "string": '"seven"',
    "lone": r'"\ud800"',
    "bool": "true",
    "null": "null",
    "ints": "[1, 2, 3]",
    "floats": "[0.5]",
    "strings": '["a", null]',
    "empty": "[]",
    "mixed": '[1, "a", 2.5]',
    "object": '{"a": 1}',
    "objects": '[{"a": 1}, {"b": [2]}]',
    "lists": "[[1], [2]]",
    "nan": "NaN",
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("far", [False, True], ids=["next", "beyond_the_sample"])
def test_a_kind_that_changes_midway(first, far, tmp_path):
    filler = "x" * 1000
    count = 8000 if far else 3  # 8 MB
    texts = [f'{{"value": {KINDS[first]}, "filler": "{filler}"}}'] * count
    texts += [f'{{"value": {text}, "other": {text}}}' for text in KINDS.values()]
    for suffix, text in ((".jsonl", "\n".join(texts)), (".json", f"[{','.join(texts)}]")):
        assert_same_rows(write(tmp_path, text, suffix), texts)


def test_keys_that_come_late(tmp_path):
    """A batch has the columns of the sample and the keys of its own rows."""
    texts = ['{"a": 1}'] * 6
    texts += [json.dumps({"a": "x" * 1000})] * 8000
    texts += ['{"a": 2, "late": [1]}', '{"a": 3}', '{"later": null}', "{}"]
    path = write(tmp_path, "\n".join(texts), ".jsonl")
    batches = read_batches(path, 8006)
    assert [list(batch) for batch in batches] == [["a"], ["a", "late", "later"]]
    assert batches[1] == {
        "a": [2, 3, None, None],
        "late": [[1], None, None, None],
        "later": [None] * 4,
    }
    assert read_batches(path, 9000, columns=["a"]) == [
        {"a": batches[0]["a"] + batches[1]["a"]}
    ]


def test_repeated_keys_the_last_one_wins(tmp_path):
    texts = [
        '{"a": 1, "b": 2, "a": 3}',
        '{"a": 1, "a": "x", "a": null}',
        '{"a": {"k": 1, "k": 2}, "b": [{"k": 1, "k": 2}]}',
        r'{"a": 5, "\u0061": 6}',
        '{"b": [1], "b": [2, 3], "b": []}',
        '{"a": "x", "a": [1]}',
        '{"b": null, "b": true}',
    ]
    assert_same_rows(write(tmp_path, "\n".join(texts), ".jsonl"), texts)
    for text in texts:
        assert_same_rows(write(tmp_path, text, ".json"), [text])


def test_rows_without_keys_are_rows(tmp_path):
    path = write(tmp_path, '{"a": 1}\n{}\n{ }\n{"a": 2}', ".jsonl")
    assert read_batches(path) == [{"a": [1, None, None, 2]}]
    path = write(tmp_path, "{}\n{}\n", ".jsonl")
    assert fast_axolotl.count_rows(path) == 2
    assert list(fast_axolotl.StreamingDataset(path).rows()) == [{}, {}]
    assert len(fast_axolotl.StreamingDataset(path)) == 1


def test_deep_nesting_that_json_loads_reads(tmp_path):
    for depth in (10, 100, 900):
        for text in ("[" * depth + "]" * depth, '{"k":' * depth + "1" + "}" * depth):
            texts = [f'{{"a": {text}}}']
            assert_same_rows(write(tmp_path, texts[0], ".jsonl"), texts)


def test_the_shape_of_a_json_file(tmp_path):
    """`.json` may hold an array, one object, or lines; so may `.jsonl` but for one object
    over several lines."""
    assert read_rows(write(tmp_path, '{"a": 1}', ".json")) == [{"a": 1}]
    assert read_rows(write(tmp_path, '{"a": 1}\n{"a": 2}', ".json")) == [
        {"a": 1},
        {"a": 2},
    ]
    assert read_rows(write(tmp_path, '\n\n {"a": 1}\n\n', ".json")) == [{"a": 1}]
    assert read_rows(write(tmp_path, '{\n"a": 1\n}\n', ".json")) == [{"a": 1}]
    assert read_rows(write(tmp_path, '{"a": "{"\n}', ".json")) == [{"a": "{"}]
    assert read_rows(write(tmp_path, '{"a": "\\"}{"\n,"b": 1}', ".json")) == [
        {"a": '"}{', "b": 1}
    ]
    assert read_rows(write(tmp_path, ' \n[{"a": 1},\n{"a": 2}]', ".jsonl")) == [
        {"a": 1},
        {"a": 2},
    ]
    assert read_batches(write(tmp_path, "[]", ".json")) == []
    assert read_batches(write(tmp_path, " [ \n ] \n", ".json")) == []
    assert read_batches(write(tmp_path, "\n \n\r\n", ".jsonl")) == []


def test_an_array_of_many_blocks(tmp_path):
    rows = [
        {"i": i, "text": ']},{["\\' * (i % 90), "more": {"k": [i]}} for i in range(9000)
    ]
    for indent in (None, 2):
        path = write(tmp_path, json.dumps(rows, indent=indent), ".json")
        assert read_rows(path, 777) == rows


# --- bad rows -------------------------------------------------------------------------

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
    path = write(tmp_path, text, ".json")
    got, error = read_until_error(path)
    assert error is not None
    assert path.name in str(error)
    assert got == [{"a": i + 1} for i in range(rows)]


def test_a_bad_row_far_behind(tmp_path):
    """Beyond the sample and the first blocks, and in the middle of a batch."""
    lines = [json.dumps({"i": i, "text": "x" * 500}) for i in range(20_000)]
    broken = lines.copy()
    broken[17_777] = broken[17_777][:-1]
    path = write(tmp_path, "\n".join(broken), ".jsonl")
    for threads in (1, 8):
        rows, error = read_until_error(path, 1000, num_threads=threads)
        assert [row["i"] for row in rows] == list(range(17_777))
        assert place("line", 17_778).search(str(error))
        offset = sum(map(len, broken[:17_778])) + 17_777
        assert f"byte offset {offset}" in str(error)
    broken = lines.copy()
    broken[17_777] = '{"i": 1 "text": 2}'
    path = write(tmp_path, "[" + ",".join(broken) + "]", ".json")
    rows, error = read_until_error(path, 1000)
    assert [row["i"] for row in rows] == list(range(17_777))
    assert place("row", 17_778).search(str(error))


def test_a_bad_row_in_the_second_file(tmp_path):
    good = write(tmp_path, '{"a": 1}\n{"a": 2}\n', "1.jsonl")
    bad = write(tmp_path, '{"a": 3}\nnull\n', "2.jsonl")
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
        paths = [write(tmp_path, part, f"-{i}.jsonl") for i, part in enumerate(parts)]
        with fast_axolotl.streaming_dataset_reader(paths) as reader:
            assert reader.schema == {"x": kind}
            (batch,) = reader
        assert repr(batch["x"]) == repr(wanted)


def test_rows_raise_an_error_again(tmp_path):
    path = write(tmp_path, '{"a": 1}\n{"a": 2}\n{"a": \n', ".jsonl")
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
        path = write(tmp_path, content, ".jsonl")
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
