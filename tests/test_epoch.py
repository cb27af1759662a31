# SPDX-License-Identifier: Apache-2.0
"""Epochs over files of every kind: order, shares, and parts of them.

What batch j is comes from plan_reference.py; ranks and workers are played in one process.
Real ones are in test_torch_state.py and test_distributed.py.
"""

import itertools
import warnings

import hypothesis.strategies as st
import players
import pyarrow as pa
import pytest
from epochs import (
    GZIP,
    LARGE,
    SLOW,
    SMALL,
    Files,
    Rank,
    files_and_options,
    ids,
)
from hypothesis import given, settings

from fast_axolotl import StreamingDataset

pytestmark = pytest.mark.filterwarnings("ignore:.*can only be read from its start")


# --- who gives what -------------------------------------------------------------------


@settings(max_examples=60, **SLOW)
@given(
    files_and_options(),
    st.integers(1, 8),
    st.integers(0, 4),
    st.sampled_from(["keep", "drop", "repeat", None]),
    st.integers(0, 2),
    st.floats(0, 1),
)
def test_shares(pool, drawn, world, workers, tail, epoch, at):
    names, options = drawn
    files = Files(pool, names, tail=tail, **options)
    batches = files.expected(epoch)
    assert sorted(i for batch in batches for i in batch) == sorted(files.ids)
    start = int(at * len(batches))
    state = {**files.dataset().state_dict(), "epoch": epoch, "batch": start}
    policy = tail or ("keep" if world == 1 else "repeat")
    lengths = set()
    for rank in range(world):
        player = Rank(files, rank, world, workers, state)
        found = player.take(1000)
        assert found == players.share(batches, start, rank, world, policy)
        lengths.add(len(found))
        assert len(player.data) == len(players.share(batches, 0, rank, world, policy))
    if policy != "keep":
        assert len(lengths) == 1


def test_gzip_restarts(pool):
    """Lanes that begin behind restart points, and what they cost."""
    files = Files(pool, [GZIP], batch_size=25, num_lanes=3)
    data = files.dataset()
    assert len(data._index().fragments) == 3
    assert data._index().from_start == []
    assert ids(data) == files.expected()
    size = data._open().bytes_total
    last = {**files.dataset().state_dict(), "batch": len(files.expected()) - 1}
    data.load_state_dict(last)
    with iter(data) as reader:
        assert ids(reader) == files.expected()[-1:]
        assert reader.bytes_read < 0.5 * size


@settings(max_examples=10, **SLOW)
@given(st.integers(1, 200), st.booleans(), st.integers(1, 4), st.integers(1, 300))
def test_gzip_shares(pool, batch_size, shuffle, lanes, window):
    files = Files(
        pool,
        [GZIP],
        batch_size=batch_size,
        shuffle=shuffle,
        num_lanes=lanes,
        shuffle_window=window,
    )
    expected = files.expected()
    start = len(expected) * 2 // 3
    data = files.dataset()
    data.load_state_dict({**data.state_dict(), "batch": start})
    assert ids(data) == expected[start:]


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_file_alone(pool, name):
    """As a plan, from everywhere, and as it is read without one."""
    files = Files(pool, [name], batch_size=4)
    plain = ids(files.dataset())
    assert plain == files.expected()
    data = files.dataset()
    for start in {1, len(plain) // 2, len(plain) - 1}:
        data.load_state_dict({**data.state_dict(), "batch": start, "epoch": 0})
        assert ids(data) == plain[start:]


def test_the_plan_gives_whole_rows(pool):
    """All columns, their order and their values, are those of the plain reading."""
    for name in [*SMALL, *LARGE]:
        plain = list(StreamingDataset(pool[name][0], 11))
        planned = StreamingDataset(pool[name][0], 11)
        state = planned.state_dict()
        planned.load_state_dict({**state, "lanes": 2})
        assert sum(len(batch["id"]) for batch in planned) == sum(map(len, ids(plain)))
        planned.load_state_dict({**state, "batch": 1})
        assert [list(batch.items()) for batch in planned] == [
            list(batch.items()) for batch in plain[1:]
        ]


TEXTS = [None if i % 7 == 0 else f"{i} " + "long " * (i % 9) for i in range(60)]


def _runs(type_):
    """60 values in runs of 4, which the borders of batches cut."""
    values = [None if i % 5 == 0 else f"run {i}" for i in range(15)]
    ends = pa.array(range(4, 61, 4), pa.int32())
    return pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, type_))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS, pa.string_view()),
        pa.array([text and text.encode() for text in TEXTS], pa.binary_view()),
        pa.array([[text, "x"] for text in TEXTS], pa.list_(pa.string_view())),
        pa.array([{"a": text} for text in TEXTS], pa.struct([("a", pa.string_view())])),
        pa.array(
            [[("key", text)] for text in TEXTS], pa.map_(pa.string(), pa.string_view())
        ),
        _runs(pa.string()),
        _runs(pa.string_view()),
        pa.ListArray.from_arrays(pa.array(range(61), pa.int32()), _runs(pa.string())),
        pa.StructArray.from_arrays([_runs(pa.string())], ["a"]),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_arrow_cannot_take_rows_of(tmp_path, column):
    """A shuffled row is as plain reading gives it, of a file by Polars, for one."""
    path = tmp_path / "data.arrow"
    batch = pa.record_batch({"id": pa.array(range(60)), "value": column})
    with pa.ipc.new_file(path, batch.schema) as writer:
        for at in range(0, 60, 9):
            writer.write_batch(batch.slice(at, 9))
    plain = list(StreamingDataset(path).rows())
    assert [row["value"] for row in plain] == column.to_pylist()
    data = StreamingDataset(path, 7, shuffle=True, num_lanes=2, shuffle_window=20)
    for _ in range(2):
        rows = list(data.rows())
        assert rows != plain
        assert sorted(rows, key=lambda row: row["id"]) == plain


@pytest.mark.parametrize("num_lanes", [1, 5, 64])
@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_threads_and_memory_change_nothing(pool, num_lanes, num_threads):
    files = Files(pool, SMALL, num_lanes=num_lanes, shuffle=True, batch_size=2)
    data = files.dataset(num_threads=num_threads, read_ahead_bytes=1)
    assert ids(data) == files.expected()


# --- epochs ---------------------------------------------------------------------------


def test_epochs_advance_by_themselves(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    found = [ids(data) for _ in range(3)]
    assert found == [files.expected(epoch) for epoch in range(3)]
    assert found[0] != found[1] != found[2]
    assert ids(files.dataset(seed=1)) != found[0]


def test_the_state_says_what_set_epoch_said(pool):
    data = Files(pool, SMALL).dataset()
    list(data)
    data.set_epoch(3)
    assert data.state_dict()["epoch"] == 3


def test_set_epoch(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    for epoch in [3, 3, 0, 7]:
        data.set_epoch(epoch)
        assert ids(data) == files.expected(epoch)
    assert ids(data) == files.expected(8)
    with pytest.raises(ValueError, match="epoch must be from 0"):
        data.set_epoch(-1)


def test_set_epoch_beside_a_loaded_state(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    state = {**data.state_dict(), "epoch": 2, "batch": 5}
    data.load_state_dict(state)
    data.set_epoch(2)  # as a loop over epochs says it
    assert ids(data) == files.expected(2)[5:]
    data.load_state_dict(state)
    data.set_epoch(3)
    assert ids(data) == files.expected(3)


def test_state_at(pool):
    files = Files(pool, SMALL, shuffle=True, tail="keep")
    for world in (1, 3):
        for rank in range(world):
            data = files.dataset(distributed=(rank, world))
            count = len(players.share(files.expected(), 0, rank, world, "keep"))
            iterator = iter(data)
            for consumed in range(count):
                assert data.state_at(consumed)["batch"] == consumed * world
                # What is prefetched beyond it does not matter.
                next(iterator)
            assert data.state_at(count)["epoch"] == 1
            assert data.state_at(count)["batch"] == 0


def test_state_at_after_a_resumed_start(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    data.load_state_dict({**data.state_dict(), "batch": 4, "epoch": 1})
    iterator = iter(data)
    next(iterator)
    at = data.state_at(1)
    assert at == data.state_dict()
    assert (at["epoch"], at["batch"]) == (1, 5)
    list(iterator)
    second = iter(data)
    next(second)
    assert data.state_at(1) == data.state_dict()
    assert data.state_dict()["batch"] == 1


# --- take, skip, map ------------------------------------------------------------------


@settings(max_examples=25, **SLOW)
@given(
    files_and_options(),
    st.lists(
        st.tuples(st.sampled_from(["take", "skip"]), st.integers(0, 30)), max_size=3
    ),
    st.integers(1, 4),
    st.sampled_from(["keep", "drop", "repeat"]),
    st.integers(0, 30),
)
def test_take_and_skip(pool, drawn, cuts, world, tail, cut):
    names, options = drawn
    files = Files(pool, names, tail=tail, **options)

    def varied(rank):
        data = files.dataset(distributed=(rank, world))
        for verb, n in cuts:
            data = getattr(data, verb)(n)
        return data

    for rank in range(world):
        states = None
        for epoch in range(2):
            left = files.expected(epoch)
            for verb, n in cuts:
                left = left[:n] if verb == "take" else left[n:]
            expected = players.share(left, 0, rank, world, tail)
            data = varied(rank)
            assert len(data) == len(expected)
            if states:
                data.load_state_dict(states)
            iterator = iter(data)
            head = ids(itertools.islice(iterator, cut))
            # Saved here, and loaded into another.
            other = varied(rank)
            other.load_state_dict(iterator.state_dict())
            rest = ids(other)
            if iterator.state_dict()["epoch"] == epoch:
                in_lock_step = players.share(left, 0, rank, world, "keep")[:cut]
                if head == in_lock_step:
                    assert head + rest == expected
            assert head + ids(iterator) == expected
            states = data.state_dict()
            assert states["epoch"] == epoch + 1


def _double(batch):
    return {"id": [2 * i for i in batch["id"]]}


def test_map(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset().map(_double).map(lambda batch: tuple(batch["id"]))
    expected = [tuple(2 * i for i in batch) for batch in files.expected()]
    iterator = iter(data)
    assert [next(iterator), next(iterator)] == expected[:2]
    state = data.state_dict()
    assert state["batch"] == 2
    other = files.dataset().map(_double)
    other.load_state_dict(state)
    assert [tuple(batch["id"]) for batch in other] == expected[2:]
    assert ids(files.dataset()) == files.expected()  # which is as it was
    with pytest.raises(TypeError, match="needs a function"):
        data.map(3)


def test_a_variation_goes_its_own_way(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    assert ids(data) == files.expected(0)
    first_two = data.take(2)
    assert ids(first_two) == files.expected(1)[:2]
    assert ids(first_two) == files.expected(2)[:2]
    assert ids(data) == files.expected(1)


# --- corners --------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["keep", "drop", "repeat"])
def test_no_rows(tmp_path, tail):
    path = tmp_path / "data.jsonl"
    path.write_text("\n\n")
    for rank in range(2):
        data = StreamingDataset(path, shuffle=True, distributed=(rank, 2), tail=tail)
        assert len(data) == 0
        assert list(data) == list(data) == []
        assert data.state_dict()["epoch"] == 2


def test_fewer_batches_than_ranks(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 0}\n{"id": 1}\n{"id": 2}\n')
    found = {
        tail: [
            ids(StreamingDataset(path, 1, distributed=(rank, 8), tail=tail))
            for rank in range(8)
        ]
        for tail in ("keep", "drop", "repeat")
    }
    assert found["keep"] == [[[0]], [[1]], [[2]], [], [], [], [], []]
    assert found["drop"] == [[]] * 8
    assert found["repeat"] == [[[j % 3]] for j in range(8)]


def test_a_state_behind_the_end(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    data.load_state_dict({**data.state_dict(), "batch": 10**6})
    assert ids(data) == []
    assert ids(data) == files.expected(1)


@pytest.mark.parametrize(
    ("world", "workers", "given"), [(2, 4, 10**6), (1 << 23, 2, 1 << 40)]
)
def test_a_worker_s_state_behind_the_end(pool, world, workers, given):
    """Times workers and ranks, that many batches may be beyond 64 bits."""
    files = Files(pool, SMALL, shuffle=True, tail="keep")
    for iterator in Rank(files, 0, world, workers).iterators:
        iterator.load_state_dict({**iterator.state_dict(), "given": given})
        assert ids(iterator) == []


def test_borders_of_a_mebibyte(tmp_path):
    """Rows that end right before, at, and behind the places where fragments begin."""
    mebibyte = 1 << 20
    for shift in range(-2, 3):
        path = tmp_path / f"{shift}.txt"
        first = "a" * (mebibyte + shift - 1) + "\n"
        long = "c" * (3 * mebibyte)
        path.write_text(f"{first}b\n\n{long}\n\ufeffd\r\n\r\ne")
        plain = [len(t) for batch in StreamingDataset(path, 1) for t in batch["text"]]
        data = StreamingDataset(path, 1)
        data.load_state_dict({**data.state_dict(), "lanes": 3})
        rows = sum(rows for _, _, _, rows in data._index().fragments)
        assert rows == len(plain) == 7
        for start in range(7):
            data.load_state_dict({**data.state_dict(), "lanes": 1, "batch": start})
            if start:
                rest = [len(t) for batch in data for t in batch["text"]]
                assert rest == plain[start:], (shift, start)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blank.jsonl", '\n  \n{"a": 1}\n\r\n \t{"a": 2} \n\n{"a": 3}'),
        ("mark.jsonl", '\ufeff{"a": 1}\n{"a": 2}\n'),
        ("mark.csv", '\ufeffa,b\n1,2\n"3\n4",5\n'),
        ("mark.json", '\ufeff[{"a": 1}, {"a": "]},{"}]'),
        ("pretty.json", '{\n "a": [1,\n 2]\n}\n'),
        ("empty.json", "[]"),
        ("spaced.json", ' [ {"a": 1} ,\n\n{"a": 2}\n]\n \n'),
        ("one.csv", "a\n1\n\n2\n\n\n"),
        ("cr.csv", "a,b\r1,2\r3,4\r"),
        ("crlf.csv", 'a,b\r\n\r\n1,"x\r\ny"\r\n\r\n2,z'),
        ("header.csv", "a,b\n"),
        ("end.txt", "one\n\ntwo\r\n\r\nthree\r"),
        ("mark.txt", "\ufeffone\ntwo\n"),
    ],
)
def test_odd_texts_have_the_rows_they_have(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    plain = list(StreamingDataset(path, 1))
    data = StreamingDataset(path, 1)
    assert data._index().rows == len(plain)
    for start in range(1, len(plain)):
        data.load_state_dict({**data.state_dict(), "epoch": 0, "batch": start})
        assert list(data) == plain[start:]
    data = StreamingDataset(path, 1, num_lanes=1, shuffle=True, shuffle_window=1)
    assert list(data) == plain


def test_a_fault_comes_in_its_batch(tmp_path):
    """Batches before it are given; the state stays before it."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1}\n' * 25 + "oops\n" + '{"id": 1}\n' * 10)
    data = StreamingDataset(path, 4, num_lanes=1, shuffle=True, shuffle_window=4)
    iterator = iter(data)
    for _ in range(6):
        assert next(iterator) == {"id": [1] * 4}
    for _ in range(2):
        with pytest.raises(OSError, match="line 26"):
            next(iterator)
        assert iterator.state_dict()["batch"] == 6
    # Rows behind the fault are not to be had, as they are not without a plan.
    data.load_state_dict({**data.state_dict(), "batch": 7})
    with pytest.raises(OSError, match="line 26"):
        list(data)


def test_no_warning_for_small_files(pool):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(Files(pool, ["f.csv.zst", "i.arrow"], num_lanes=4).dataset())
