# SPDX-License-Identifier: Apache-2.0
"""to_hf(): rows in the order of the plan, shared by ranks and workers."""

import pytest
from hf_rows import QUIET, ROWS, ids, joined, needs_torch

import fast_axolotl

datasets = pytest.importorskip("datasets", reason="datasets is not installed")
np = pytest.importorskip("numpy")

from datasets.distributed import split_dataset_by_node  # noqa: E402

pytestmark = QUIET


# --- order ----------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_order_is_that_of_the_plan(hf_file, epoch):
    plan = fast_axolotl.StreamingDataset(hf_file, shuffle=True, seed=5, num_lanes=1)
    plan.set_epoch(epoch)
    expected = ids(plan.rows())
    assert sorted(expected) == list(range(ROWS)) != expected
    plain = fast_axolotl.StreamingDataset(hf_file).to_hf()
    for rows in (
        plan.to_hf(),
        plain.shuffle(seed=5),
        plain.shuffle(seed=5, buffer_size=3),
        plain.shuffle(seed=8).shuffle(seed=5),
        plain.shuffle(generator=np.random.default_rng(5)),
        plain.shuffle(seed=5).map(lambda row: row),
        plain.shuffle(seed=5).filter(lambda row: True),
    ):
        rows.set_epoch(epoch)
        assert ids(rows) == expected
        assert ids(rows) == expected


def test_epochs_and_seeds_differ(hf_file):
    plain = fast_axolotl.StreamingDataset(hf_file).to_hf()
    orders = set()
    for seed in (0, 1, 2**64 - 1):
        rows = plain.shuffle(seed=seed)
        for epoch in (0, 1, 2):
            rows.set_epoch(epoch)
            orders.add(tuple(ids(rows)))
    assert len(orders) == 9


def test_without_shuffle_every_epoch_is_in_the_order_of_the_files(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file).to_hf()
    rows.set_epoch(3)
    assert ids(rows) == list(range(ROWS))


def test_shuffle_without_a_seed_takes_that_of_the_dataset(hf_file):
    """Every rank must come to the same order."""
    dataset = fast_axolotl.StreamingDataset(hf_file, seed=5)
    assert ids(dataset.to_hf().shuffle()) == ids(dataset.to_hf().shuffle(seed=5))


def test_shuffle_behind_map_is_that_of_datasets(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    shuffled = rows.map(lambda row: row).shuffle(seed=3, buffer_size=50)
    orders = []
    for epoch in (0, 1):
        shuffled.set_epoch(epoch)
        assert sorted(ids(shuffled)) == list(range(ROWS))
        orders.append(ids(shuffled))
    assert orders[0] != orders[1]


@pytest.mark.skipif(
    datasets.__version__.startswith("5.0"),
    reason="set_epoch() behind take() raises in this version of datasets",
)
def test_a_take_is_the_same_in_every_epoch(hf_file):
    """datasets keeps the order of what is cut off: so do we."""
    rows = fast_axolotl.StreamingDataset(hf_file).to_hf().shuffle(seed=1).take(20)
    first = ids(rows)
    rows.set_epoch(1)
    assert ids(rows) == first


# --- shards ---------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("num_shards", [1, 6, 64])
@pytest.mark.parametrize("world", [1, 2, 3, 4, 5])
def test_ranks_share_the_rows(hf_file, world, num_shards, shuffle):
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=shuffle).to_hf(num_shards)
    rows.set_epoch(2)
    expected = ids(rows)
    parts = []
    for rank in range(world):
        part = split_dataset_by_node(rows, rank, world)
        part.set_epoch(2)
        parts.append(ids(part))
    assert sorted(joined(parts)) == list(range(ROWS))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if num_shards % world == 0:
        assert joined(parts) == expected


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("parts", [1, 2, 3, 5, 64, 70])
def test_shards_follow_each_other(hf_file, parts, contiguous):
    """accelerate deals out shards so; a number that does not divide is fine."""
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    shards = [rows.shard(parts, i, contiguous=contiguous) for i in range(parts)]
    assert joined(map(ids, shards)) == ids(rows)
    lengths = [len(shard) for shard in shards]
    assert lengths == [len(list(shard)) for shard in shards]
    assert max(lengths) - min(n for n in lengths if n) <= 1
    assert sum(shard.num_shards for shard in shards) == 64
    halves = [shards[0].shard(2, i) for i in range(2)] if parts < 64 else []
    assert joined(map(ids, halves)) == (ids(shards[0]) if halves else [])


def test_parts_of_equal_length(hf_file):
    """The way to equal steps on all ranks: as many rows as divide."""
    world, batch = 4, 8
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    even = rows.take(len(rows) // (world * batch) * world * batch)
    parts = [ids(even.shard(world, rank)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(rows) // (world * batch) * batch}
    assert len(set(joined(parts))) == len(even)


@needs_torch
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("num_shards", [4, 64])
def test_workers_share_the_rows(hf_file, workers, num_shards):
    from torch.utils.data import DataLoader

    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf(num_shards)
    rows = rows.select_columns(["id"])
    for world in (1, 2):
        found = []
        for rank in range(world):
            part = split_dataset_by_node(rows, rank, world) if world > 1 else rows
            loader = DataLoader(part, batch_size=100, num_workers=workers)
            found += [int(i) for batch in loader for i in batch["id"]]
        assert sorted(found) == list(range(ROWS))


@needs_torch
def test_persistent_workers_hear_of_the_epoch(hf_file):
    from torch.utils.data import DataLoader

    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    rows = rows.select_columns(["id"])
    loader = DataLoader(rows, batch_size=None, num_workers=2, persistent_workers=True)
    orders = []
    for epoch in (0, 1, 0):
        rows.set_epoch(epoch)
        orders.append([int(row["id"]) for row in loader])
        assert sorted(orders[-1]) == list(range(ROWS))
    assert orders[0] == orders[2] != orders[1]


@needs_torch
def test_the_loader_knows_its_length(hf_file):
    from torch.utils.data import DataLoader

    rows = fast_axolotl.StreamingDataset(hf_file).to_hf().select_columns(["id"])
    loader = DataLoader(
        fast_axolotl.StreamingDataset(hf_file, columns=["id"]).to_hf(), batch_size=100
    )
    assert len(loader) == 31 == len(list(loader))
    assert ids(rows.take(2)) == [0, 1]
