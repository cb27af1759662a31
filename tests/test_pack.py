# SPDX-License-Identifier: Apache-2.0
"""Packed batches, against plain Python: pack_reference.py.

Who gives which of them, and going on from anywhere, is in test_pack_runs.py.
"""

import itertools

import hypothesis.strategies as st
import numpy as np
import pack_reference
import pyarrow as pa
import pytest
import token_files
from hypothesis import HealthCheck, given, settings

from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader

SLOW = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
COLUMNS = [
    "input_ids",
    "labels",
    "position_ids",
    "sequence_ids",
    "cu_seqlens",
    "max_seqlen",
]


def listed(batch):
    return {
        name: column if isinstance(column, int) else column.tolist()
        for name, column in batch.items()
    }


def fragments_of(data, rows):
    """The rows by the fragments that the files have."""
    counts = [count for *_, count in data._index().fragments]
    rows = iter(rows)
    return [list(itertools.islice(rows, count)) for count in counts]


# --- value for value ------------------------------------------------------------------

ROWS = st.lists(
    st.none() | st.lists(st.integers(-3, 300), max_size=14) | st.just([]), max_size=40
)


@st.composite
def pack_options(draw):
    ids = st.integers(-(1 << 31), (1 << 31) - 1)
    return PackOptions(
        draw(st.integers(1, 24)),
        draw(st.sampled_from(["best_fit", "concat"])),
        draw(st.integers(1, 50)),
        draw(st.sampled_from(["split", "cut"])),
        pad_token_id=draw(ids),
        label_pad_id=draw(ids),
        eos_token_id=draw(st.none() | ids),
        join_label=draw(st.none() | ids),
        dtype=draw(st.sampled_from(["int64", "int32"])),
    )


@settings(max_examples=300, **SLOW)
@given(st.data(), ROWS, st.booleans(), pack_options(), st.integers(1, 5))
def test_packed_batches_are_those_of_plain_python(
    tmp_path, data, rows, labels, options, size
):
    suffix = data.draw(st.sampled_from([*token_files.WRITERS]), label="suffix")
    own = [row and [x + 1000 for x in row] for row in rows]
    columns = {"labels": pa.array(own, pa.list_(pa.int64()))} if labels else {}
    table = token_files.tokens(rows, id=[*range(len(rows))], **columns)
    path = token_files.write(tmp_path / f"data{suffix}", table, 4)
    order = {"lanes": data.draw(st.integers(1, 4), label="lanes")}
    order |= {"shuffle": data.draw(st.booleans(), label="shuffle"), "seed": 3}
    order |= {"window": data.draw(st.integers(1, 30), label="window")}
    output = data.draw(st.sampled_from(["numpy", "torch"]), label="output")
    packed = StreamingDataset(
        path,
        size,
        pack=options,
        output=output,
        schema=table.schema,
        shuffle=order["shuffle"],
        seed=3,
        num_lanes=order["lanes"],
        shuffle_window=order["window"],
    )
    fragments = fragments_of(packed, zip(rows, own, strict=True))
    for epoch in range(2):
        found = list(packed)
        order["epoch"] = epoch
        expected = pack_reference.epoch(fragments, options, size, labels=labels, **order)
        assert [listed(batch) for batch in found] == expected.batches
        for batch in found:
            assert list(batch) == COLUMNS
            kinds = [str(batch[n].dtype).removeprefix("torch.") for n in COLUMNS[:5]]
            assert kinds == [options.dtype] * 4 + ["int32"]
        stats = packed.stats()
        counts = (stats.sequences_cut, stats.sequences_split, stats.tokens_cut)
        assert counts == expected.counts
        assert stats.fill_rate == expected.fill_rate


def test_best_fit_is_not_first_fit(tmp_path):
    rows = [[7] * length for length in (4, 13, 8, 8)]
    path = token_files.write(tmp_path / "data.jsonl", token_files.tokens(rows))
    (batch,) = StreamingDataset(path, 2, pack=PackOptions(20))
    # The last one fits into both rows, and leaves no room in the second.
    assert batch["cu_seqlens"].tolist() == [0, 13, 20, 28, 36, 40]


def test_no_token_is_lost(tmp_path):
    """Whatever the options, but for what too_long="cut" counts."""
    rows = [[*range(i * 50, i * 50 + i % 45)] for i in range(300)]
    path = token_files.write(tmp_path / "data.parquet", token_files.tokens(rows))
    expected = [token for row in rows for token in row]
    for strategy in ("best_fit", "concat"):
        for too_long in ("split", "cut"):
            pack = PackOptions(32, strategy, 64, too_long, pad_token_id=-1)
            data = StreamingDataset(path, 3, pack=pack)
            found = np.concatenate([batch["input_ids"].ravel() for batch in data])
            found = found[found >= 0].tolist()
            lost = data.stats().tokens_cut
            assert len(set(found)) == len(found) == len(expected) - lost
            assert set(found) <= set(expected)
            assert (lost > 0) == (too_long == "cut")
            if strategy == "concat" and not lost:
                assert found == expected


@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_length_and_window_of_one(tmp_path, strategy):
    rows = [[1, 2], [], [3], None, [4]]
    path = token_files.write(tmp_path / "data.jsonl", token_files.tokens(rows))
    data = StreamingDataset(path, 2, pack=PackOptions(1, strategy, 1))
    assert [batch["input_ids"].tolist() for batch in data] == [[[1], [2]], [[3], [4]]]
    data = StreamingDataset(path, 2, pack=PackOptions(3, strategy, 1))
    assert [batch["input_ids"].tolist() for batch in data] == [
        [[1, 2, 0], [3, 0, 0]],
        [[4, 0, 0]],
    ]


@pytest.mark.parametrize("rows", [[], [None] * 9, [[]] * 9])
@pytest.mark.parametrize("lanes", [1, 3])
def test_nothing_to_pack(tmp_path, rows, lanes):
    """Units without a single packed row, all of them, or some on the way."""
    pack = PackOptions(4, pack_window=2, eos_token_id=9)
    path = token_files.write(tmp_path / "a.parquet", token_files.tokens(rows))
    data = StreamingDataset(path, 2, pack=pack, num_lanes=lanes)
    assert list(data) == list(data) == []
    assert data.stats().fill_rate is None
    more = token_files.write(tmp_path / "b.parquet", token_files.tokens([[1], *rows]))
    data = StreamingDataset([path, more, path, more], 2, pack=pack, num_lanes=lanes)
    found = [row for batch in data for row in batch["input_ids"].tolist()]
    assert sorted({tuple(row) for row in found}) in ([(1, 9, 0, 0)], [(1, 9, 1, 9)])
    assert sum(row.count(1) for row in found) == 2


def test_borders_are_those_that_transformers_finds(tmp_path):
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip(
        "transformers.modeling_flash_attention_utils",
        reason="compares with transformers' own reading of position_ids",
        exc_type=ImportError,
    )
    rows = [[7] * (i * 13 % 45) for i in range(200)]
    path = token_files.write(tmp_path / "data.parquet", token_files.tokens(rows))
    for strategy, eos in [("best_fit", None), ("concat", 2)]:
        pack = PackOptions(32, strategy, 50, eos_token_id=eos)
        for batch in StreamingDataset(path, 3, pack=pack, output="torch"):
            (cu, cu_k), (longest, _) = utils.prepare_fa_kwargs_from_position_ids(
                batch["position_ids"]
            )
            assert torch.equal(cu, batch["cu_seqlens"])
            assert torch.equal(cu_k, batch["cu_seqlens"])
            assert cu.dtype == batch["cu_seqlens"].dtype
            assert longest == batch["max_seqlen"]


# --- what a transform makes -----------------------------------------------------------

PACK = PackOptions(16, pack_window=20, eos_token_id=2)
TOKENS = [[i, *range(i % 14)] for i in range(90)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    table = token_files.tokens(TOKENS, id=[*range(90)])
    return token_files.write(tmp_path_factory.mktemp("pack") / "data.parquet", table)


def made_by(kind):
    """A function that returns the tokens in this kind of rows, and labels."""
    kept = np.empty(1 << 10, dtype=np.int32)

    def lists(batch):
        ids = batch["input_ids"]
        return {"input_ids": ids, "labels": [[x * 2 for x in row] for row in ids]}

    def arrays(batch):
        return {n: [np.array(r, np.int16) for r in c] for n, c in lists(batch).items()}

    def reused(batch):
        """Views of memory that the next call writes to again."""
        made = lists(batch)
        at = 0
        for rows in made.values():
            for i, row in enumerate(rows):
                kept[at : at + len(row)] = row
                rows[i] = kept[at : at + len(row)]
                at += len(row)
        return made

    def tensors(batch):
        torch = pytest.importorskip("torch")
        return {n: [torch.tensor(r) for r in c] for n, c in lists(batch).items()}

    def nulls(batch):
        made = lists(batch)
        return {n: [None, (), *map(tuple, c)] for n, c in made.items()}

    return {f.__name__: f for f in (lists, arrays, reused, tensors, nulls)}[kind]


@pytest.mark.parametrize("kind", ["lists", "arrays", "reused", "tensors", "nulls"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_what_a_transform_returns_is_packed(path, kind, lanes):
    data = StreamingDataset(path, 4, pack=PACK, transform=made_by(kind), num_lanes=lanes)
    fragments = fragments_of(data, [(row, [x * 2 for x in row]) for row in TOKENS])
    expected = pack_reference.epoch(fragments, PACK, 4, labels=True, lanes=lanes)
    assert [listed(batch) for batch in data] == expected.batches


def test_a_transform_may_drop_and_add_rows(path):
    def made(batch):
        rows = [row for row in batch["input_ids"] if row[0] % 3]
        return {"input_ids": [*rows, [5] * 4], "other": 7}

    data = StreamingDataset(path, 4, pack=PACK, transform=made)
    rows = []
    for at in range(0, 90, 20):
        unit = made({"input_ids": TOKENS[at : at + 20]})["input_ids"]
        rows += pack_reference.pack(unit, None, PACK)[0]
    batches = [rows[at : at + 4] for at in range(0, len(rows), 4)]
    assert [listed(b) for b in data] == [*map(pack_reference.batch_of, batches)]
    data = StreamingDataset(path, 4, pack=PACK, transform=lambda batch: {"input_ids": []})
    assert list(data) == []


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        ([[1]], TypeError, "mapping with the column 'input_ids'.* not list"),
        ({"ids": [[1]]}, TypeError, r"'input_ids'.* not dict of \['ids'\]"),
        ({"input_ids": [1]}, TypeError, r"input_ids\[0\] must be a sequence of numbers"),
        ({"input_ids": [[0.5]]}, TypeError, r"input_ids\[0\]\[0\] must be an integer"),
        (
            {"input_ids": [[1], [1, 2]], "labels": [[1], [1]]},
            ValueError,
            r"labels\[1\]: there are 2 tokens and 1 labels",
        ),
        (
            {"input_ids": [[1], [2]], "labels": [[1]]},
            ValueError,
            r"labels\[1\]: there are 1 tokens and 0 labels",
        ),
        ({"input_ids": [[1 << 31]]}, ValueError, "2147483648 does not fit into int32"),
        (
            {"input_ids": [[1], [1] * 16]},
            ValueError,
            r"input_ids\[1\]: a sequence of 16 tokens is longer than the 15 that fit",
        ),
    ],
    ids=str,
)
def test_a_transform_that_makes_nothing_to_pack(path, made, error, message):
    """Packed rows of the units before come first, then the error, again and again."""
    pack = PackOptions(
        16, pack_window=20, dtype="int32", too_long="error", eos_token_id=2
    )

    def transform(batch):
        return made if batch["id"][0] else {"input_ids": [[5, 6, 7]]}

    reader = streaming_dataset_reader(path, 4, pack=pack, transform=transform)
    assert next(reader)["input_ids"].tolist() == [[5, 6, 7, 2, *[0] * 12]]
    for _ in range(3):
        with pytest.raises(error, match=message):
            next(reader)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_transform_that_raises(path, error):
    def raises(batch):
        if batch["id"][0]:
            raise error("mine")
        return {"input_ids": [[5, 6, 7]]}

    reader = streaming_dataset_reader(path, 4, pack=PACK, transform=raises)
    assert next(reader)["input_ids"].tolist() == [[5, 6, 7, 2, *[0] * 12]]
    for _ in range(2):
        with pytest.raises(error, match="mine"):
            next(reader)


# --- what does not fit ----------------------------------------------------------------

TOO_LONG = (
    'column "input_ids": a sequence of {} tokens is longer than the {} that fit into a '
    'packed row; too_long="split" or "cut" takes it'
)


def outcomes(data, calls):
    """The packed rows of so many batches, or the errors in their place."""
    iterator = iter(data)
    found = []
    for _ in range(calls):
        try:
            found.append(next(iterator)["input_ids"].tolist())
        except OSError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("suffix", token_files.WRITERS)
@pytest.mark.parametrize(
    ("bad", "options", "message"),
    [
        ([1, None], {}, 'column "input_ids": a null among the numbers of a list'),
        (
            [1 << 31],
            {"dtype": "int32"},
            'column "input_ids": 2147483648 does not fit into int32',
        ),
        (
            [1] * 5,
            {"too_long": "error"},
            TOO_LONG.format(5, 4),
        ),
        (
            [1] * 4,
            {"too_long": "error", "eos_token_id": 7},
            TOO_LONG.format(4, 3),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_row_that_does_not_fit(tmp_path, suffix, bad, options, message):
    """It names its place; rows before it come first, and then it comes again."""
    rows = [[i] for i in range(20)]
    rows[13] = bad
    table = pa.table({"input_ids": pa.array(rows, pa.list_(pa.int64()))})
    path = token_files.write(tmp_path / f"data{suffix}", table, 6)
    pack = PackOptions(4, "concat", 10, **options)
    data = StreamingDataset(path, 2, pack=pack, schema=table.schema)
    before = [
        row.input_ids
        for at, end in ((0, 10), (10, 13))
        for row in pack_reference.pack(rows[at:end], None, pack)[0]
    ]
    batches = [before[at : at + 2] for at in range(0, len(before), 2)]
    error = f"{path}: row 14, {message}"
    assert outcomes(data, len(batches) + 3) == [*batches, *[error] * 3]
    assert data.state_dict()["batch"] == len(batches)


@pytest.mark.parametrize(
    ("labels", "tokens", "message"),
    [
        ([3], [3, 4], 'column "labels": there are 2 tokens and 1 labels'),
        ([3, 1 << 31], [3, 4], 'column "labels": 2147483648 does not fit into int32'),
        ([3, None], [3, 4], 'column "labels": a null among the numbers of a list'),
        ([1] * 5, [1] * 5, TOO_LONG.format(5, 4)),
    ],
    ids=str,
)
def test_labels_that_do_not_fit(tmp_path, labels, tokens, message):
    """The column that is at fault is named; where it is both, the earlier row."""
    table = token_files.tokens(
        [[1], [2], tokens, [1] * 9], labels=[[1], [2], labels, [1]]
    )
    path = token_files.write(tmp_path / "data.parquet", table)
    data = StreamingDataset(path, 2, pack=PackOptions(4, dtype="int32", too_long="error"))
    assert outcomes(data, 2) == [[[1, 2, 0, 0]], f"{path}: row 3, {message}"]


@pytest.mark.parametrize("bad", ["oops", '{"input_ids": ["x"]}', '{"input_ids": 1}'])
@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_units_of_which_all_rows_are_left_out(tmp_path, bad, lanes, shuffle, strategy):
    """Such as a whole file of them: packing sees neither a row nor a type."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"input_ids": [1, 2], "labels": [3, 4]}\n' + f"{bad}\n" * 40)
    data = StreamingDataset(
        path,
        2,
        schema={"input_ids": "list<int32>", "labels": "list<int64>"},
        pack=PackOptions(4, strategy, 3, join_label=None),
        num_lanes=lanes,
        shuffle=shuffle,
        on_error="skip",
    )
    for _ in range(2):
        (batch,) = data
        assert batch["input_ids"].tolist() == [[1, 2, 0, 0]]
        assert batch["labels"].tolist() == [[3, 4, -100, -100]]
        assert data.stats().rows_skipped == 40


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("transform", [None, lambda batch: batch])
def test_a_broken_line_in_the_middle_of_a_unit(tmp_path, transform, lanes):
    path = tmp_path / "data.jsonl"
    lines = [f'{{"input_ids": [{i}]}}\n' for i in range(30)]
    path.write_text("".join([*lines[:17], "oops\n", *lines[17:]]))
    pack = PackOptions(4, "concat", 10)
    data = StreamingDataset(path, 2, pack=pack, transform=transform, num_lanes=lanes)
    expected = [[[0, 1, 2, 3], [4, 5, 6, 7]]]
    if lanes == 1:
        expected += [[[8, 9, 0, 0], [10, 11, 12, 13]], [[14, 15, 16, 0]]]
    # The second lane begins behind the line, in the same fragment.
    found = outcomes(data, 6)
    assert found[: len(expected)] == expected
    assert all("line 18" in error for error in found[len(expected) :])


def test_columns_that_cannot_be_packed(path):
    with pytest.raises(ValueError, match='needs the column "tokens", which the data'):
        StreamingDataset(path, pack=PackOptions(8, tokens="tokens"))
    with pytest.raises(
        ValueError, match='lists of numbers, and column "id" has the type'
    ):
        StreamingDataset(path, pack=PackOptions(8, labels="id"))
    data = StreamingDataset(path, 1, pack=PackOptions(8, labels="none"))
    assert next(iter(data))["labels"].tolist()[0][:1] == [-100]


def test_arguments_that_exclude_each_other(path):
    with pytest.raises(ValueError, match="pad and pack exclude each other"):
        StreamingDataset(path, pack=PACK, pad={"input_ids": 0})
    with pytest.raises(ValueError, match='pack makes tensors: output must be "torch"'):
        StreamingDataset(path, pack=PACK, output="arrow")
    with pytest.raises(TypeError, match="pack must be a PackOptions"):
        StreamingDataset(path, pack={"length": 8})
    with pytest.raises(TypeError, match="transform must be a function"):
        StreamingDataset(path, transform="f")


# --- memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_batches_outlive_everything_and_share_nothing(path, output):
    data = StreamingDataset(path, 4, pack=PACK, output=output)
    expected = [listed(batch) for batch in data]
    found = list(streaming_dataset_reader(path, 4, pack=PACK, output=output))
    del data
    _ = [np.full((4, 16), 77) for _ in range(50)]
    assert [listed(batch) for batch in found] == expected
    found[1]["input_ids"][:] = 55
    found[2]["cu_seqlens"][1:] = 66
    expected[1]["input_ids"] = [[55] * 16] * 4
    expected[2]["cu_seqlens"][1:] = [66] * (len(expected[2]["cu_seqlens"]) - 1)
    assert [listed(batch) for batch in found] == expected


@pytest.mark.parametrize("transform", [None, lambda rows: rows])
def test_an_error_behind_the_last_batch_that_counts(tmp_path, transform):
    """take(1) has given its batch, but that one is short: the error must be heard of."""
    path = tmp_path / "data.jsonl"
    rows = ['{"input_ids": [1, 2, 3, 4]}'] * 25 + ['{"input_ids": [1, ']
    path.write_text("\n".join(rows))
    data = StreamingDataset(path, 30, pack=PackOptions(4), transform=transform)
    batches = iter(data.take(1))
    assert len(next(batches)["input_ids"]) == 25
    with pytest.raises(OSError, match="line 26"):
        next(batches)
