# SPDX-License-Identifier: Apache-2.0
"""Epochs and states under torch's loaders: real workers, forked and spawned."""

import json
import multiprocessing
import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fast_axolotl
from fast_axolotl import merge_states

torch = pytest.importorskip("torch")
# torch's own warnings, of forks beside threads and of few CPUs.
pytestmark = pytest.mark.filterwarnings("ignore")
ROWS, SIZE, BATCHES = 403, 10, 41


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    for part, start in enumerate(range(0, ROWS, 100)):
        data = pa.table({"id": range(start, min(start + 100, ROWS))})
        pq.write_table(data, folder / f"{part}.parquet", row_group_size=9)
    return folder


@pytest.fixture(scope="module")
def epochs(folder):
    """The ids of every batch of the first epochs, in two lanes."""
    data = dataset(folder)
    return [ids(data) for _ in range(5)]


def dataset(folder, **options):
    options = {"shuffle": True, "num_lanes": 2, "shuffle_window": 50} | options
    return fast_axolotl.StreamingDataset(folder, SIZE, num_threads=1, **options)


def ids(batches):
    return [batch["id"] for batch in batches]


def take(iterator, count):
    return [next(iterator)["id"] for _ in range(count)]


# --- DataLoader -----------------------------------------------------------------------

WAYS = [
    {"num_workers": 0},
    {"num_workers": 1, "multiprocessing_context": "fork"},
    {"num_workers": 2, "multiprocessing_context": "fork"},
    {"num_workers": 3, "multiprocessing_context": "fork", "persistent_workers": True},
    {"num_workers": 2, "multiprocessing_context": "spawn", "persistent_workers": True},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_same_batches_as_without_workers(folder, epochs, way):
    data = dataset(folder)
    loader = data.loader(**way)
    assert len(loader) == BATCHES
    assert ids(loader) == epochs[0]
    assert ids(loader) == epochs[1]
    data.set_epoch(4)
    assert ids(loader) == epochs[4]
    data.set_epoch(1)
    assert ids(loader) == epochs[1]
    assert ids(loader) == epochs[2]


def test_workers_that_are_spawned_anew(folder, epochs):
    loader = dataset(folder).loader(num_workers=1, multiprocessing_context="spawn")
    assert ids(loader) == epochs[0]
    assert ids(loader) == epochs[1]


def test_lanes_are_as_many_as_workers(folder):
    data = dataset(folder, num_lanes=None)
    expected = ids(dataset(folder, num_lanes=3))
    assert ids(data.loader(num_workers=3)) == expected
    assert data.state_at(5)["lanes"] == 3


def test_loaders_of_other_numbers_of_workers(folder, epochs):
    """Each pass is one epoch for all its workers, whoever read the passes before."""
    data = dataset(folder)
    assert ids(data.loader(num_workers=1)) == epochs[0]
    assert ids(data.loader(num_workers=3)) == epochs[1]
    assert ids(data) == epochs[2]
    assert ids(data.loader(num_workers=2)) == epochs[3]
    assert ids(data.loader(num_workers=3)) == epochs[4]


@pytest.mark.parametrize("persistent", [False, True])
def test_passes_that_break_off(folder, epochs, persistent):
    loader = dataset(folder).loader(num_workers=2, persistent_workers=persistent)
    for epoch in range(3):
        assert take(iter(loader), 2) == epochs[epoch][:2]
    assert ids(loader) == epochs[3]


def test_the_parent_does_not_know(folder, epochs):
    data = dataset(folder)
    loader = data.loader(num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    assert take(iterator, 5) == epochs[0][:5]
    with pytest.raises(
        RuntimeError, match=r"StatefulDataLoader.*state_at\(batches.*num_workers=0"
    ):
        data.state_dict()
    state = data.state_at(5)
    assert state["batch"] == 5
    del iterator
    other = dataset(folder)
    other.load_state_dict(json.loads(json.dumps(state)))
    assert ids(other.loader(num_workers=3)) == epochs[0][5:]
    assert other.state_at(BATCHES - 5)["epoch"] == 1
    assert ids(other.loader(num_workers=1)) == epochs[1]
    assert ids(other) == epochs[2]


def test_the_parent_does_not_know_although_it_read_before(folder):
    data = dataset(folder)
    list(data)
    list(data.loader(num_workers=1))
    with pytest.raises(RuntimeError, match="StatefulDataLoader"):
        data.state_dict()


@pytest.mark.parametrize("way", WAYS[1:], ids=str)
def test_a_loaded_state_reaches_the_workers(folder, epochs, way):
    data = dataset(folder)
    data.load_state_dict({**data.state_dict(), "epoch": 1, "batch": 17})
    loader = data.loader(**way)
    assert ids(loader) == epochs[1][17:]
    assert ids(loader) == epochs[2]


def test_a_state_loaded_while_workers_are_kept(folder, epochs):
    data = dataset(folder)
    state = data.state_dict()
    loader = data.loader(num_workers=2, persistent_workers=True)
    assert ids(loader) == epochs[0]
    data.load_state_dict({**state, "epoch": 1, "batch": 17})
    assert ids(loader) == epochs[1][17:]


def test_a_pickle_between_passes(folder, epochs):
    data = dataset(folder)
    assert ids(data.loader(num_workers=2)) == epochs[0]
    copied = pickle.loads(pickle.dumps(data))
    assert ids(copied.loader(num_workers=3)) == epochs[1]
    assert ids(data.loader(num_workers=3)) == epochs[1]


def _rank(data, rank, queue):
    found = [ids(data.loader(num_workers=1)) for _ in range(2)]
    queue.put((rank, found))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_a_dataset_is_given_to(folder, epochs, method):
    """Each counts its own passes, with its own workers."""
    context = multiprocessing.get_context(method)
    data = dataset(folder)
    queue = context.Queue()
    ranks = [context.Process(target=_rank, args=(data, r, queue)) for r in range(2)]
    for process in ranks:
        process.start()
    for _ in ranks:
        assert queue.get(timeout=60)[1] == epochs[:2]
    for process in ranks:
        process.join()
    assert ids(data) == epochs[0]


def _rank_of_the_launcher(data, queue):
    os.environ.update(RANK="1", WORLD_SIZE="2")
    queue.put(ids(data))


def test_auto_asks_in_the_process_that_reads(folder):
    """`torch.multiprocessing.spawn(train, (dataset,))`, where `train` joins a group."""
    context = multiprocessing.get_context("spawn")
    data = dataset(folder, num_lanes=2, tail="keep")
    queue = context.Queue()
    process = context.Process(target=_rank_of_the_launcher, args=(data, queue))
    process.start()
    found = queue.get(timeout=60)
    process.join()
    assert found == ids(dataset(folder, num_lanes=2))[1::2]


# --- StatefulDataLoader ---------------------------------------------------------------


def _same(batch):
    return batch


def stateful(data, workers, **options):
    module = pytest.importorskip("torchdata.stateful_dataloader")
    return module.StatefulDataLoader(
        data, batch_size=None, num_workers=workers, collate_fn=_same, **options
    )


def resumed(folder, workers, state, **options):
    loader = stateful(dataset(folder), workers, **options)
    loader.load_state_dict(pickle.loads(pickle.dumps(state)))
    return loader


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_stateful_in_the_middle(folder, epochs, workers):
    loader = stateful(dataset(folder), workers)
    iterator = iter(loader)
    assert take(iterator, 13) == epochs[0][:13]
    state = loader.state_dict()
    assert ids(iterator) == epochs[0][13:]
    other = resumed(folder, workers, state)
    iterator = iter(other)
    assert take(iterator, 4) == epochs[0][13:17]
    # Once more, from where it is now; and on into the epochs after it.
    other = resumed(folder, workers, other.state_dict())
    assert ids(other) == epochs[0][17:]
    assert ids(other) == epochs[1]
    assert ids(other) == epochs[2]


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_stateful_in_epoch_2(folder, epochs, workers):
    persistent = {"persistent_workers": True} if workers else {}
    loader = stateful(dataset(folder), workers, **persistent)
    assert ids(loader) == epochs[0]
    assert ids(loader) == epochs[1]
    iterator = iter(loader)
    assert take(iterator, 8) == epochs[2][:8]
    other = resumed(folder, workers, loader.state_dict(), **persistent)
    assert ids(other) == epochs[2][8:]
    assert ids(other) == epochs[3]


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_stateful_at_the_end(folder, epochs, workers):
    loader = stateful(dataset(folder), workers)
    assert ids(loader) == epochs[0]
    state = loader.state_dict()
    other = resumed(folder, workers, state)
    assert ids(other) == epochs[1]
    assert ids(other) == epochs[2]
    merged = merge_states([state])
    assert (merged["epoch"], merged["batch"]) == (1, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_at_the_last_batch(folder, epochs, workers):
    """Given, but the loader was not asked again: nothing is left of the epoch."""
    loader = stateful(dataset(folder), workers)
    assert take(iter(loader), BATCHES) == epochs[0]
    other = resumed(folder, workers, loader.state_dict())
    assert ids(other) == []
    assert ids(other) == epochs[1]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("every", [1, 4, 100])
def test_merging_what_stateful_saved(folder, epochs, workers, every):
    """For another number of workers, snapshots and the batches since them counted."""
    loader = stateful(dataset(folder), workers, snapshot_every_n_steps=every)
    iterator = iter(loader)
    done = 0
    for step in (0, 1, 5, 8):
        assert take(iterator, step - done) == epochs[0][done:step]
        done = step
        merged = merge_states([loader.state_dict()])
        assert (merged["epoch"], merged["batch"]) == (0, step)
    data = dataset(folder)
    data.load_state_dict(json.loads(json.dumps(merged)))
    assert ids(data) == epochs[0][8:]
    if workers:
        other = resumed(
            folder, workers, loader.state_dict(), snapshot_every_n_steps=every
        )
        assert ids(other) == epochs[0][8:]


def test_merging_ranks(folder, epochs):
    """Each rank saves its StatefulDataLoader's dict; three ranks go on."""
    states = []
    for rank in range(2):
        loader = stateful(
            dataset(folder, distributed=(rank, 2)), 2, snapshot_every_n_steps=3
        )
        assert take(iter(loader), 7) == epochs[0][rank:14:2]
        states.append(loader.state_dict())
    state = merge_states(states)
    assert merge_states(states[1:]) == state
    found = []
    for rank in range(3):
        data = dataset(folder, distributed=(rank, 3), tail="keep")
        data.load_state_dict(state)
        found.append(ids(data.loader(num_workers=rank)))
    assert [found[j % 3][j // 3] for j in range(BATCHES - 14)] == epochs[0][14:]


def test_a_worker_s_state_goes_to_that_worker_only(folder):
    loader = stateful(dataset(folder), 2)
    take(iter(loader), 3)
    snapshot = loader.state_dict()["_snapshot"]["_worker_snapshots"]["worker_1"]
    part = snapshot["fetcher_state"]["dataset_iter_state"]
    with pytest.raises(ValueError, match="merge_states"):
        dataset(folder).load_state_dict(part)
