# SPDX-License-Identifier: Apache-2.0
"""Arrays have the types of one schema, whatever a block or a file holds."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from outputs import (
    ARRAYS,
    assert_same,
    column_of,
    kind_of,
    kinds_of,
    same,
    until_error,
    values_of,
    write_ipc,
    write_lines,
)

from fast_axolotl import streaming_dataset_reader

# --- one schema -------------------------------------------------------------------------


@pytest.mark.parametrize("output", ARRAYS)
def test_dtypes_are_those_of_the_stream_and_not_of_a_block(output, tmp_path):
    """Ints, floats, nothing but nulls, empty lists: each alone in a block of its own."""
    filler = [{"y": "x" * 999}] * 1500
    parts = [
        [{"x": 0.5, "l": [0.5]}, {"x": 1, "l": [1]}],
        [{"x": 2, "l": [2, 3]}] * 3,
        [{"x": None, "l": None}] * 3,
        [{"l": []}] * 3,
        [{"x": 7.5, "l": [1, 2.5, None]}],
    ]
    rows = [row for part in parts for row in [*part, *filler]]
    path = write_lines(tmp_path / "x.jsonl", rows)
    wanted = [{"x": row.get("x"), "l": row.get("l")} for row in rows]
    for threads in (1, 4):
        reader = streaming_dataset_reader(
            path, 900, columns=["x", "l"], output=output, num_threads=threads
        )
        batches = list(reader)
        assert len({str(kinds_of(batch)) for batch in batches}) == 1
        assert str(batches[0]["x"].dtype).endswith("float64")
        assert str(batches[0]["l"].values.dtype).endswith("float64")
        at = 0
        for batch in batches:
            part = wanted[at : at + 900]
            assert_same(
                values_of(batch),
                {name: [row[name] for row in part] for name in ("x", "l")},
            )
            at += 900


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("1.5", "9007199254740993"),
        ("1.5", "-9007199254740993"),
        ("1.5", "10000000000000000000001"),
        ("1.5", '"1"'),
        ("1.5", "true"),
        ("1.5", "[1.5]"),
        ("1.5", "{}"),
        ("1", "1.5"),
        ("1", "9223372036854775808"),
        ("1", "1e300"),
        ("1", "NaN"),
        ("1", '"1"'),
        ("1", "false"),
        ("true", "1"),
        ("true", '"true"'),
        ('"a"', "1"),
        ('"a"', r'"\ud800"'),
        ('"a"', '["a"]'),
        ("[1]", "[1.5]"),
        ("[1]", "[true]"),
        ("[1]", '["1"]'),
        ("[1]", "[[1]]"),
        ("[1]", "1"),
        ("[1.5]", "[9007199254740993]"),
        ("[1.5]", "[1, true]"),
        ("[true]", "[1]"),
        ("[true]", "[0, 1]"),
        ('["a"]', "[1]"),
        ('["a"]', "[true]"),
    ],
)
@pytest.mark.parametrize("far", [False, True], ids=["among others", "in its own block"])
def test_a_later_value_that_is_no_value_of_the_column(good, bad, far, tmp_path):
    """The rows before it come first, and the error names place, value and way out."""
    size = 1700 if far else 1
    lines = [f'{{"x": {good}, "y": "{"y" * 3900}"}}'] * 1700
    # An empty list fits every list, and null every column.
    lines += [f'{{"x": {"[]" if good[0] == "[" else "null"}}}'] * size
    lines += [f'{{"x": {bad}}}', f'{{"x": {good}}}']
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines))
    output = "arrow" if good == "true" or good == "1" else "numpy"
    for batch_size in (1000, 7777):
        for threads in (1, 3):
            batches, error = until_error(
                path, batch_size, output, columns=["x"], num_threads=threads
            )
            assert sum(len(batch["x"]) for batch in batches) == 1700 + size
            assert f"{path}: line {1700 + size + 1}, " in error
            assert 'column "x"' in error
            assert "a sample of the files shows" in error
            assert "schema=" in error
            assert bad.strip('"')[:3] in error or "ud800" in bad


@pytest.mark.parametrize(
    ("good", "late", "wanted"),
    [
        ("1.5", "9007199254740994", 9007199254740994.0),
        ("1.5", "18446744073709551616", 18446744073709551616.0),
        ("1.5", "-0", 0.0),
        ("1.5", "1e400", math.inf),
        ("1", "2.0", 2),
        ("1", "1e3", 1000),
        ("[1]", "[2.0]", [2]),
    ],
)
def test_a_later_value_that_another_spelling_holds_exactly(good, late, wanted, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(
        f'{{"x": {good}, "y": "{"y" * 3900}"}}\n' * 1700 + f'{{"x": {late}}}\n' * 3
    )
    *_, last = column_of(path, 1700, columns=["x"])
    assert repr(values_of({"x": last})["x"]) == repr([wanted] * 3)


def test_a_column_that_comes_late_is_left_out_with_one_warning(tmp_path):
    rows = [{"x": i, "y": "y" * 3900} for i in range(1700)]
    rows += [{"x": 1, "late": 1, "la\u0000ter": None}, {"x": 2, "late": "a"}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    for output in ("numpy", "arrow"):
        with pytest.warns(UserWarning, match="left out") as seen:
            batches = list(streaming_dataset_reader(path, 100, output=output))
        assert len(seen) == 1
        told = str(seen[0].message)
        assert '"late"' in told
        assert '"la\\x00ter"' in told
        assert "schema=" in told
        # The caller's line, and not one of ours.
        assert seen[0].filename == __file__
        assert sum(len(batch["x"]) for batch in batches) == 1702
        assert all(set(kinds_of(batch)) == {"x", "y"} for batch in batches)
    # Of columns that were not asked for nothing is said; one that schema= names is there.
    list(streaming_dataset_reader(path, output="numpy", columns=["x"]))
    kinds = {"late": "json", "la\u0000ter": "null"}
    *_, last = streaming_dataset_reader(path, 1700, output="numpy", schema=kinds)
    assert last["late"] == [1, "a"]


def test_a_late_warning_that_is_an_error_takes_no_batch_with_it(tmp_path):
    rows = [{"x": i, "y": "y" * 3900} for i in range(1700)] + [{"x": 1700, "late": 1}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    reader = streaming_dataset_reader(path, 100, output="numpy")
    got = []
    warned = 0
    while True:
        try:
            got += next(reader)["x"].tolist()
        except UserWarning:
            warned += 1
        except StopIteration:
            break
    assert warned == 1
    assert got == list(range(1701))


@pytest.mark.parametrize("output", ARRAYS)
def test_columns_that_a_file_lacks_are_null(output, tmp_path):
    pq.write_table(
        pa.table({"a": [0.5], "b": [["x"]], "c": [[1]]}), tmp_path / "1.parquet"
    )
    pq.write_table(pa.table({"d": ["y"]}), tmp_path / "2.parquet")
    (batch,) = streaming_dataset_reader(tmp_path, output=output)
    assert_same(
        values_of(batch),
        {"a": [0.5, None], "b": [["x"], None], "c": [[1], None], "d": [None, "y"]},
    )
    assert batch["c"][1] is None
    pq.write_table(pa.table({"e": [1]}), tmp_path / "3.parquet")
    batches, error = until_error(tmp_path, output=output)
    assert batches == []
    assert 'row 1, column "e": null' in error


def test_an_integer_column_of_json_that_a_row_lacks(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"x": 1}, {"y": 2}])
    batches, error = until_error(path)
    assert batches == []  # row 1 has no "y"
    assert 'row 1, column "y": null' in error


# --- files of differing types -----------------------------------------------------------


def typed_files(folder, *columns, suffix=".arrow"):
    paths = []
    for i, column in enumerate(columns):
        paths.append(folder / f"{i}{suffix}")
        table = pa.table({"x": column})
        if suffix == ".arrow":
            write_ipc(paths[-1], table, rows=2)
        else:
            pq.write_table(table, paths[-1])
    return paths


NUMBERS = [
    (["int8", "int64"], "int64"),
    (["int8", "int16"], "int16"),
    (["uint8", "uint32"], "uint32"),
    (["uint8", "uint64"], "uint64"),
    (["int8", "uint32"], "int64"),
    (["int32", "float32"], "float64"),
    (["uint64", "float64"], "float64"),
    (["float16", "float32"], "float32"),
    (["float16", "float64"], "float64"),
    (["int8", "int16", "float16"], "float64"),
    (["null", "int16"], "int16"),
]


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize(("kinds", "wanted"), NUMBERS)
def test_numbers_of_several_widths(kinds, wanted, output, tmp_path):
    columns = [pa.array([1, 2, 3], kind) for kind in kinds if kind != "null"]
    paths = typed_files(tmp_path, *columns)
    for order in (paths, paths[::-1]):
        for batch_size in (2, 1000):
            arrays = column_of(order, batch_size, output)
            assert {str(a.dtype).removeprefix("torch.") for a in arrays} == {wanted}
            assert [v for a in arrays for v in a.tolist()] == [1, 2, 3] * len(columns)


def test_integers_that_no_type_holds_together(tmp_path):
    """uint64 and a signed type have no common one: Python's ints have."""
    top = 2**64 - 1
    paths = typed_files(tmp_path, pa.array([top, 0], "uint64"), pa.array([-1], "int8"))
    assert column_of(paths, output="numpy") == [[top, 0, -1]]
    arrow = column_of(paths, output="arrow")[0]
    assert arrow.type == pa.json_()
    assert arrow.storage.to_pylist() == [str(top), "0", "-1"]
    # schema= chooses one that holds the values that there are.
    batches, error = until_error(paths, schema={"x": "int64"})
    assert batches == []
    assert f'row 1: column "x": "{top}" is not a value of the type int64' in error


def test_an_integer_that_no_double_holds(tmp_path):
    paths = typed_files(
        tmp_path, pa.array([0.5]), pa.array([2**53, 2**54 + 4, 2**53 + 1])
    )
    batches, error = until_error(paths)
    assert batches[0]["x"].tolist() == [0.5, 2.0**53, 2.0**54 + 4]
    assert f'{paths[1]}: row 3: column "x": "{2**53 + 1}" is not' in error


def test_floats_beyond_the_sample_are_not_rounded(tmp_path):
    """Of 17 files one is not looked at: what it holds fits exactly, or not at all."""
    folder = tmp_path
    (folder / "00").mkdir()
    columns = [pa.array([0.5], "float32")] * 17
    columns[-1] = pa.array([0.25, 0.1], "float64")
    paths = typed_files(folder, *columns)
    batches, error = until_error(paths, 1)
    assert [batch["x"].tolist() for batch in batches] == [[0.5]] * 16 + [[0.25]]
    assert {str(batch["x"].dtype) for batch in batches} == {"float32"}
    assert (
        f'{paths[-1]}: row 2: column "x": "0.1" is not a value of the type float32'
        in error
    )
    # Asked for, the nearest one is taken, but for infinity.
    arrays = column_of(paths, 1, schema={"x": "float32"})
    assert arrays[-1].tolist() == [pytest.approx(0.1)]
    columns[-1] = pa.array([1e300, math.inf], "float64")
    batches, error = until_error(typed_files(folder, *columns), schema={"x": "float32"})
    assert len(batches[0]["x"]) == 16
    assert '"1e+300" is not a value of the type float32 that schema= gives' in error


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.list_(pa.int8()), pa.large_list(pa.int32())),
        (pa.list_(pa.int8(), 2), pa.list_(pa.float32())),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int64(), 2)),
        (pa.list_view(pa.int64()), pa.list_(pa.int64())),
        (pa.large_list_view(pa.float64()), pa.list_(pa.int16(), 2)),
        (pa.list_(pa.null()), pa.list_(pa.int16())),
    ],
    ids=str,
)
def test_lists_of_several_kinds(first, second, tmp_path):
    rows = [[1, 2], [3, 4], None]
    paths = typed_files(
        tmp_path,
        pa.array(rows if first.value_type != pa.null() else [[], None], first),
        pa.array(rows, second),
    )
    (lists,) = column_of(paths, output="python")
    for order in (paths, paths[::-1]):
        for batch_size in (2, 1000):
            found = column_of(order, batch_size)
            assert len({kind_of(x) for x in found}) == 1
            assert kind_of(found[0])[0] == "ragged"
            values = [v for x in found for v in values_of({"": x})[""]]
            assert same(
                values,
                lists if order == paths else lists[-len(rows) :] + lists[: -len(rows)],
            )


# --- bad names --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "é 漢", "a\0b", "\ud800", "x y"])
def test_any_column_name(name, tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{name: 1}, {name: 2}])
    for output in ARRAYS:
        (batch,) = streaming_dataset_reader(path, output=output)
        assert {key: value.tolist() for key, value in batch.items()} == {name: [1, 2]}
