# SPDX-License-Identifier: Apache-2.0
"""States of epochs: saved, loaded elsewhere, merged, pickled, refused."""

import itertools
import json
import pickle
from pathlib import Path

import hypothesis.strategies as st
import players
import pytest
from epochs import (
    SLOW,
    SMALL,
    Files,
    Rank,
    files_and_options,
    ids,
)
from hypothesis import given, note, settings

import fast_axolotl
from fast_axolotl import StreamingDataset, merge_states

pytestmark = pytest.mark.filterwarnings("ignore:.*can only be read from its start")


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
        with pytest.raises(ValueError, match=r"other files .* than '.*/data\.jsonl'"):
            StreamingDataset(path).load_state_dict(state)
    path.write_text(content)
    more = tmp_path / "more.jsonl"
    more.write_text(content)
    with pytest.raises(ValueError, match=rf"other files .* than 2 in '{tmp_path}'"):
        StreamingDataset(tmp_path).load_state_dict(state)
    more.unlink()
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
