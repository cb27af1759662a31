# SPDX-License-Identifier: Apache-2.0
"""Epochs over files of every kind: order, shares, states, and going on from them.

What batch j is comes from plan_reference.py; ranks and workers are played in one process.
Real ones are in test_torch_state.py and test_distributed.py.
"""

import itertools
import json
import pickle
import warnings
from pathlib import Path

import epoch_files
import hypothesis.strategies as st
import plan_reference
import players
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, note, settings

import fast_axolotl
from fast_axolotl import StreamingDataset, merge_states

pytestmark = pytest.mark.filterwarnings("ignore:.*can only be read from its start")
SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Path and ids of a file of each kind."""
    folder = tmp_path_factory.mktemp("epoch")
    found = {}
    first = 0
    for kind in [*epoch_files.SMALL, *epoch_files.LARGE, epoch_files.GZIP]:
        ids = range(first, first + kind.rows)
        found[kind.name] = (str(kind.path(folder, first)), ids)
        first += kind.rows
    return found


SMALL = [kind.name for kind in epoch_files.SMALL]
LARGE = [kind.name for kind in epoch_files.LARGE]
GZIP = epoch_files.GZIP.name


class Files:
    """Files of the pool as a dataset, and the ids of its batches by the reference."""

    def __init__(self, pool, names, **options):
        self.paths = [pool[name][0] for name in names]
        self.ids = [i for name in names for i in pool[name][1]]
        self.options = {"batch_size": 7, "shuffle": False, "seed": 0, "num_lanes": 1}
        self.options |= {"shuffle_window": 16, "num_threads": 1} | options

    def dataset(self, **options):
        return StreamingDataset(self.paths, columns=["id"], **{**self.options, **options})

    def expected(self, epoch=0):
        """The ids of every batch."""
        rows = [rows for _, _, _, rows in self.dataset()._index().fragments]
        begins = [sum(rows[:i]) for i in range(len(rows))]
        found = plan_reference.batches(
            rows,
            epoch=epoch,
            batch_size=self.options["batch_size"],
            shuffle=self.options["shuffle"],
            seed=self.options["seed"],
            lanes=self.options["num_lanes"],
            window=self.options["shuffle_window"],
        )
        assert sum(rows) == len(self.ids)
        return [[self.ids[begins[f] + row] for f, row in batch] for batch in found]


@st.composite
def files_and_options(draw):
    names = draw(
        st.lists(st.sampled_from(SMALL), unique=True, min_size=1, max_size=6)
        | st.lists(st.sampled_from(LARGE), unique=True, min_size=1, max_size=2)
    )
    return names, {
        "batch_size": draw(st.integers(1, 40)),
        "shuffle": draw(st.booleans()),
        "seed": draw(st.integers(0, 3)),
        "num_lanes": draw(st.integers(1, 9)),
        "shuffle_window": draw(st.integers(1, 90)),
        "num_threads": draw(st.integers(1, 3)),
    }


def ids(batches):
    return [batch["id"] for batch in batches]


class Rank(players.Rank):
    def __init__(self, files, rank, world, workers, state=None, **options):
        data = files.dataset(distributed=(rank, world), **options)
        super().__init__(data, rank, world, workers, state, lambda batch: batch["id"])


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


# --- states ---------------------------------------------------------------------------


@settings(max_examples=25, **SLOW)
@given(st.data(), files_and_options(), st.sampled_from(["keep", "drop", "repeat"]))
def test_runs_that_go_on_elsewhere(pool, data, drawn, tail):
    """Saved after a random number of steps, loaded by other ranks and workers, over and
    over, until two epochs are through."""
    names, options = drawn
    files = Files(pool, names, tail=tail, **options)
    state = None
    epoch = position = 0
    for _ in range(12):
        batches = files.expected(epoch)
        world = data.draw(st.integers(1, 8), label="world")
        workers = data.draw(st.integers(0, 4), label="workers")
        steps = data.draw(st.integers(0, 1 + len(batches) // world), label="steps")
        ranks = [Rank(files, r, world, workers, state) for r in range(world)]
        found = [rank.take(steps) for rank in ranks]
        expected = [
            players.share(batches, position, r, world, tail)[:steps] for r in range(world)
        ]
        assert found == expected
        reached = position + world * steps
        whole = min(map(len, expected)) == steps and reached < len(batches)
        if not whole:
            # The epoch ends on each rank, one step sooner or later.
            for r, rank in enumerate(ranks):
                rest = players.share(batches, position, r, world, tail)[len(found[r]) :]
                assert rank.take(1000) == rest
        states = [part for rank in ranks for part in rank.states()]
        state = merge_states(states)
        note(str(state))
        one = data.draw(st.sampled_from(ranks), label="the rank that saves")
        assert merge_states(one.states()) == state
        if whole:
            position += world * steps
        else:
            epoch, position = epoch + 1, 0
        assert (state["epoch"], state["batch"]) == (epoch, position)
        if epoch == 2:
            break


@pytest.mark.parametrize("after", [(2, 0), (3, 2), (1, 0), (1, 4), (8, 1), (5, 3)])
def test_elastic(pool, after):
    """From 8 ranks of 2 workers each to others, in the middle of an epoch."""
    files = Files(
        pool, SMALL, batch_size=3, shuffle=True, tail="keep", num_lanes=None, seed=5
    )
    before = [Rank(files, rank, 8, 2) for rank in range(8)]
    rounds = [rank.take(4) for rank in before]
    state = merge_states(before[3].states())
    assert state["lanes"] == 16
    files.options["num_lanes"] = 16
    batches = files.expected()
    assert [rounds[j % 8][j // 8] for j in range(32)] == batches[:32]
    world, workers = after
    files.options["num_lanes"] = None
    ranks = [Rank(files, rank, world, workers, state) for rank in range(world)]
    rest = [rank.take(1000) for rank in ranks]
    files.options["num_lanes"] = 16
    assert [rest[j % world][j // world] for j in range(len(batches) - 32)] == batches[32:]
    # The epochs after it keep the lanes, too.
    for rank in ranks:
        rank.start()
    rest = [rank.take(1000) for rank in ranks]
    batches = files.expected(1)
    assert [rest[j % world][j // world] for j in range(len(batches))] == batches


def test_saved_twice_in_a_row(pool):
    files = Files(pool, SMALL, shuffle=True, num_lanes=3)
    data = files.dataset()
    state = data.state_dict()
    found = []
    for epoch in range(2):
        for cut in range(1, len(files.expected()), 5):
            data = files.dataset()
            data.load_state_dict(state)
            assert data.state_dict() == state  # as of no batch
            iterator = iter(data)
            assert iterator.state_dict() == data.state_dict() == state
            while len(found) < epoch * len(files.expected()) + cut:
                found.append(next(iterator)["id"])
            state = json.loads(json.dumps(iterator.state_dict()))
            assert state == data.state_dict()
        found += ids(iterator)
        state = data.state_dict()
        assert (state["epoch"], state["batch"]) == (epoch + 1, 0)
    assert found == files.expected(0) + files.expected(1)


def test_the_state_is_small_and_can_be_edited(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    state = data.state_dict()
    assert json.loads(json.dumps(state)) == state
    assert len(json.dumps(state)) < 300
    data.load_state_dict({**state, "epoch": 4, "batch": 9, "comment": "mine"})
    assert ids(data) == files.expected(4)[9:]
    assert ids(data) == files.expected(5)


def test_a_state_loaded_again_and_again(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    state = {**data.state_dict(), "batch": 5}
    for _ in range(2):
        data.load_state_dict(state)
        assert ids(data) == files.expected()[5:]
    assert ids(data) == files.expected(1)


def test_a_copy_of_the_folder_goes_on(pool, tmp_path):
    names = ["a.jsonl", "g.parquet", "d.csv"]
    files = Files(pool, names)
    data = files.dataset()
    iterator = iter(data)
    next(iterator)
    state = data.state_dict()
    for path in files.paths:
        target = tmp_path / path.rpartition("/")[2]
        target.write_bytes(Path(path).read_bytes())
    moved = [str(tmp_path / path.rpartition("/")[2]) for path in files.paths]
    other = StreamingDataset(moved, 7, ["id"])
    other.load_state_dict(state)
    assert ids(other) == files.expected()[1:]


# --- the iterator's own state ---------------------------------------------------------


def test_load_into_an_iterator(pool):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    iterator = iter(data)
    iterator.load_state_dict({**iterator.state_dict(), "epoch": 2, "batch": 3})
    assert iterator.state_dict()["batch"] == 3
    assert ids(iterator) == files.expected(2)[3:]
    # The dataset goes on from there.
    assert data.state_dict()["epoch"] == 3
    assert ids(data) == files.expected(3)


@pytest.mark.parametrize("batches", [1, 1000])
def test_an_iterator_that_has_begun_takes_no_state(pool, batches):
    iterator = iter(Files(pool, SMALL).dataset())
    state = iterator.state_dict()
    list(itertools.islice(iterator, batches))
    with pytest.raises(RuntimeError, match=r"has begun.*load the state into the dataset"):
        iterator.load_state_dict(state)


def test_a_closed_iterator_keeps_its_place(pool):
    data = Files(pool, SMALL).dataset()
    with iter(data) as iterator:
        next(iterator)
        next(iterator)
    assert iterator.state_dict()["batch"] == 2
    assert data.state_dict()["batch"] == 2


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


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2, and this release knows 1"),
        ({"version": None}, "version None"),
        ({"version": True}, "version True"),
        ({"version": "1"}, "version '1'"),
        ({"fingerprint": "0" * 32}, "other files"),
        ({"fingerprint": None}, "'fingerprint' is None, expected str"),
        ({"batch_size": 8}, "other batch_size: 8 there, 7 here"),
        ({"seed": 1}, "other seed: 1 there, 0 here"),
        ({"shuffle": False}, "other shuffle: False there, True here"),
        ({"shuffle": 1}, "'shuffle' is 1, expected bool"),
        ({"epoch": -1}, "'epoch' is -1, expected from 0"),
        ({"epoch": 1.0}, "'epoch' is 1.0, expected int"),
        ({"epoch": True}, "'epoch' is True, expected int"),
        ({"batch": "3"}, "'batch' is '3', expected int"),
        ({"batch": 1 << 70}, "'batch' is"),
        ({"epoch": 1 << 70}, "'epoch' is"),
        ({"lanes": 0}, "'lanes' is 0, expected from 1"),
        ({"lanes": 1 << 70}, "'lanes' is"),
        ({"window": 1 << 70}, "'window' is"),
        ({"window": 0}, "'window' is 0"),
        ({"window": None}, "'window' is None"),
    ],
)
def test_states_that_are_refused(pool, change, reason):
    files = Files(pool, SMALL, shuffle=True)
    data = files.dataset()
    state = data.state_dict()
    for target in (data, iter(files.dataset())):
        with pytest.raises(ValueError, match=reason):
            target.load_state_dict({**state, **change})
    # Nothing of it stays.
    assert data.state_dict() == state
    assert ids(data) == files.expected()


@pytest.mark.parametrize("state", [None, 3, "state", [("version", 1)]])
def test_a_state_is_a_dict(pool, state):
    with pytest.raises(TypeError, match="a state is a dict"):
        Files(pool, SMALL).dataset().load_state_dict(state)


@pytest.mark.parametrize("key", ["epoch", "batch", "lanes", "seed", "version"])
def test_a_state_with_a_part_missing(pool, key):
    data = Files(pool, SMALL).dataset()
    state = data.state_dict()
    del state[key]
    with pytest.raises(ValueError, match=key):
        data.load_state_dict(state)


def test_changed_files_are_refused(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1}\n' * 10000)
    state = StreamingDataset(path).state_dict()
    content = path.read_text()
    for changed in (
        content + '{"id": 2}\n',
        content[:-10],
        '{"id": 7}\n' + content[10:],
        content[:-10] + '{"id": 7}\n',
    ):
        path.write_text(changed)
        with pytest.raises(ValueError, match="other files"):
            StreamingDataset(path).load_state_dict(state)
    path.write_text(content)
    path.rename(tmp_path / "other.jsonl")
    with pytest.raises(ValueError, match="other files"):
        StreamingDataset(tmp_path / "other.jsonl").load_state_dict(state)


# --- pickles --------------------------------------------------------------------------


def test_a_pickle_carries_options_and_a_pending_state(pool):
    files = Files(pool, SMALL, shuffle=True, num_lanes=2)
    data = files.dataset()
    data.load_state_dict({**data.state_dict(), "epoch": 1, "batch": 6})
    copied = pickle.loads(pickle.dumps(data))
    assert copied.state_dict() == data.state_dict()
    assert ids(copied) == files.expected(1)[6:]
    # Nothing live goes along.
    reader = iter(data)
    next(reader)
    assert len(pickle.dumps(data)) < 20_000
    again = pickle.loads(pickle.dumps(data))
    assert next(reader)["id"] == files.expected(1)[7]
    assert ids(again) == files.expected(2)


def test_a_pickle_looks_at_the_files_anew(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1}\n' * 10)
    data = StreamingDataset(path, 1, num_lanes=2)
    assert len(list(data)) == 10
    state = data.state_dict()
    kept = pickle.dumps(data)
    path.write_text('{"id": 1}\n' * 20)
    later = pickle.loads(kept)
    assert len(later) == 20
    with pytest.raises(ValueError, match="other files"):
        later.load_state_dict(state)


# --- merge_states ---------------------------------------------------------------------


def test_merge_what_does_not_belong_together(pool):
    files = Files(pool, SMALL, batch_size=2, tail="keep")
    ranks = [Rank(files, rank, 2, 2) for rank in range(2)]
    ranks[0].take(3)
    ranks[1].take(2)
    with pytest.raises(ValueError, match="save them after the same step"):
        merge_states([*ranks[0].states(), *ranks[1].states()])
    with pytest.raises(ValueError, match=r"workers \[1\], expected all 2"):
        merge_states(ranks[0].states()[1:])
    with pytest.raises(ValueError, match="no state"):
        merge_states([])
    with pytest.raises(ValueError, match="no state"):
        merge_states([{"a": 1}])


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 3},  # of one worker only
        {"given": 9},  # more than its turn
        {"seed": 5},
        {"lanes": 9},
        {"given": None},
        {"given": -1},
        {"worker": "1"},
        {"worker": 2},
        {"workers": 3},
        {"world": 3},
        {"finished": 1},
        {"rank": None},
    ],
)
def test_merge_workers_that_disagree(pool, change):
    rank = Rank(Files(pool, SMALL, batch_size=2), 0, 1, 2)
    rank.take(5)
    first, second = rank.states()
    assert merge_states([first, second])["batch"] == 5
    with pytest.raises(ValueError, match="state"):
        merge_states([first, {**second, **change}])


def test_a_worker_s_state_is_for_that_worker(pool):
    files = Files(pool, SMALL)
    rank = Rank(files, 0, 1, 2)
    rank.take(3)
    with pytest.raises(ValueError, match="merge_states"):
        files.dataset().load_state_dict(rank.states()[0])


def test_merge_is_part_of_the_package():
    assert "merge_states" in fast_axolotl.__all__


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
