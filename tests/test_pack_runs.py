# SPDX-License-Identifier: Apache-2.0
"""Packed epochs: who gives which batch, and going on from everywhere.

What the batches are comes from pack_reference.py; ranks and workers are played in one
process, but for those of torch's loaders at the end.
"""

import itertools
import json
import pickle

import hypothesis.strategies as st
import pack_reference
import players
import pytest
import token_files
from hypothesis import HealthCheck, assume, given, note, settings
from test_pack import fragments_of

from fast_axolotl import PackOptions, StreamingDataset, build_index, merge_states

SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
PACK = PackOptions(24, pack_window=20)


def key(batch):
    """A batch, to be compared and put into sets: its tokens, each of which is once."""
    return tuple(batch["input_ids"].ravel().tolist())


class Files:
    """Files of tokens that are all different, and their batches by the reference."""

    def __init__(self, folder):
        self.paths = []
        self.rows = []
        sizes = {".parquet": 70, ".jsonl": 1, ".arrow": 45, ".stream.arrow": 0}
        for number, (suffix, size) in enumerate({**sizes, ".jsonl.gz": 30}.items()):
            first = len(self.rows)
            rows = [
                None if i % 17 == 3 else [*range(i * 40 + 1, i * 40 + 1 + i * 7 % 31)]
                for i in range(first, first + size)
            ]
            path = folder / f"{number}{suffix}"
            self.paths.append(token_files.write(path, token_files.tokens(rows), 9))
            self.rows += rows

    def dataset(self, pack=PACK, size=2, **options):
        options = {"seed": 5, "shuffle_window": 30, "num_threads": 1} | options
        schema = {"input_ids": "list<int32>"}
        return StreamingDataset(self.paths, size, pack=pack, schema=schema, **options)

    def epoch(self, pack=PACK, size=2, num_lanes=1, shuffle=False, epoch=0, **_):
        fragments = fragments_of(self.dataset(), [(row, None) for row in self.rows])
        order = {"shuffle": shuffle, "seed": 5, "epoch": epoch, "window": 30}
        return pack_reference.epoch(
            fragments, pack, size, labels=False, lanes=num_lanes, **order
        )

    def keys(self, *args, **options):
        batches = self.epoch(*args, **options).batches
        return [tuple(itertools.chain(*batch["input_ids"])) for batch in batches]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory, session_cache):
    """The same with a length index."""
    files = Files(tmp_path_factory.mktemp("measured"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAST_AXOLOTL_CACHE", str(session_cache))
        schema = {"input_ids": "list<int32>"}
        assert build_index(files.paths, lengths="input_ids", schema=schema) == 146
    return files


def through_json(state):
    return json.loads(json.dumps(state))


OPTIONS = st.fixed_dictionaries(
    {
        "pack": st.builds(
            PackOptions,
            st.integers(1, 40),
            st.sampled_from(["best_fit", "concat"]),
            st.integers(1, 60),
            eos_token_id=st.sampled_from([None, 0]),
        ),
        "size": st.integers(1, 5),
        "num_lanes": st.integers(1, 5),
        "shuffle": st.booleans(),
    }
)


# --- with the lengths of all sequences ------------------------------------------------


@settings(max_examples=60, **SLOW)
@given(
    OPTIONS,
    st.integers(1, 5),
    st.integers(0, 3),
    st.sampled_from(["keep", "drop", "repeat", None]),
    st.integers(0, 2),
    st.floats(0, 1),
)
def test_shares(measured, options, world, workers, tail, epoch, at):
    """Each batch once over all ranks and workers, and as many on each rank."""
    batches = measured.keys(**options, epoch=epoch)
    start = int(at * len(batches))
    state = {**measured.dataset(**options).state_dict(), "epoch": epoch, "batch": start}
    policy = tail or ("keep" if world == 1 else "repeat")
    counts = set()
    for rank in range(world):
        data = measured.dataset(**options, distributed=(rank, world), tail=tail)
        data.load_state_dict(through_json(state))
        assert len(data) == len(players.share(batches, 0, rank, world, policy))
        player = players.Rank(data, rank, world, workers, key=key)
        found = player.take(10_000)
        assert found == players.share(batches, start, rank, world, policy)
        counts.add(len(found))
    if policy != "keep":
        assert len(counts) == 1


@settings(max_examples=25, **SLOW)
@given(st.data(), OPTIONS, st.sampled_from(["keep", "drop", "repeat"]))
def test_runs_that_go_on_elsewhere(measured, data, options, tail):
    """Saved after some steps, and loaded by other ranks and workers, over and over."""
    state = None
    epoch = position = 0
    for _ in range(8):
        batches = measured.keys(**options, epoch=epoch)
        world = data.draw(st.integers(1, 4), label="world")
        workers = data.draw(st.integers(0, 3), label="workers")
        steps = data.draw(st.integers(0, 1 + len(batches) // world), label="steps")
        ranks = [
            players.Rank(
                measured.dataset(**options, tail=tail, distributed=(rank, world)),
                rank,
                world,
                workers,
                state,
                key,
            )
            for rank in range(world)
        ]
        found = [rank.take(steps) for rank in ranks]
        expected = [
            players.share(batches, position, rank, world, tail) for rank in range(world)
        ]
        assert found == [rows[:steps] for rows in expected]
        position += world * steps
        if position >= len(batches) or min(map(len, expected)) < steps:
            for rank, rows in zip(ranks, expected, strict=True):
                assert rank.take(10_000) == rows[steps:]
            epoch, position = epoch + 1, 0
        state = merge_states([part for rank in ranks for part in rank.states()])
        note(str(state))
        assert (state["epoch"], state["batch"]) == (epoch, position)
        if epoch == 2:
            break


@pytest.mark.parametrize("shuffle", [False, True])
def test_elastic(measured, shuffle):
    """Two ranks of two workers, one rank, three: the lanes are those of the start."""
    options = {"shuffle": shuffle, "tail": "keep"}
    batches = measured.keys(num_lanes=4, shuffle=shuffle)
    found = []
    state = None
    for world, workers, steps in [(2, 2, 5), (1, 0, 4), (1, 3, 3), (3, 0, 10_000)]:
        ranks = [
            players.Rank(
                measured.dataset(**options, distributed=(rank, world)),
                rank,
                world,
                workers,
                state,
                key,
            )
            for rank in range(world)
        ]
        taken = [rank.take(steps) for rank in ranks]
        found += [b for step in itertools.zip_longest(*taken) for b in step if b]
        states = [part for rank in ranks for part in rank.states()]
        state = through_json(merge_states(states))
        assert state["lanes"] == 4
    assert found == batches
    assert (state["epoch"], state["batch"]) == (1, 0)


def test_epochs_of_other_numbers_of_batches(measured):
    """A shuffled row stands in another unit in every epoch."""
    options = {"shuffle": True, "size": 1}
    data = measured.dataset(**options)
    numbers = [len(measured.epoch(**options, epoch=epoch).batches) for epoch in range(8)]
    assert len(set(numbers)) > 1
    for epoch, number in enumerate(numbers):
        assert len(data) == number
        reader = iter(data)
        for consumed in range(number):
            state = data.state_at(consumed)
            assert (state["epoch"], state["batch"]) == (epoch, consumed)
            next(reader)
        assert len(data) == number
        assert next(reader, None) is None
        assert data.state_at(number)["epoch"] == epoch + 1


def test_take_skip_and_map(measured):
    options = {"num_lanes": 3}
    batches = measured.keys(**options)
    data = measured.dataset(**options)
    cut = data.skip(3).take(7).map(key)
    assert len(cut) == 7
    for _ in range(2):
        assert list(cut) == batches[3:10]
    state = through_json(cut.state_dict())
    assert (state["epoch"], state["batch"]) == (2, 3)
    reader = iter(cut)
    assert [next(reader) for _ in range(4)] == batches[3:7]
    again = data.skip(3).take(7).map(key)
    again.load_state_dict(through_json(cut.state_dict()))
    assert list(again) == batches[7:10]
    assert list(again) == batches[3:10]
    ranks = [
        list(measured.dataset(**options, distributed=(r, 2)).take(5).map(key))
        for r in range(2)
    ]
    assert ranks == [batches[:5:2], [batches[1], batches[3], batches[0]]]


# --- without them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_lanes", "strategy", "shuffle"),
    [(1, "best_fit", False), (1, "concat", True), (3, "concat", False)],
)
def test_every_cut(files, num_lanes, strategy, shuffle):
    """In one process, into the epoch after it."""
    pack = PackOptions(24, strategy, 20, eos_token_id=0)
    options = {"pack": pack, "num_lanes": num_lanes, "shuffle": shuffle}
    batches = files.keys(**options)
    after = files.keys(**options, epoch=1)
    data = files.dataset(**options)
    reader = iter(data)
    states = [data.state_dict()]
    for batch in batches:
        assert key(next(reader)) == batch
        states.append(reader.state_dict())
        assert data.state_dict() == states[-1]
    assert next(reader, None) is None
    assert (data.state_dict()["epoch"], data.state_dict()["batch"]) == (1, 0)
    for cut, state in enumerate(states):
        data = files.dataset(**options)
        data.load_state_dict(through_json(state))
        assert data.state_dict() == state
        reader = iter(data)
        for at in range(cut, len(batches)):
            assert key(next(reader)) == batches[at]
            assert data.state_dict() == states[at + 1]
        assert next(reader, None) is None
        assert [*map(key, data)] == after


@settings(max_examples=40, **SLOW)
@given(st.data(), OPTIONS)
def test_workers_that_come_and_go(files, data, options):
    """Each reads its own lanes, and a state goes to any number of workers."""
    batches = files.keys(**options)
    # Batches of nothing but ends of sequences may be equal in several lanes.
    assume(len(set(batches)) == len(batches))
    lane_of = dict(zip(batches, files.epoch(**options).lanes, strict=True))
    found = []
    state = None
    for _ in range(8):
        workers = data.draw(st.integers(0, 4), label="workers")
        rank = players.Rank(files.dataset(**options), 0, 1, workers, state, key)
        steps = data.draw(st.integers(0, len(batches) // 2 + 1), label="steps")
        more = rank.take(steps)
        found += more
        state = through_json(merge_states(rank.states()))
        note(str(state))
        if len(more) < steps:
            break
        assert (state["epoch"], state["batch"]) == (0, len(found))
    else:
        found += players.Rank(files.dataset(**options), 0, 1, 0, state, key).take(10_000)
    for lane in range(options["num_lanes"]):
        own = [batch for batch in batches if lane_of[batch] == lane]
        assert [batch for batch in found if lane_of[batch] == lane] == own


@pytest.mark.parametrize("num_lanes", [1, 4])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_are_resumed_over_and_over(files, num_lanes, workers):
    """Each from its own state, as torchdata does."""
    options = {"num_lanes": num_lanes, "shuffle": True}

    def start(states):
        rank = players.Rank(files.dataset(**options), 0, 1, workers, key=key)
        for iterator, state in zip(rank.iterators, states, strict=True):
            if state is not None:
                iterator.load_state_dict(through_json(state))
        return rank

    whole = [[*map(key, iterator)] for iterator in start([None] * workers).iterators]
    assert sorted(itertools.chain(*whole)) == sorted(files.keys(**options))
    found = [[] for _ in whole]
    rank = start([None] * workers)
    for steps in (0, 3, 1, 0, 5, 2, 4, 10_000):
        for iterator, own in zip(rank.iterators, found, strict=True):
            own.extend(map(key, itertools.islice(iterator, steps)))
        states = rank.states()
        merged = merge_states(states)
        if steps < 10_000:
            assert merged["batch"] == sum(map(len, found))
        rank = start(states)
        # Loading it changes nothing, but that the end is found out by asking.
        for was, now in zip(states, rank.states(), strict=True):
            if "finished" in was:
                was = {**was, "finished": False}  # noqa: PLW2901
            assert through_json(now) == through_json(was)
    assert found == whole
    assert (merged["epoch"], merged["batch"]) == (1, 0)


def test_what_needs_the_lengths_says_so(files):
    command = r"needs the lengths.*`fast-axolotl index --lengths input_ids PATH`"
    for rank in range(2):
        data = files.dataset(distributed=(rank, 2))
        with pytest.raises(ValueError, match=f"packing on several ranks {command}"):
            next(iter(data))
    with pytest.raises(ValueError, match=r"skip\(\) of packed batches needs the lengths"):
        next(iter(files.dataset().skip(1)))
    data = files.dataset()
    data.load_state_dict({**data.state_dict(), "batch": 1})
    with pytest.raises(ValueError, match=command):
        next(iter(data))
    rank = players.Rank(files.dataset().take(4), 0, 1, 2)
    with pytest.raises(ValueError, match=r"take\(\).* needs the lengths"):
        rank.take(1)
    with pytest.raises(TypeError, match="fast-axolotl index --lengths input_ids PATH"):
        len(files.dataset())


@pytest.mark.parametrize("num_lanes", [1, 3])
def test_take_needs_no_lengths_in_one_process(files, num_lanes):
    batches = files.keys(num_lanes=num_lanes)
    data = files.dataset(num_lanes=num_lanes).take(5)
    assert [*map(key, data)] == batches[:5]
    reader = iter(data)
    assert [key(next(reader)) for _ in range(2)] == batches[:2]
    again = files.dataset(num_lanes=num_lanes).take(5)
    again.load_state_dict(through_json(data.state_dict()))
    assert [*map(key, again)] == batches[2:5]


def test_merging_between_two_snapshots(files):
    """Which worker gave the batches since then is not known: no state, no wrong one."""
    rank = players.Rank(files.dataset(num_lanes=2), 0, 1, 2, key=key)
    rank.take(3)
    workers = {f"worker_{i}": state for i, state in enumerate(rank.states())}
    merged = merge_states([{"_snapshot": workers, "_steps_since_snapshot": 0}])
    assert merged["batch"] == 3
    with pytest.raises(ValueError, match="snapshot_every_n_steps=1"):
        merge_states([{"_snapshot": workers, "_steps_since_snapshot": 1}])


# --- states that are not for this -----------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"length": 25},
        {"strategy": "concat"},
        {"pack_window": 21},
        {"too_long": "cut"},
        {"eos_token_id": 7},
        {"tokens": "input_ids", "labels": "others"},
    ],
    ids=str,
)
def test_other_options_are_refused(files, other):
    state = files.dataset().state_dict()
    changed = {"length": 24, "pack_window": 20, **other}
    data = files.dataset(PackOptions(**changed))
    with pytest.raises(ValueError, match="the state was saved with other pack"):
        data.load_state_dict(state)
    with pytest.raises(ValueError, match="the state was saved with other pack"):
        StreamingDataset(files.paths, 2, seed=5).load_state_dict(state)


def test_options_that_move_nothing_may_change(files):
    data = files.dataset()
    next(iter(data))
    changed = PackOptions(
        24, pack_window=20, pad_token_id=3, label_pad_id=4, join_label=None, dtype="int32"
    )
    other = files.dataset(changed)
    other.load_state_dict(data.state_dict())
    assert len(list(other)) == len(files.keys()) - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cursors": None}, "'cursors' are None, expected one for each of 3 lanes"),
        ({"cursors": [[0, 0, 0]]}, "expected one for each of 3 lanes"),
        ({"cursors": [[0, 0]] * 3}, "expected three int"),
        ({"cursors": [[0, 0, -1]] * 3}, "expected three int"),
        ({"cursors": [[0, 0, True]] * 3}, "expected three int"),
        ({"cursors": [[1, 0, 2]] * 3}, "'cursors' are of a later batch than its 'batch'"),
        ({"pack": 3}, "'pack' is 3, expected str"),
        ({"lanes": 2}, "expected one for each of 2 lanes"),
    ],
    ids=str,
)
def test_states_that_are_none(files, change, message):
    data = files.dataset(num_lanes=3)
    with pytest.raises(ValueError, match=message):
        data.load_state_dict({**data.state_dict(), **change})


def test_cursors_behind_the_end(files):
    """Nothing is read beyond a unit or a lane."""
    data = files.dataset(num_lanes=2)
    far = 1 << 61
    batches = files.keys(num_lanes=2)
    for cursors in ([[1, far, 0], [1, 0, far]], [[1, 0, far], [1, far, far]]):
        state = {**data.state_dict(), "epoch": 0, "batch": 2, "cursors": cursors}
        data.load_state_dict(state)
        assert 0 < len(list(data)) < len(batches) // 2
        assert data.state_dict()["epoch"] == 1


# --- torch ----------------------------------------------------------------------------


def same(batch):
    return batch


def stateful(data, **options):
    module = pytest.importorskip("torchdata.stateful_dataloader")
    return module.StatefulDataLoader(
        data, batch_size=None, num_workers=2, collate_fn=same, **options
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("where", ["files", "measured"])
def test_stateful_loaders(request, where, every):
    """Resumed twice, at several cuts; merged, where that is possible."""
    files = request.getfixturevalue(where)
    options = {"num_lanes": 4, "shuffle": True}
    snapshots = {"snapshot_every_n_steps": every}
    whole = [*map(key, stateful(files.dataset(**options)))]
    if where == "measured":
        assert whole == files.keys(**options)
    for cut in (1, 4, len(whole) - 2):
        loader = stateful(files.dataset(**options), **snapshots)
        found = [key(b) for b in itertools.islice(loader, cut)]
        for steps in (1, 10_000):
            state = pickle.loads(pickle.dumps(loader.state_dict()))
            if every == 1 or where == "measured":
                data = files.dataset(**options)
                data.load_state_dict(through_json(merge_states([state])))
                assert sorted([*found, *map(key, data)]) == sorted(whole)
            loader = stateful(files.dataset(**options), **snapshots)
            loader.load_state_dict(state)
            found += [key(b) for b in itertools.islice(loader, steps)]
        assert found == whole


@pytest.mark.filterwarnings("ignore")
def test_workers_that_are_spawned_and_a_loaded_state(measured):
    pytest.importorskip("torch")
    batches = measured.keys(num_lanes=2)
    data = pickle.loads(pickle.dumps(measured.dataset(num_lanes=2)))
    data.load_state_dict({**data.state_dict(), "batch": 5})
    loader = data.loader(num_workers=1, multiprocessing_context="spawn")
    assert [*map(key, loader)] == batches[5:]


@pytest.mark.filterwarnings("ignore")
def test_a_state_loaded_while_workers_are_kept(files):
    """They cannot know the lanes' cursors: they say so, and new ones do."""
    pytest.importorskip("torch")
    batches = files.keys(num_lanes=2)
    data = files.dataset(num_lanes=2)
    reader = iter(data)
    assert [key(next(reader)) for _ in range(4)] == batches[:4]
    state = data.state_dict()
    loader = data.loader(num_workers=2, persistent_workers=True)
    assert len(list(loader)) == len(batches)
    data.load_state_dict(state)
    with pytest.raises(RuntimeError, match="make a new DataLoader"):
        list(loader)
    data.load_state_dict(state)
    rest = [*map(key, data.loader(num_workers=2))]
    assert sorted(batches[:4] + rest) == sorted(batches)
