# SPDX-License-Identifier: Apache-2.0
"""Padded batches, against plain Python."""

import gc
import itertools
import pickle

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
import token_files
from hypothesis import HealthCheck, given, settings

import fast_axolotl
from fast_axolotl import (
    PadCollator,
    PadOptions,
    StreamingDataset,
    streaming_dataset_reader,
)

# A dataset that is left with an open iterator, and torch's forks beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process .*is multi-threaded")
SLOW = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


# --- the reference --------------------------------------------------------------------


def padded(columns, options):
    """What padding makes of columns of lists: those that it names, and made ones."""
    # A mask is padded or made, whether it is named or not.
    values = {**options.values}
    values.setdefault("attention_mask", 0)
    there = [name for name in values if name in columns]
    columns = {
        name: [row or [] for row in column] if name in values else column
        for name, column in columns.items()
    }
    leading = columns["input_ids" if "input_ids" in there else there[0]]
    if "attention_mask" not in there:
        values["attention_mask"] = 0
    for name in values:
        if name not in columns:
            columns[name] = {
                "labels": leading,
                "attention_mask": [[1] * len(row) for row in leading],
                "position_ids": [[*range(len(row))] for row in leading],
            }[name]
    most = options.max_length
    if options.padding == "max_length":
        length = most
    else:
        length = max((len(row) for name in there for row in columns[name]), default=0)
        length = length if most is None else min(length, most)
    multiple = options.pad_to_multiple_of or 1
    length = -(-length // multiple) * multiple

    def fit(row, value, made):
        # What is made is made of the tokens that stay.
        if most is not None and len(row) > most:
            cut_left = options.truncation_side == "left" and not made
            row = row[len(row) - most :] if cut_left else row[:most]
        free = [value] * (length - len(row))
        return free + row if options.padding_side == "left" else row + free

    return {
        name: [
            fit(row, values[name], name not in there and name != "labels")
            for row in column
        ]
        if name in values
        else column
        for name, column in columns.items()
    }


def batches_of(table, size):
    return [
        table.slice(at, size).to_pydict() for at in range(0, max(table.num_rows, 1), size)
    ]


def plain(batch):
    """Arrays as lists, with the columns in their order."""

    def listed(value):
        return value.tolist() if hasattr(value, "tolist") else value

    return [
        (name, [*map(listed, c)] if isinstance(c, list) else listed(c))
        for name, c in batch.items()
    ]


def dtype(array):
    return str(array.dtype).removeprefix("torch.")


# --- value for value ------------------------------------------------------------------

LISTS = st.none() | st.lists(st.integers(-5, 127), max_size=9)


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 14))

    def column(strategy):
        return draw(st.lists(strategy, min_size=rows, max_size=rows))

    columns = {"id": [*range(rows)], "input_ids": pa.array(column(LISTS), _INT32)}
    if draw(st.booleans()):
        columns["labels"] = pa.array(column(LISTS), _INT32)
    if draw(st.booleans()):
        floats = st.lists(st.floats(width=32, allow_nan=False), max_size=12)
        columns["scores"] = pa.array(column(floats), pa.list_(pa.float32()))
    if draw(st.booleans()):
        columns["attention_mask"] = pa.array(column(LISTS), _INT32)
    columns["text"] = ["x" * (i % 3) for i in range(rows)]
    return pa.table(columns)


_INT32 = pa.list_(pa.int32())


@st.composite
def options_for(draw, names):
    made = ["labels", "attention_mask", "position_ids"]
    others = [name for name in (*names, *made) if name not in ("id", "text")]
    chosen = draw(st.lists(st.sampled_from(others), unique=True, min_size=1))
    # Labels that are made of floats are floats.
    if not set(chosen) & set(names) or ("labels" in chosen and "scores" in chosen):
        chosen = [*dict.fromkeys([*chosen, "input_ids"])]
    values = {
        name: draw(st.floats(-9, 9, width=32) if name == "scores" else st.integers(-9, 9))
        for name in chosen
    }
    most = draw(st.none() | st.integers(1, 10))
    dtypes = {
        name: draw(st.sampled_from(["int8", "int16", "int32", "int64", "float64"]))
        for name in chosen
        if name != "scores" and draw(st.booleans())
    }
    every = [] if "scores" in chosen else ["int8", "int32", "float32"]
    return PadOptions(
        values,
        max_length=most,
        pad_to_multiple_of=draw(st.none() | st.integers(1, 5)),
        padding=draw(
            st.sampled_from(["longest", "max_length"][: 1 + (most is not None)])
        ),
        padding_side=draw(st.sampled_from(["left", "right"])),
        truncation_side=draw(st.sampled_from(["left", "right"])),
        dtype=draw(st.sampled_from([None, dtypes, *every])),
    )


@settings(max_examples=250, **SLOW)
@given(st.data(), tables(), st.integers(1, 6), st.integers(1, 15))
def test_padded_batches_are_those_of_plain_python(tmp_path, data, table, step, size):
    options = data.draw(options_for(table.column_names), label="options")
    suffix = data.draw(st.sampled_from([*token_files.WRITERS]), label="suffix")
    path = token_files.write(tmp_path / f"data{suffix}", table, step)
    output = data.draw(st.sampled_from(["numpy", "torch"]), label="output")
    found = list(
        StreamingDataset(path, size, output=output, pad=options, schema=table.schema)
    )
    expected = [padded(columns, options) for columns in batches_of(table, size)]
    assert [plain(batch) for batch in found] == [[*batch.items()] for batch in expected]
    for name in {"attention_mask", *options.values}:
        wanted = options.dtype
        if not isinstance(wanted, str):
            wanted = (wanted or {}).get(name, "int64")
        if name == "scores":
            wanted = "float32"
        assert {dtype(batch[name]) for batch in found} == {wanted}


@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("type_", "rows", "expected", "kind"),
    [
        (pa.list_(pa.int8()), [[-128, 127], None], [[-128, 127], [9, 9]], "int64"),
        (pa.list_(pa.uint16()), [[65535], [1, 2]], [[65535, 9], [1, 2]], "int64"),
        (
            pa.list_(pa.uint64()),
            [[(1 << 63) - 1], [1, 2]],
            [[(1 << 63) - 1, 9], [1, 2]],
            "int64",
        ),
        (
            pa.large_list(pa.int64()),
            [[-(1 << 63)], [1, 2]],
            [[-(1 << 63), 9], [1, 2]],
            "int64",
        ),
        (pa.list_(pa.int16(), 2), [[1, 2], [3, 4]], [[1, 2], [3, 4]], "int64"),
        (pa.list_(pa.bool_()), [[True, False], [True]], [[1, 0], [1, 9]], "int64"),
        (pa.list_(pa.float32()), [[0.5], [1, 2]], [[0.5, 9], [1, 2]], "float32"),
        (pa.large_list(pa.float64()), [[0.1], [1, 2]], [[0.1, 9], [1, 2]], "float64"),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".stream.arrow"])
def test_types_of_lists(tmp_path, suffix, type_, rows, expected, kind, output):
    table = pa.table({"input_ids": pa.array(rows, type_)})
    path = token_files.write(tmp_path / f"data{suffix}", table, 1)
    (batch,) = StreamingDataset(path, 8, pad={"input_ids": 9}, output=output)
    assert batch["input_ids"].tolist() == expected
    assert dtype(batch["input_ids"]) == kind
    assert dtype(batch["attention_mask"]) == "int64"


def test_lists_of_several_types_become_one(tmp_path):
    """A batch over files of other integers, and one of them without labels."""
    paths = [
        token_files.write(tmp_path / f"{i}{suffix}", table)
        for i, (suffix, table) in enumerate(
            [
                (".parquet", token_files.tokens([[1], [2, 3]], labels=[[7], [8, 9]])),
                (".jsonl", pa.table({"input_ids": [[1 << 40], None]})),
                (".arrow", pa.table({"input_ids": pa.array([[4] * 3], _LARGE)})),
            ]
        )
    ]
    (batch,) = StreamingDataset(paths, 8, pad={"input_ids": 0, "labels": -1})
    assert batch["input_ids"].tolist() == [
        [1, 0, 0],
        [2, 3, 0],
        [1 << 40, 0, 0],
        [0, 0, 0],
        [4, 4, 4],
    ]
    assert batch["labels"].tolist() == [[7, -1, -1], [8, 9, -1], *[[-1] * 3] * 3]


_LARGE = pa.large_list(pa.int64())

# --- all ways of reading --------------------------------------------------------------

PAD = PadOptions(
    {"input_ids": 0, "labels": -100, "position_ids": 3},
    max_length=20,
    pad_to_multiple_of=8,
    padding_side="left",
    truncation_side="left",
    dtype={"labels": "int16"},
)


def lists(start, rows):
    """As long as their number says, and the number of the row is in them."""
    return [
        None if i % 11 == 5 else [i, *range(i % 31)][: i % 31]
        for i in range(start, start + rows)
    ]


@pytest.fixture(scope="module")
def mixed_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pad")
    paths = []
    for i, suffix in enumerate(token_files.WRITERS):
        table = token_files.tokens(lists(i * 60, 60), id=[*range(i * 60, i * 60 + 60)])
        paths.append(token_files.write(folder / f"{i}{suffix}", table, 7))
    return paths


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [None, 0, 2])
@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_way_of_reading(mixed_files, shuffle, output, workers):
    options = {"shuffle": shuffle, "num_lanes": 2, "shuffle_window": 50}
    data = StreamingDataset(mixed_files, 13, pad=PAD, output=output, **options)
    found = data if workers is None else data.loader(num_workers=workers)
    expected = StreamingDataset(mixed_files, 13, **options)
    count = 0
    for batch, columns in zip(found, expected, strict=True):
        assert plain(batch) == [*padded(columns, PAD).items()]
        count += len(columns["id"])
    assert count == 300


def test_a_transform_of_the_same_rows(mixed_files):
    data = StreamingDataset(mixed_files, 13, pad=PAD)
    same = StreamingDataset(mixed_files, 13, pad=PAD, transform=lambda batch: batch)
    assert [plain(batch) for batch in data] == [plain(batch) for batch in same]
    reader = fast_axolotl.streaming_dataset_reader(mixed_files, 13, pad=PAD)
    assert [plain(batch) for batch in data] == [plain(batch) for batch in reader]


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_transform_may_make_the_lists(mixed_files, output):
    kept = np.empty(40, dtype=np.int32)

    def made(batch):
        # Into memory that the next call writes to again.
        kept[:] = batch["id"][0]
        return {"input_ids": [kept[: i % 5] for i in batch["id"]], "id": batch["id"]}

    data = StreamingDataset(
        mixed_files, 13, pad={"input_ids": 0}, transform=made, output=output
    )
    for batch in data:
        first = batch["id"][0]
        rows = [[first] * (i % 5) for i in batch["id"]]
        expected = padded({"input_ids": rows}, PadOptions({"input_ids": 0}))
        assert batch["input_ids"].tolist() == expected["input_ids"]


@pytest.mark.parametrize(
    "made", [[1], 5, {"ids": [[1]]}, {"input_ids": 5}, {"input_ids": [["a"]]}]
)
def test_a_transform_that_makes_nothing_to_pad(mixed_files, made):
    data = StreamingDataset(
        mixed_files, 13, pad={"input_ids": 0}, transform=lambda batch: made
    )
    with pytest.raises((TypeError, ValueError), match=r"input_ids|transform must return"):
        next(iter(data))


# --- PadCollator ----------------------------------------------------------------------


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_collator_pads_as_reading_does(mixed_files, output):
    collate = pickle.loads(pickle.dumps(PadCollator(PAD, output)))
    rows = StreamingDataset(mixed_files).rows()
    for batch in StreamingDataset(mixed_files, 13, pad=PAD, output=output):
        found = collate(list(itertools.islice(rows, 13)))
        assert plain(found) == plain(batch)
        assert {n: dtype(c) for n, c in found.items()} == {
            n: dtype(c) for n, c in batch.items()
        }
    assert next(rows, None) is None


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_collator_keeps_numbers_exact(output):
    collate = PadCollator({"input_ids": 0}, output)
    columns = {
        "bool": [True, False],
        "int": [1, -(1 << 63)],
        "numpy": [np.int32(4), np.array(5)],
        "float": [0.1, 1],
        "mixed": [1 << 53, 0.5],
        "large": [1 << 63, 1],
        "null": [None, 1],
        "both": [True, 2],
    }
    rows = [{n: c[i] for n, c in columns.items()} | {"input_ids": [i]} for i in (0, 1)]
    found = collate(rows)
    arrays = {name for name, column in found.items() if not isinstance(column, list)}
    assert arrays == {"bool", "int", "numpy", "float", "input_ids", "attention_mask"}
    for name, column in columns.items():
        assert plain({name: found[name]}) == plain({name: column})


# --- what does not fit ----------------------------------------------------------------


def outcomes(data, calls):
    """What so many calls give: the ids of a batch, or an error."""
    iterator = iter(data)
    found = []
    for _ in range(calls):
        try:
            found.append(next(iterator)["id"].tolist())
        except OSError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("suffix", token_files.WRITERS)
@pytest.mark.parametrize(
    ("bad", "options", "message"),
    [
        ([1, None], {}, "a null among the numbers of a list"),
        ([300, 1], {"dtype": "int8"}, "300 does not fit into int8"),
        ([1, -1], {"dtype": {"input_ids": "uint8"}}, "-1 does not fit into uint8"),
        (
            [(1 << 24) + 1],
            {"dtype": {"input_ids": "float32"}},
            "16777217 does not fit into float",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_a_value_that_does_not_fit(tmp_path, suffix, bad, options, message, lanes):
    """It names its place; rows before it come first, and then it comes again."""
    rows = [[i] for i in range(20)]
    rows[15] = bad
    table = token_files.tokens(rows, id=[*range(20)])
    path = token_files.write(tmp_path / f"data{suffix}", table, 6)
    data = StreamingDataset(
        path, 4, pad=PadOptions({"input_ids": 0}, **options), num_lanes=lanes
    )
    found = outcomes(data, 9)
    error = f'{path}: row 16, column "input_ids": {message}'
    before = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14]]
    if lanes == 2:
        # The row is in the second batch: its lane begins with row 12.
        before[1:] = before[3:]
    assert found == [*before, *[error] * (9 - len(before))]
    assert data.state_dict()["batch"] == len(before)


def test_positions_that_do_not_fit(tmp_path):
    """Padding needs no numbers, and what is cut off neither."""
    rows = [[1] * 3, [1] * 128, [1] * 129, [1]]
    table = token_files.tokens(rows, id=[0, 1, 2, 3])
    path = token_files.write(tmp_path / "data.parquet", table)
    values = {"input_ids": 0, "position_ids": 0}
    pad = PadOptions(values, pad_to_multiple_of=500, dtype={"position_ids": "int8"})
    error = f'{path}: row 3, column "position_ids": position: 128 does not fit into int8'
    assert outcomes(StreamingDataset(path, 8, pad=pad), 2) == [[0, 1], error]
    pad = PadOptions(values, max_length=128, dtype={"position_ids": "int8"})
    (batch,) = StreamingDataset(path, 8, pad=pad)
    assert batch["position_ids"][2].tolist() == [*range(128)]


@pytest.mark.parametrize(
    ("pad", "message"),
    [
        ({"tokens": 0}, '"tokens", which the data does not have'),
        ({"position_ids": 0}, "no column that the data has"),
        ({"id": 0}, 'lists of numbers, and column "id" has the type int64'),
        (
            {"input_ids": 0.5},
            'padding of column "input_ids": 0.5 does not fit into int64',
        ),
        (
            PadOptions({"input_ids": -1}, dtype="uint8"),
            'padding of column "input_ids": -1 does not fit into uint8',
        ),
    ],
)
def test_columns_that_cannot_be_padded(mixed_files, pad, message):
    with pytest.raises(ValueError, match=message):
        list(StreamingDataset(mixed_files[:1], pad=pad))


def test_options_are_copied_and_take_numbers_of_numpy(mixed_files):
    values, dtypes = {"input_ids": np.int32(7)}, {"input_ids": "int32"}
    pad = PadOptions(values, max_length=np.int64(5), dtype=dtypes)
    assert pad == PadOptions({"input_ids": 7}, max_length=5, dtype=dict(dtypes))
    assert "np." not in repr(pad)
    plain_values = {"input_ids": 7}
    data = StreamingDataset(mixed_files, 13, pad=pad)
    other = StreamingDataset(mixed_files, 13, pad=plain_values)
    for mapping in (values, dtypes, plain_values):
        mapping["nothing"] = "else"
    assert next(iter(data))["input_ids"][5].tolist() == [7] * 5
    assert next(iter(other))["input_ids"][5].tolist() == [7] * 12


# --- memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl"])
@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_batches_outlive_everything_and_share_nothing(tmp_path, suffix, output):
    table = token_files.tokens(lists(0, 200), id=[*range(200)])
    path = tmp_path / f"data{suffix}"
    token_files.write(path, table, 50)
    data = StreamingDataset(path, 20, ["input_ids"], pad=PAD, output=output)
    reader = iter(data)
    found = list(itertools.islice(reader, 6))
    expected = [padded(c, PAD) for c in batches_of(table.drop(["id"]), 20)][:6]
    views = [{name: column[:] for name, column in batch.items()} for batch in found]
    del found
    reader.close()
    path.write_bytes(b"\xff" * path.stat().st_size)
    del reader, data
    gc.collect()
    _ = [np.full((20, 24), 77) for _ in range(50)]
    assert [dict(plain(view)) for view in views] == expected
    views[2]["input_ids"][:] = 55
    views[3]["labels"][0, 0] = 66
    expected[2]["input_ids"] = [[55] * 24 for _ in range(20)]
    expected[3]["labels"][0][0] = 66
    assert [dict(plain(view)) for view in views] == expected


def test_a_transform_that_loses_rows_of_one_column(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    reader = streaming_dataset_reader(
        path,
        pad={"input_ids": 0, "labels": -100},
        transform=lambda _: {"input_ids": [[1], [2]], "labels": [[1], [2], [3]]},
    )
    with pytest.raises(ValueError, match=r"labels.*there are 3 rows, and 2 of input_ids"):
        next(reader)
