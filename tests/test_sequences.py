# SPDX-License-Identifier: Apache-2.0
"""Padding and packing of what the caller holds, against plain Python."""

import array
import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_axolotl._sequences import (
    concatenate_and_pack,
    create_padding_mask,
    pack_sequences,
    pad_sequences,
)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TOKENS = st.integers(-3, 300) | INT64
ROWS = st.lists(st.lists(TOKENS, max_size=12), max_size=10)
ARRAYS = ["numpy", "torch"]


def library(output):
    return pytest.importorskip(output)


# --- what the functions do, in plain Python -------------------------------------------


def padded(rows, length, fill, side, multiple):
    if length is None:
        length = max(map(len, rows), default=0)
    length = -(-length // (multiple or 1)) * (multiple or 1)
    if any(len(row) > length for row in rows):
        return None
    free = [[fill] * (length - len(row)) for row in rows]
    if side == "left":
        return [f + row for f, row in zip(free, rows, strict=True)]
    return [row + f for f, row in zip(free, rows, strict=True)]


def in_order(rows, length):
    """Rows joined, none of them cut, to rows of at most ``length``."""
    made = []
    for row in rows:
        if len(row) > length:
            return None
        if not made or len(made[-1]) + len(row) > length:
            made.append([])
        made[-1] += row
    return [row for row in made if row]


def filled(rows, length, fill):
    return [row + [fill] * (length - len(row)) for row in rows]


def packed(rows, length, pad, eos, label_pad):
    def column(rows, eos, behind, fill):
        units = []
        for row in rows:
            unit = [*row, eos, behind]
            # The padding behind it needs no place in a row that is full.
            units.append(unit[:-1] if len(unit) == length + 1 else unit)
        made = in_order(units, length)
        return None if made is None else filled(made, length, fill)

    columns = {
        "input_ids": column(rows, eos, pad, pad),
        "labels": column(rows, eos, label_pad, label_pad),
        "attention_mask": column([[1] * len(row) for row in rows], 1, 0, 0),
    }
    return None if columns["input_ids"] is None else columns


def joined(ids, labels, masks, length, pad, label_pad):
    fills = {"input_ids": pad, "labels": label_pad, "attention_mask": 0}
    columns = {
        name: in_order(rows, length)
        for name, rows in zip(fills, (ids, labels, masks), strict=True)
    }
    if columns["input_ids"] is None:
        return None
    return {n: filled(rows, length, fills[n]) for n, rows in columns.items()}


def check(expected, function, *args, outputs=("numpy",)):
    """Compare a call with what is expected, None being a ValueError."""
    if expected is None:
        with pytest.raises(ValueError, match=r"sequence.* \d+"):
            function(*args)
        return
    got = function(*args)
    assert got == expected
    for output in outputs:
        arrays = function(*args, output=output)
        if isinstance(expected, dict):
            assert list(arrays) == list(expected)
            for name, rows in expected.items():
                check_array(arrays[name], rows, args[1] if len(args) == 5 else args[3])
        else:
            length = len(expected[0]) if expected else arrays.shape[1]
            check_array(arrays, expected, length)


def check_array(got, rows, length):
    assert str(got.dtype).removeprefix("torch.") == "int64"
    assert tuple(got.shape) == (len(rows), length)
    assert got.tolist() == rows


# --- value for value ------------------------------------------------------------------


@settings(max_examples=300)
@given(
    ROWS,
    st.none() | st.integers(0, 14),
    TOKENS,
    st.sampled_from(["left", "right"]),
    st.sampled_from([None, 0, 1, 2, 8]),
)
def test_pad(rows, length, fill, side, multiple):
    expected = padded(rows, length, fill, side, multiple)
    check(expected, pad_sequences, rows, length, fill, side, multiple)


@settings(max_examples=300)
@given(ROWS, st.integers(1, 40), TOKENS, TOKENS, TOKENS)
def test_pack(rows, length, pad, eos, label_pad):
    expected = packed(rows, length, pad, eos, label_pad)
    check(expected, pack_sequences, rows, length, pad, eos, label_pad)


@settings(max_examples=300)
@given(ROWS, st.data(), st.integers(1, 40), TOKENS, TOKENS)
def test_concatenate_and_pack(rows, data, length, pad, label_pad):
    def alike(numbers):
        return [
            data.draw(st.lists(numbers, min_size=len(row), max_size=len(row)))
            for row in rows
        ]

    labels, masks = alike(TOKENS), alike(st.integers(0, 2))
    expected = joined(rows, labels, masks, length, pad, label_pad)
    args = (rows, labels, masks, length, pad, label_pad)
    check(expected, concatenate_and_pack, *args)


@given(st.integers(0, 50), st.integers(0, 50))
def test_padding_mask(current, target):
    expected = list(range(max(target - current, 0)))
    assert create_padding_mask(current, target) == expected


def test_more_rows_than_are_made_at_a_time():
    rows = [[i * 7 + k for k in range(i % 700)] for i in range(2500)]
    check(padded(rows, None, -1, "left", 8), pad_sequences, rows, None, -1, "left", 8)
    check(packed(rows, 1024, 0, 2, -100), pack_sequences, rows, 1024, 0, 2, -100)


# Recorded from fast-axolotl 0.2.0.
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (([], 4, 0, 99), []),
        (([[]], 4, 0, 99), [[99, 0, 0, 0]]),
        (([[], []], 4, 0, 99), [[99, 0, 99, 0]]),
        (([[], [1], []], 4, 0, 99), [[99, 0, 0, 0], [1, 99, 0, 0], [99, 0, 0, 0]]),
        (
            ([[1, 2, 3], [4, 5]], 8, 0, 9),
            [[1, 2, 3, 9, 0, 0, 0, 0], [4, 5, 9, 0, 0, 0, 0, 0]],
        ),
        (([[1, 2, 3], [4, 5]], 9, 0, 9), [[1, 2, 3, 9, 0, 4, 5, 9, 0]]),
        (([[0, 0]], 4, 0, 0), [[0, 0, 0, 0]]),
        (([[-1]], 4, -5, 99), [[-1, 99, -5, -5]]),
        (([[True]], 4, 0, 99), [[1, 99, 0, 0]]),
        ((((1, 2),), 4, 0, 99), [[1, 2, 99, 0]]),
        (([[1 << 31]], 3, 1 << 40, 99), [[1 << 31, 99, 1 << 40]]),
    ],
)
def test_pack_as_the_earlier_package(args, expected):
    columns = pack_sequences(*args)
    assert columns["input_ids"] == expected
    assert list(columns) == ["input_ids", "labels", "attention_mask"]


# Recorded from fast-axolotl 0.2.0, labels of padding being -100 and -7.
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (([], [], [], 4, 0), ([], [], [])),
        (([[]], [[]], [[]], 4, 0), ([], [], [])),
        (
            ([[1, 2, 3], [4, 5]], [[1, 2, -100], [4, 5]], [[1, 1, 1], [1, 0]], 4, 0),
            (
                [[1, 2, 3, 0], [4, 5, 0, 0]],
                [[1, 2, -100, -100], [4, 5, -100, -100]],
                [[1, 1, 1, 0], [1, 0, 0, 0]],
            ),
        ),
        (
            ([[1, 2, 3], [4, 5]], [[1, 2, -100], [4, 5]], [[1, 1, 1], [1, 1]], 5, 0),
            ([[1, 2, 3, 4, 5]], [[1, 2, -100, 4, 5]], [[1, 1, 1, 1, 1]]),
        ),
        (([[1]], [[1]], [[300]], 2, 0, -7), ([[1, 0]], [[1, -7]], [[300, 0]])),
    ],
)
def test_concatenate_as_the_earlier_package(args, expected):
    assert tuple(concatenate_and_pack(*args).values()) == expected


# Recorded from fast-axolotl 0.2.0.
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (([[1, 2, 3], [4, 5]],), [[1, 2, 3], [4, 5, 0]]),
        (([[1, 2, 3], [4, 5]], 5), [[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]]),
        (([[1, 2, 3], [4, 5]], None, 9, "left"), [[1, 2, 3], [9, 4, 5]]),
        (([[1, 2, 3], [4, 5]], None, 9, "right", 4), [[1, 2, 3, 9], [4, 5, 9, 9]]),
        (([[1, 2, 3]], 5, 9, "right", 4), [[1, 2, 3, 9, 9, 9, 9, 9]]),
        (([[1, 2, 3]], 2, 9, "right", 4), [[1, 2, 3, 9]]),
        (([[1, 2, 3], [4]], None, 9, "right", 0), [[1, 2, 3], [4, 9, 9]]),
        (([],), []),
        (([], 4), []),
        (([[]],), [[]]),
        (([[]], 3), [[0, 0, 0]]),
        (([[]], None, 0, "right", 4), [[]]),
    ],
)
def test_pad_as_the_earlier_package(args, expected):
    assert pad_sequences(*args) == expected


def test_ints_are_ints():
    class Token(int):
        pass

    rows = pad_sequences([[True, Token(5), np.int32(7)], [False]])
    assert {type(x) for row in rows for x in row} == {int}
    assert rows == [[1, 5, 7], [0, 0, 0]]


# --- all kinds of input ---------------------------------------------------------------

VALUES = [[5, 6, 7], [], [8], [1, 2]]
PADDED = [[5, 6, 7], [0, 0, 0], [8, 0, 0], [1, 2, 0]]
DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("output", ["python", *ARRAYS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_rows(dtype, output):
    if output != "python":
        library(output)
    rows = [np.array(row, dtype=dtype) for row in VALUES]
    got = pad_sequences(rows, output=output)
    assert got == PADDED if output == "python" else got.tolist() == PADDED


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8"])
def test_torch_rows(dtype):
    torch = library("torch")
    rows = [torch.tensor(row, dtype=getattr(torch, dtype)) for row in VALUES]
    assert pad_sequences(rows) == PADDED
    assert pad_sequences(rows, output="torch").tolist() == PADDED


def test_mixed_rows():
    rows = [
        np.array(VALUES[0], dtype=np.uint8),
        range(0),
        (8,),
        array.array("h", VALUES[3]),
    ]
    assert pad_sequences(rows) == PADDED
    rows[2] = np.array([8], dtype=np.uint64)
    assert pad_sequences(rows, output="numpy").tolist() == PADDED


def test_matrices():
    torch = library("torch")
    table = np.arange(12).reshape(3, 4)
    for matrix in (table, table.T, table[::-1, ::2], table.astype(np.int16)[:, 1:3]):
        assert pad_sequences(matrix) == matrix.tolist()
        assert pad_sequences(torch.tensor(matrix.copy())) == matrix.tolist()
        check(
            packed(matrix.tolist(), 9, 0, 2, -100), pack_sequences, matrix, 9, 0, 2, -100
        )


def test_rows_that_do_not_lie_plainly_in_memory():
    numbers = np.arange(20)
    frozen = np.arange(3)
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + frozen.tobytes(), dtype=np.int64, offset=1)
    rows = [numbers[::3], numbers[::-1], frozen, unaligned, frozen.astype(">i4")]
    assert pad_sequences(rows) == padded([r.tolist() for r in rows], None, 0, "right", 1)
    assert pad_sequences([np.array([True, False])]) == [[1, 0]]


@pytest.mark.parametrize("output", ARRAYS)
def test_nothing(output):
    library(output)
    assert tuple(pad_sequences([], output=output).shape) == (0, 0)
    assert tuple(pad_sequences([], 5, output=output).shape) == (0, 5)
    assert tuple(pad_sequences([[], []], output=output).shape) == (2, 0)
    for column in pack_sequences([], 4, 0, 2, output=output).values():
        check_array(column, [], 4)


# --- memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("output", ARRAYS)
def test_arrays_outlive_what_they_were_made_of(output):
    library(output)
    rows = [np.arange(1000) + i for i in range(50)]
    expected = [row.tolist() for row in rows]
    kept = weakref.ref(rows[0])
    result = pad_sequences(rows, output=output)
    del rows
    gc.collect()
    assert kept() is None
    view = result[10:]
    del result
    gc.collect()
    _ = [pad_sequences(np.ones((50, 1000), dtype=np.int64), output=output)] * 3
    assert view.tolist() == expected[10:]


@pytest.mark.parametrize("output", ARRAYS)
def test_writing_changes_nothing_else(output):
    library(output)
    source = np.arange(4)
    one = pad_sequences([source, source], output=output)
    two = pad_sequences([source, source], output=output)
    columns = pack_sequences([source], 8, 0, 2, output=output)
    before = {name: column.tolist() for name, column in columns.items()}
    one[:] = 77
    assert source.tolist() == [0, 1, 2, 3]
    assert two.tolist() == [[0, 1, 2, 3]] * 2
    columns["input_ids"][:] = 77
    assert columns["labels"].tolist() == before["labels"]
    assert columns["attention_mask"].tolist() == before["attention_mask"]
    assert pad_sequences([source], output=output).tolist() == [[0, 1, 2, 3]]


def test_lists_are_new():
    row = [1, 2]
    got = pad_sequences([row, row])
    got[0].append(5)
    assert row == [1, 2]
    assert got[1] == [1, 2]


# --- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "sequences must be a sequence of rows or a 2-D array, not NoneType"),
        (5, "sequences must be a sequence of rows or a 2-D array, not int"),
        ("abc", "sequences must be a sequence of rows or a 2-D array, not str"),
        (
            iter([[1]]),
            "sequences must be a sequence of rows or a 2-D array, not list_iter",
        ),
        ([[1], None], r"sequences\[1\] must be a sequence of numbers, not NoneType"),
        ([[1], 7], r"sequences\[1\] must be a sequence of numbers, not int"),
        (["ab"], r"sequences\[0\] must be a sequence of numbers, not str"),
        ([b"ab"], r"sequences\[0\] must be a sequence of numbers, not bytes"),
        ([{1: 2}], r"sequences\[0\] must be a sequence of numbers, not dict"),
        ([[1], [2, "x"]], r"sequences\[1\]\[1\] must be an integer, not str"),
        ([[1], [2, None]], r"sequences\[1\]\[1\] must be an integer, not NoneType"),
        ([[1.0]], r"sequences\[0\]\[0\] must be an integer, not float"),
        ([[np.float32(1)]], r"sequences\[0\]\[0\] must be an integer, not numpy.float32"),
        (
            [[1], np.ones(2)],
            r"sequences\[1\] must be an array of integers, not of double",
        ),
        ([np.ones(2, np.float16)], r"sequences\[0\] must be an array of integers"),
        (
            [np.ones((2, 2), int)],
            r"sequences\[0\] must be an array of 1 dimension, not of 2",
        ),
        (np.ones(2, int), "sequences must be an array of 2 dimensions, not of 1"),
    ],
)
def test_types_that_are_wrong(rows, message):
    with pytest.raises(TypeError, match="^" + message):
        pad_sequences(rows)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([[1], [2, 1 << 63]], r"sequences\[1\]\[1\]"),
        ([[-(1 << 63) - 1]], r"sequences\[0\]\[0\]"),
        ([[1], np.array([1, 1 << 63], dtype=np.uint64)], r"sequences\[1\]\[1\]"),
        (np.full((2, 2), 1 << 63, dtype=np.uint64), r"sequences\[0\]\[0\]"),
    ],
)
def test_values_beyond_64_bits(rows, place):
    with pytest.raises(ValueError, match="^" + place):
        pad_sequences(rows)


def test_nothing_is_lost_silently():
    with pytest.raises(ValueError, match=r"sequences\[1\] has 3 values, more than .* 2$"):
        pad_sequences([[1], [1, 2, 3]], 2)
    with pytest.raises(
        ValueError, match="sequence 1 has 4 tokens and 1 that must follow"
    ):
        pack_sequences([[1], [1, 2, 3, 4]], 4, 0, 2)
    with pytest.raises(ValueError, match="sequence 1 has 5 tokens, and a row has room"):
        concatenate_and_pack(*[[[1], [1, 2, 3, 4, 5]]] * 3, 4, 0)
    with pytest.raises(ValueError, match="input_ids has 2 sequences, and labels 1"):
        concatenate_and_pack([[1], [2]], [[1]], [[1], [1]], 4, 0)
    with pytest.raises(
        ValueError, match=r"input_ids\[0\] has 2 tokens, and labels\[0\] 1"
    ):
        concatenate_and_pack([[1, 2]], [[1]], [[1, 1]], 4, 0)
    with pytest.raises(ValueError, match=r"tokens, and attention_masks\[0\] 3"):
        concatenate_and_pack([[1, 2]], [[1, 2]], [[1, 1, 1]], 4, 0)


@pytest.mark.parametrize(
    ("error", "keywords"),
    [
        (ValueError, {"padding_side": "both"}),
        (TypeError, {"padding_side": None}),
        (ValueError, {"target_length": -1}),
        (TypeError, {"target_length": 2.0}),
        (ValueError, {"pad_to_multiple_of": -1}),
        (TypeError, {"pad_value": 0.5}),
        (ValueError, {"pad_value": 1 << 63}),
        (ValueError, {"output": "arrow"}),
        (TypeError, {"output": None}),
    ],
)
def test_arguments_that_are_wrong(error, keywords):
    with pytest.raises(error, match=next(iter(keywords))):
        pad_sequences([[1]], **keywords)


def test_lengths_that_are_wrong():
    for length in (0, -1, 1 << 31):
        with pytest.raises(ValueError, match="max_length"):
            pack_sequences([], length, 0, 2)
    with pytest.raises(TypeError, match="max_length"):
        concatenate_and_pack([], [], [], 4.0, 0)
    with pytest.raises(TypeError, match="eos_token_id"):
        pack_sequences([[1]], 4, 0, None)
    with pytest.raises(ValueError, match="current_length"):
        create_padding_mask(-1, 3)
    with pytest.raises(TypeError, match="target_length"):
        create_padding_mask(1, 3.0)


def test_rows_that_change_while_they_are_read():
    row = []

    class Clears:
        def __index__(self):
            row.clear()
            return 1

    class Grows:
        def __index__(self):
            row.extend(range(10_000))
            return 1

    row[:] = [1, Clears(), 3]
    with pytest.raises(ValueError, match=r"sequences\[0\] changed while it was read"):
        pad_sequences([row])
    row[:] = [5]
    with pytest.raises(ValueError, match=r"sequences\[1\] changed while it was read"):
        pad_sequences([[Grows()], row])


def test_errors_of_the_rows_own_code_come_through():
    class Broken:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise RuntimeError("no items")

    with pytest.raises(RuntimeError, match="no items"):
        pad_sequences([[1], Broken()])
