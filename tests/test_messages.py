# SPDX-License-Identifier: Apache-2.0
"""What messages say beyond the place: the way out, and what there is instead."""

import pytest
from formats import read_batches, read_rows, read_until_error

import fast_axolotl
from fast_axolotl import PackOptions


def message_of(tmp_path, name, data, **options):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises((OSError, ValueError)) as caught:
        read_batches(path, **options)
    message = str(caught.value)
    assert name in message
    return message.replace(str(path), name)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize(
    ("row", "at", "found"),
    [
        ("né,1", 2, "xe9,1"),
        ("1,né", 4, "xe9"),
        ("é,1", 1, "xe9,1"),
        ('"a\né",1', 4, 'xe9",1'),
    ],
)
def test_latin1_is_told_where_it_is_and_how_it_is_converted(
    row, at, found, on_error, tmp_path
):
    path = tmp_path / "a.csv"
    path.write_bytes(f"a,b\n1,2\n{row}\n".encode("latin-1"))
    said = []
    if on_error == "raise":
        rows, error = read_until_error(path)
        said.append(str(error))
    else:
        rows = read_rows(path, on_error=lambda bad: said.append(bad.reason))
    assert rows == [{"a": 1, "b": 2}]
    (message,) = said
    assert f"expected valid UTF-8 at byte {at} of the row, found" in message
    assert found in message
    assert "`iconv -f LATIN1 -t UTF-8`" in message


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b'{"a" "b": 1}', "found '\"b\": 1}'"),
        (b'{"a" it\'s}', 'found "it\'s}"'),
        (b'{"a" "it\'s"}', 'found "\\"it\'s\\"}"'),
    ],
)
def test_what_was_found_stands_in_quotes_that_it_does_not_hold(row, found, tmp_path):
    assert found in message_of(tmp_path, "a.jsonl", row)


def test_quotes_beyond_the_cut_do_not_count(tmp_path):
    message = message_of(tmp_path, "a.jsonl", b'{"a" ' + b"x" * 30 + b'"}')
    assert f'found "{"x" * 20}"...' in message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize("size", [1, 4, 5000])
def test_zero_bytes_are_no_encoding(name, size, tmp_path):
    message = message_of(tmp_path, name, b"\0" * size)
    assert "begins with zero bytes" in message
    assert "UTF" not in message


def test_zero_bytes_further_on_are_named_with_their_place(tmp_path):
    message = message_of(tmp_path, "a.jsonl", b'{"a": 1}\n' + b"\0" * 9)
    assert "line 2, column 1" in message


@pytest.mark.parametrize(
    "options", [{"pad": {"nothing": 0, "ids": 0}}, {"pack": PackOptions(length=8)}]
)
def test_a_missing_column_names_those_there_are(options, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"ids": [1], "text": "a"}\n')
    with pytest.raises(ValueError, match=r"the columns there are: ids, text$"):
        fast_axolotl.StreamingDataset(path, **options)


def test_names_of_columns_are_made_printable(tmp_path):
    data = b'{"a b": 1, "\\u001b[2J": 2, "c\\"": 3, "' + b"x" * 99 + b'": 4}'
    message = message_of(tmp_path, "a.jsonl", data, columns=["nothing"])
    shown = message.partition("the columns there are: ")[2]
    assert shown == f'a b, "\\x1b[2J", \'c"\', "{"x" * 60}"...'


@pytest.mark.parametrize(("between", "shown"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_a_header_in_one_piece_hints_at_the_delimiter(between, shown, tmp_path):
    data = f"a{between}b\n1{between}2\n".encode()
    message = message_of(tmp_path, "a.csv", data, columns=["b"])
    assert f'if "{shown}" stands between its cells' in message
    assert "delimiter=" in message
    options = fast_axolotl.CsvOptions(delimiter=between)
    assert read_batches(tmp_path / "a.csv", columns=["b"], csv=options) == [{"b": [2]}]


def test_no_delimiter_is_hinted_at_where_there_is_none(tmp_path):
    assert "delimiter" not in message_of(tmp_path, "a.csv", b"a\n1\n", columns=["b"])
    assert "delimiter" not in message_of(tmp_path, "b.csv", b"a,c;d\n", columns=["b"])
    assert "delimiter" not in message_of(
        tmp_path, "a.jsonl", b'{"a;b": 1}', columns=["b"]
    )


def test_dir_shows_what_is_there_to_use():
    assert dir(fast_axolotl) == sorted(fast_axolotl.__all__)
    assert all(hasattr(fast_axolotl, name) for name in dir(fast_axolotl))
