# SPDX-License-Identifier: Apache-2.0
"""JSON rows come back as `json.loads` gives them."""

import json
import re

import pytest
from formats import exact, read_batches, read_rows, write_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fast_axolotl

FIXED = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


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
    assert_same_rows(write_data(folder, text, ".jsonl"), texts, batch_size=batch_size)


@FIXED
@given(data=st.data(), batch_size=batch_sizes)
def test_json_array(folder, data, batch_size):
    texts = data.draw(rows_of_text(BREAKS))
    breaks = [data.draw(BREAKS) for _ in range(4)]
    text = breaks[0] + "[" + breaks[1]
    text += f"{breaks[2]},{breaks[3]}".join(texts)
    text += breaks[1] + "]" + breaks[0]
    assert_same_rows(write_data(folder, text, ".json"), texts, batch_size=batch_size)


@FIXED
@given(row=objects(values(BREAKS), BREAKS), around=st.tuples(BREAKS, BREAKS))
def test_one_object(folder, row, around):
    assert_same_rows(write_data(folder, row.join(around), ".json"), [row])


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
    lines = write_data(folder, "".join(text + "\n" for text in texts), ".jsonl")
    assert_same_rows(lines, texts, batch_size=batch_size)
    array = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
    assert_same_rows(write_data(folder, array, ".json"), texts, batch_size=batch_size)


@FIXED
@given(data=st.data())
def test_columns_chosen(folder, data):
    texts = data.draw(similar_rows(BLANKS))
    path = write_data(folder, "".join(text + "\n" for text in texts), ".jsonl")
    found = dict.fromkeys(key for text in texts for key in json.loads(text))
    there = [key for key in found if not re.search("[\ud800-\udfff]", key)]
    if not there:
        return
    columns = data.draw(st.lists(st.sampled_from(there), min_size=1, unique=True))
    rows = read_rows(path, 3, columns=columns)
    wanted = [{name: json.loads(text).get(name) for name in columns} for text in texts]
    assert exact(rows) == exact(wanted)


def test_a_key_that_is_no_unicode_can_be_asked_for(tmp_path):
    path = write_data(tmp_path, r'{"a": 1, "\ud800": 2}', ".jsonl")
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
        assert_same_rows(write_data(tmp_path, text, suffix), texts)


def test_keys_that_come_late(tmp_path):
    """A batch has the columns of the sample and the keys of its own rows."""
    texts = ['{"a": 1}'] * 6
    texts += [json.dumps({"a": "x" * 1000})] * 8000
    texts += ['{"a": 2, "late": [1]}', '{"a": 3}', '{"later": null}', "{}"]
    path = write_data(tmp_path, "\n".join(texts), ".jsonl")
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
    assert_same_rows(write_data(tmp_path, "\n".join(texts), ".jsonl"), texts)
    for text in texts:
        assert_same_rows(write_data(tmp_path, text, ".json"), [text])


def test_rows_without_keys_are_rows(tmp_path):
    path = write_data(tmp_path, '{"a": 1}\n{}\n{ }\n{"a": 2}', ".jsonl")
    assert read_batches(path) == [{"a": [1, None, None, 2]}]
    path = write_data(tmp_path, "{}\n{}\n", ".jsonl")
    assert fast_axolotl.count_rows(path) == 2
    assert list(fast_axolotl.StreamingDataset(path).rows()) == [{}, {}]
    assert len(fast_axolotl.StreamingDataset(path)) == 1


def test_deep_nesting_that_json_loads_reads(tmp_path):
    for depth in (10, 100, 900):
        for text in ("[" * depth + "]" * depth, '{"k":' * depth + "1" + "}" * depth):
            texts = [f'{{"a": {text}}}']
            assert_same_rows(write_data(tmp_path, texts[0], ".jsonl"), texts)


def test_the_shape_of_a_json_file(tmp_path):
    """`.json` may hold an array, one object, or lines; so may `.jsonl` but for one object
    over several lines."""
    assert read_rows(write_data(tmp_path, '{"a": 1}', ".json")) == [{"a": 1}]
    assert read_rows(write_data(tmp_path, '{"a": 1}\n{"a": 2}', ".json")) == [
        {"a": 1},
        {"a": 2},
    ]
    assert read_rows(write_data(tmp_path, '\n\n {"a": 1}\n\n', ".json")) == [{"a": 1}]
    assert read_rows(write_data(tmp_path, '{\n"a": 1\n}\n', ".json")) == [{"a": 1}]
    assert read_rows(write_data(tmp_path, '{"a": "{"\n}', ".json")) == [{"a": "{"}]
    assert read_rows(write_data(tmp_path, '{"a": "\\"}{"\n,"b": 1}', ".json")) == [
        {"a": '"}{', "b": 1}
    ]
    assert read_rows(write_data(tmp_path, ' \n[{"a": 1},\n{"a": 2}]', ".jsonl")) == [
        {"a": 1},
        {"a": 2},
    ]
    assert read_batches(write_data(tmp_path, "[]", ".json")) == []
    assert read_batches(write_data(tmp_path, " [ \n ] \n", ".json")) == []
    assert read_batches(write_data(tmp_path, "\n \n\r\n", ".jsonl")) == []


def test_an_array_of_many_blocks(tmp_path):
    rows = [
        {"i": i, "text": ']},{["\\' * (i % 90), "more": {"k": [i]}} for i in range(9000)
    ]
    for indent in (None, 2):
        path = write_data(tmp_path, json.dumps(rows, indent=indent), ".json")
        assert read_rows(path, 777) == rows
