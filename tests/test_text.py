# SPDX-License-Identifier: Apache-2.0
"""Text: a row is a line, and only \\n and \\r\\n end one."""

import re

import pytest
from formats import read_batches, read_rows, read_until_error
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_axolotl import StreamingDataset


def write(folder, data, name="data.txt"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def lines(folder, data, **options):
    batches = read_batches(write(folder, data), **options)
    assert all(list(batch) == ["text"] for batch in batches)
    return [line for batch in batches for line in batch["text"]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", []),
        ("\n", [""]),
        ("\n\n", ["", ""]),
        ("\r\n\n\r\n", ["", "", ""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("\na", ["", "a"]),
        ("a\r\nb", ["a", "b"]),
        ("a\rb\r\rc\n", ["a\rb\r\rc"]),
        ("a\r\r\n", ["a\r"]),
        ("a\r", ["a\r"]),
        ("  a  \n\t\n", ["  a  ", "\t"]),
        ("a\n\rb", ["a", "\rb"]),
    ],
    ids=repr,
)
def test_where_a_line_ends(data, expected, tmp_path):
    assert lines(tmp_path, data) == expected
    assert lines(tmp_path, data, batch_size=1) == expected


@pytest.mark.parametrize(
    "other", list("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0\x7f\ufeff"), ids=ascii
)
def test_nothing_else_ends_a_line(other, tmp_path):
    text = f"a{other}b{other}"
    assert lines(tmp_path, f"{text}\n{text}") == [text, text]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))),
    st.sampled_from([1, 2, 1000]),
)
def test_any_lines(tmp_path_factory, expected, batch_size):
    expected = [line.rstrip("\r") for line in expected]
    data = "".join(line + "\n" for line in expected)
    if data.startswith(("\ufeff", "\ufffe", "\x1f\x8b")):
        return
    got = lines(tmp_path_factory.getbasetemp(), "-\n" + data, batch_size=batch_size)
    assert got == ["-", *expected]


def test_a_mark_is_no_text(tmp_path):
    assert lines(tmp_path, "\ufeffa\n\ufeffb\n") == ["a", "\ufeffb"]
    assert lines(tmp_path, "\ufeff") == []


def test_what_looks_like_another_format_is_text_under_this_name(tmp_path):
    for text in ('{"a": 1}', "[1]", "a,b", "PAR", "PAR1 is no Parquet", "FEA1", "ARROW1"):
        assert lines(tmp_path, f"{text}\n1,2\n") == [text, "1,2"]


@pytest.mark.parametrize(
    "bad", [b"\xff", b"a\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]
)
def test_bytes_that_are_not_utf8(bad, tmp_path):
    path = write(tmp_path, b"one\ntwo\r\n\n" + bad + b" x\nfive\n")
    for batch_size in (1, 1000):
        rows, error = read_until_error(path, batch_size)
        assert [row["text"] for row in rows] == ["one", "two", ""]
        assert path.name in str(error)
        assert re.search(r"\bline 4\b", str(error))
        offset = 10 + (bad[:1] == b"a")
        assert f"byte offset {offset}" in str(error)


def test_a_bad_byte_far_behind(tmp_path):
    text = [f"line {i} " + "é" * 100 for i in range(30_000)]  # 6 MB
    data = "\n".join(text).encode()
    path = write(tmp_path, data + b"\n\xff\nmore\n")
    rows, error = read_until_error(path)
    assert [row["text"] for row in rows] == text
    assert re.search(r"\bline 30001\b", str(error))
    assert f"byte offset {len(data) + 1}" in str(error)


def test_a_character_cut_off_at_the_end(tmp_path):
    rows, error = read_until_error(write(tmp_path, "a\né".encode()[:-1]))
    assert rows == [{"text": "a"}]
    assert re.search(r"\bline 2\b", str(error))


def test_no_column_but_text(tmp_path):
    path = write(tmp_path, "a\n")
    assert read_rows(path, columns=["text"]) == [{"text": "a"}]
    with pytest.raises(ValueError, match="text"):
        read_rows(path, columns=["line"])
    with pytest.raises(ValueError, match="text"):
        read_rows(write(tmp_path, "", "empty.txt"), columns=["line"])


def test_a_type_for_the_column(tmp_path):
    path = write(tmp_path, "1\n2\nx\n")
    rows, error = read_until_error(path, schema={"text": "int64"})
    assert rows == [{"text": 1}, {"text": 2}]
    assert re.search(r"\bline 3\b", str(error))


@pytest.mark.parametrize("size", range(1, 10))
def test_the_beginning_of_an_archive_is_text(size, tmp_path):
    text = "BZh91AY&SY"[:size]
    assert lines(tmp_path, text) == [text]


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_rows_of_a_small_file_are_known_at_once(tmp_path, end):
    data = StreamingDataset(write(tmp_path, "a\nb\n\nd" + end), 2)
    assert data.len_is_exact
    assert data.num_rows == 4
