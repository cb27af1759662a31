# SPDX-License-Identifier: Apache-2.0
"""What every format promises under every compression."""

import random

import pytest
from formats import (
    CASES,
    FORMATS,
    Table,
    exact,
    read_batches,
    read_rows,
    read_until_error,
    table,
)

import fast_axolotl

PLAIN = table(
    id=list(range(10)),
    name=[f"row {i}" for i in range(10)],
    score=[i / 4 for i in range(10)],
    good=[i % 3 == 0 for i in range(10)],
)
CJK, EMOJI, ASTRAL = "漢字かな交じり文", "🦎 👩‍👩‍👧 🏳️‍🌈", "𝒳𐍈𠀋"
COMBINING, BIDI, ODD = "e\u0301 n\u0303", "\u202eabc\u202c", "\u2028\u2029\x85\ufeff\x7f"


def ids(items):
    return [item.id for item in items]


@pytest.fixture(params=CASES, ids=ids(CASES))
def case(request):
    return request.param


def only(wanted):
    """Cases whose format can hold what the test is about."""
    cases = [case for case in CASES if wanted(case.format)]
    return pytest.mark.parametrize("case", cases, ids=ids(cases))


def assert_reads(path, expected, **options):
    """The same rows in the same columns, types included."""
    rows = read_rows(path, **options)
    assert [list(row) for row in rows] == [expected.columns] * len(expected.rows)
    assert exact(rows) == exact(expected.dicts())


def test_rows_columns_and_types(case, tmp_path):
    path = case.write(tmp_path, PLAIN)
    assert_reads(path, case.format.fit(PLAIN))


def test_what_it_says_of_itself(case, tmp_path):
    path = case.write(tmp_path, PLAIN)
    expected = case.format.fit(PLAIN)
    name, compression = case.format.name, case.compression.name
    assert fast_axolotl.detect_format(path) == (name, compression)
    assert fast_axolotl.detect_format(str(path)) == (name, compression)
    missing = path.with_name("missing" + case.suffix)
    assert fast_axolotl.detect_format(missing) == (name, compression)
    assert fast_axolotl.count_rows(path) == len(expected.rows)

    with fast_axolotl.streaming_dataset_reader(path, batch_size=4) as reader:
        assert reader.columns == expected.columns
        assert list(reader.schema) == expected.columns
        assert reader.files == [str(path)]
        assert reader.bytes_total == path.stat().st_size
        assert reader.rows_read == 0
        seen = 0
        for batch in reader:
            seen += len(next(iter(batch.values())))
            assert reader.rows_read == seen
        assert seen == len(expected.rows)


def most_read(case, reader):
    # To find the footer of a Parquet file its last 64 KiB are read.
    return reader.bytes_total * (2 if case.format.id == "parquet" else 1)


def test_bytes_read_are_those_of_the_disk(case, tmp_path):
    path = case.write(tmp_path, PLAIN)
    with fast_axolotl.streaming_dataset_reader(path) as reader:
        list(reader)
        assert 0 < reader.bytes_read <= most_read(case, reader)


def test_bytes_of_many_small_files_are_counted_once(case, tmp_path):
    data = case.write(tmp_path, PLAIN).read_bytes()
    paths = [tmp_path / f"{i}{case.suffix}" for i in range(40)]
    for path in paths:
        path.write_bytes(data)
    with fast_axolotl.streaming_dataset_reader(paths) as reader:
        list(reader)
        # Of a file with a footer only parts need be read.
        assert reader.bytes_total / 2 < reader.bytes_read <= most_read(case, reader)


def test_the_schema_names_the_types(case, tmp_path):
    path = case.write(tmp_path, PLAIN)
    with fast_axolotl.streaming_dataset_reader(path) as reader:
        schema = reader.schema
    if case.format.names:
        assert schema == {
            "id": "int64",
            "name": "string",
            "score": "float64",
            "good": "bool",
        }
    else:
        assert schema == {"text": "string"}


def test_the_bytes_tell_the_compression(case, tmp_path):
    path = tmp_path / ("data" + case.format.suffix)
    path.write_bytes(case.encode(PLAIN))
    assert fast_axolotl.detect_format(path) == (case.format.name, case.compression.name)
    assert_reads(path, case.format.fit(PLAIN))


def test_format_overrides_a_name_that_says_nothing(case, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(case.encode(PLAIN))
    if case.format.id == "tsv":
        options = {"csv": fast_axolotl.CsvOptions(delimiter="\t")}
    else:
        options = {}
    assert_reads(path, case.format.fit(PLAIN), format=case.format.name, **options)


def test_projection_in_the_order_asked_for(case, tmp_path):
    path = case.write(tmp_path, PLAIN)
    expected = case.format.fit(PLAIN)
    for columns in (expected.columns[::-1], expected.columns[-1:], expected.columns[1:3]):
        if columns:
            assert_reads(path, expected.project(columns), columns=columns)
            assert_reads(path, expected.project(columns), columns=columns, batch_size=3)


@pytest.mark.parametrize("batch_size", [1, 7, 1000, 2**31 - 1])
def test_batches_are_full_but_for_the_last(case, batch_size, tmp_path):
    data = table(text=[f"line {i}" for i in range(100)], n=list(range(100)))
    path = case.write(tmp_path, data)
    expected = case.format.fit(data)
    batches = read_batches(path, batch_size)
    lengths = [{len(values) for values in batch.values()} for batch in batches]
    rows = len(expected.rows)
    whole, rest = divmod(rows, batch_size)
    assert lengths == [{batch_size}] * whole + [{rest}] * bool(rest)
    assert exact(read_rows(path, batch_size)) == exact(expected.dicts())


def test_batches_run_over_the_borders_of_files(case, tmp_path):
    parts = [table(text=[f"{i}-{j}" for j in range(i)]) for i in (1, 5, 2, 9, 3)]
    paths = [case.write(tmp_path, part, f"part-{i}") for i, part in enumerate(parts)]
    expected = [row for part in parts for row in case.format.fit(part).dicts()]
    batches = read_batches(paths, 4)
    assert [len(batch["text"]) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    assert [text for batch in batches for text in batch["text"]] == [
        row["text"] for row in expected
    ]


@only(lambda f: f.names)
def test_nulls(case, tmp_path):
    data = table(
        some_int=[1, None, 3, None],
        some_text=[None, "", "b", None],
        some_float=[None, None, None, 0.5],
        some_bool=[True, None, None, False],
        at_first=[None, None, None, "at last"],
    )
    assert_reads(case.write(tmp_path, data), case.format.fit(data))
    assert_reads(case.write(tmp_path, data), case.format.fit(data), batch_size=1)


@only(lambda f: f.names)
def test_a_column_of_nothing_but_nulls(case, tmp_path):
    data = table(id=[1, 2, 3], none=[None, None, None])
    assert_reads(case.write(tmp_path, data), case.format.fit(data))


@only(lambda f: f.may_be_empty)
def test_no_rows(case, tmp_path):
    path = case.write(tmp_path, Table(["id", "text"], []))
    assert read_batches(path) == []
    assert fast_axolotl.count_rows(path) == 0
    dataset = fast_axolotl.StreamingDataset(path)
    assert list(dataset) == list(dataset.rows()) == []
    if case.format.columns_without_rows:
        assert dataset.columns == ["id", "text"]
        with pytest.raises(ValueError, match="text"):
            read_batches(path, columns=["texts"])
    if dataset.len_is_exact:
        assert len(dataset) == dataset.num_rows == 0


@only(lambda f: f.may_be_empty)
def test_files_without_rows_between_others(case, tmp_path):
    empty = Table(["text"], [])
    one = table(text=["only one"])
    paths = [
        case.write(tmp_path, data, f"part-{i}")
        for i, data in enumerate([empty, one, empty, empty, one, empty])
    ]
    assert_reads(paths, table(text=["only one"] * 2))


def test_a_file_of_no_bytes(case, tmp_path):
    path = tmp_path / ("data" + case.suffix)
    path.write_bytes(b"")
    if case.compression.name is None and case.format.name in {"jsonl", "csv", "text"}:
        assert read_batches(path) == []
        assert fast_axolotl.count_rows(path) == 0
    else:
        rows, error = read_until_error(path)
        assert rows == []
        assert error is not None
        assert path.name in str(error)


def test_one_row(case, tmp_path):
    data = table(text=["alone"], n=[1])
    path = case.write(tmp_path, data)
    for batch_size in (1, 2, 1000):
        assert_reads(path, case.format.fit(data), batch_size=batch_size)


def test_unicode(case, tmp_path):
    values = [CJK, EMOJI, ASTRAL, COMBINING, BIDI, ODD, "é" * 300]
    if case.format.only_one_row:
        values = ["".join(values)]
    data = table(text=values)
    assert_reads(case.write(tmp_path, data), case.format.fit(data))
    if case.format.names:
        named = Table(values, [tuple(values)])
        assert_reads(case.write(tmp_path, named), named)
        assert_reads(
            case.write(tmp_path, named), named.project(values[::-1]), columns=values[::-1]
        )


def test_characters_that_need_quoting(case, tmp_path):
    values = [
        '"',
        '""',
        "\\",
        "\\n",
        ",",
        "\t",
        "'",
        "a,b",
        '"a"',
        "[1]",
        "{}",
        " a ",
        "#",
    ]
    if case.format.names:
        values += ["\n", "\r", "\r\n", "a\nb", "\n\n"]
    data = table(text=values, other=values[::-1])
    expected = case.format.fit(data)
    assert_reads(case.write(tmp_path, data), expected)


@pytest.mark.parametrize("megabytes", [3])
def test_long_rows(case, megabytes, tmp_path):
    rng = random.Random(1)
    size = megabytes << 20
    # A piece of noise, so that compressed blocks cannot all be one repetition.
    long = rng.randbytes(50_000).hex() * (size // 100_000)
    data = table(text=["short", long, "漢" * 10, long[::-1], ""], n=[1, 2, 3, 4, 5])
    path = case.write(tmp_path, data)
    rows = read_rows(path, 2)
    assert rows == case.format.fit(data).dicts()


@only(lambda f: f.nested)
def test_nested_values(case, tmp_path):
    data = table(
        ids=[[1, 2, 3], [], None, [4]],
        words=[["a", None], None, [], ["é"]],
        deep=[[[1], []], [[2, None]], [None], []],
        turn=[
            {"role": "user", "n": 1},
            {"role": "x", "n": None},
            None,
            {"role": "", "n": 2},
        ],
        turns=[[{"role": "a"}], [], [{"role": "b"}, {"role": None}], None],
    )
    expected = case.format.fit(data)
    for batch_size in (1, 3, 1000):
        assert_reads(case.write(tmp_path, data), expected, batch_size=batch_size)
    assert_reads(
        case.write(tmp_path, data),
        expected.project(["turns", "ids"]),
        columns=["turns", "ids"],
    )


@only(lambda f: f.names)
def test_files_with_different_columns(case, tmp_path):
    parts = [
        table(a=[1, 2], b=["x", "y"]),
        table(c=[0.5, 1.5], b=["z", "w"]),
        table(d=[True], a=[3]),
    ]
    paths = [case.write(tmp_path, part, f"part-{i}") for i, part in enumerate(parts)]
    expected = [
        {"a": None, "b": None, "c": None, "d": None, **row}
        for part in parts
        for row in case.format.fit(part).dicts()
    ]
    for batch_size in (1, 2, 3, 1000):
        rows = read_rows(paths, batch_size)
        assert exact(rows) == exact(expected)
    with fast_axolotl.streaming_dataset_reader(paths) as reader:
        assert reader.columns == ["a", "b", "c", "d"]
    projected = read_rows(paths, 2, columns=["d", "a"])
    assert exact(projected) == exact([{"d": r["d"], "a": r["a"]} for r in expected])


@only(lambda f: f.repeats)
def test_repeated_and_empty_column_names(case, tmp_path):
    names = ["a", "", "a", "b", "", "a", "a_1"]
    data = Table(names, [tuple(range(7)), tuple(range(10, 17))])
    path = case.write_bytes(tmp_path, case.format.write(data))
    unique = ["a", "column_1", "a_2", "b", "column_4", "a_3", "a_1"]
    assert_reads(path, Table(unique, data.rows))
    reverse = unique[::-1]
    assert_reads(path, Table(unique, data.rows).project(reverse), columns=reverse)


@only(lambda f: f.lines)
@pytest.mark.parametrize("batch_size", [3, 1000])
def test_crlf(case, batch_size, tmp_path):
    data = case.format.fit(PLAIN)
    text = case.format.write(data).replace(b"\n", b"\r\n")
    assert_reads(case.write_bytes(tmp_path, text), data, batch_size=batch_size)


@only(lambda f: f.lines)
def test_no_newline_at_the_end(case, tmp_path):
    data = case.format.fit(PLAIN)
    text = case.format.write(data).removesuffix(b"\n")
    assert_reads(case.write_bytes(tmp_path, text), data)


@only(lambda f: f.text)
def test_byte_order_mark(case, tmp_path):
    data = case.format.fit(PLAIN)
    path = case.write_bytes(tmp_path, b"\xef\xbb\xbf" + case.format.write(data))
    assert_reads(path, data)
    assert fast_axolotl.detect_format(path) == (case.format.name, case.compression.name)


@only(lambda f: f.text)
def test_wide_encodings_are_refused(case, tmp_path):
    encodings = ["utf-16", "utf-32"]
    if case.format.name != "text":
        # Without a mark, only a syntax of ASCII characters tells UTF-16 from UTF-8.
        encodings += ["utf-16-le", "utf-16-be"]
    text = case.format.write(case.format.fit(PLAIN)).decode()
    for encoding in encodings:
        path = case.write_bytes(tmp_path, text.encode(encoding))
        with pytest.raises(ValueError, match="UTF-16"):
            read_batches(path)


def many(rows=20_000):
    return table(
        text=[f"row {i} " + "x" * (i % 50) for i in range(rows)],
        n=list(range(rows)),
        maybe=[None if i % 7 else i / 2 for i in range(rows)],
    )


@pytest.mark.parametrize("format_", FORMATS, ids=ids(FORMATS))
def test_threads_and_read_ahead_change_nothing(format_, tmp_path):
    data = many()
    cases = [case for case in CASES if case.format is format_]
    paths = [case.write(tmp_path, data, case.compression.id) for case in cases]
    expected = format_.fit(data).dicts() * len(paths)
    for options in (
        {"num_threads": 1},
        {"num_threads": 2, "read_ahead_bytes": 1},
        {"num_threads": 8},
        {"num_threads": 8, "read_ahead_bytes": 1000},
    ):
        assert read_rows(paths, 1713, **options) == expected
