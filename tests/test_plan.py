# SPDX-License-Identifier: Apache-2.0
"""The plan of the core against the one in plain Python, on files of known rows."""

import collections
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import plan_reference
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from fast_axolotl import StreamingDataset, _core

SCHEMA = pa.schema({"id": pa.int64()})


def write_batches(path, fragment_rows):
    """An Arrow file whose record batches have these numbers of rows."""
    row = 0
    with pa.ipc.new_file(path, SCHEMA) as writer:
        for rows in fragment_rows:
            ids = pa.array(range(row, row + rows), pa.int64())
            writer.write_batch(pa.record_batch([ids], schema=SCHEMA))
            row += rows


def write_lines(folder, fragment_rows):
    """As many JSON files; an empty one is a file without a fragment."""
    row = 0
    paths = []
    for i, rows in enumerate(fragment_rows):
        path = folder / f"{i:03}.jsonl"
        path.write_text("".join(f'{{"id": {row + k}}}\n' for k in range(rows)))
        row += rows
        paths.append(str(path))
    return paths


def ids_of_reference(fragment_rows, **options):
    begins = [sum(fragment_rows[:i]) for i in range(len(fragment_rows))]
    return [
        [begins[fragment] + row for fragment, row in batch]
        for batch in plan_reference.batches(fragment_rows, **options)
    ]


options_of_order = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 9) | st.sampled_from([20, 100, 1000]),
        "shuffle": st.booleans(),
        "seed": st.sampled_from([0, 1, (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1),
        "lanes": st.integers(1, 9) | st.sampled_from([16, 40]),
        "window": st.integers(1, 12) | st.sampled_from([64, 1000, 1 << 30]),
    }
)


def dataset(path, order, **others):
    return StreamingDataset(
        path,
        order["batch_size"],
        shuffle=order["shuffle"],
        seed=order["seed"],
        num_lanes=order["lanes"],
        shuffle_window=order["window"],
        num_threads=1,
        **others,
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 17), min_size=1, max_size=20),
    options_of_order,
    st.sampled_from([0, 1, 2, 1 << 40]),
)
@example([0], {"batch_size": 1, "shuffle": True, "seed": 0, "lanes": 3, "window": 1}, 0)
@example(
    [0, 5, 0, 0, 5, 0],
    {"batch_size": 5, "shuffle": False, "seed": 0, "lanes": 2, "window": 1},
    0,
)
def test_batches_of_one_file(fragment_rows, order, epoch):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.arrow"
        write_batches(path, fragment_rows)
        data = dataset(path, order)
        data.set_epoch(epoch)
        expected = ids_of_reference(fragment_rows, epoch=epoch, **order)
        assert [batch["id"] for batch in data] == expected
        following = ids_of_reference(fragment_rows, epoch=epoch + 1, **order)
        assert [batch["id"] for batch in data] == following
        assert len(data) == len(expected)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any),
    options_of_order,
)
def test_batches_of_many_files(fragment_rows, order):
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(write_lines(Path(folder), fragment_rows), order)
        given_rows = [rows for _, _, _, rows in data._index().fragments]
        assert given_rows == [rows for rows in fragment_rows if rows]
        expected = ids_of_reference(given_rows, **order)
        assert [batch["id"] for batch in data] == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=20), options_of_order)
def test_promises_of_the_reference(fragment_rows, order):
    """What DESIGN.md says of the plan; the core is equal to the reference."""
    found = plan_reference.batches(fragment_rows, **order)
    rows = [row for batch in found for row in batch]
    assert len(set(rows)) == len(rows) == sum(fragment_rows)
    assert all(len(batch) == order["batch_size"] for batch in found[:-1])
    assert all(found)
    in_lanes = collections.Counter(j % order["lanes"] for j in range(len(found)))
    sizes = [in_lanes[lane] for lane in range(order["lanes"])]
    assert max(sizes) - min(sizes) <= 1
    if not order["shuffle"] and order["lanes"] == 1:
        assert rows == sorted(rows)


def test_a_lane_is_one_run_of_rows():
    found = plan_reference.batches([7] * 9, batch_size=4, lanes=3)
    lanes = [[row for batch in found[lane::3] for row in batch] for lane in range(3)]
    assert [row for lane in lanes for row in lane] == [
        (fragment, row) for fragment in range(9) for row in range(7)
    ]


def test_numbers_stay_as_they_are(tmp_path):
    """A change of these breaks every saved state: it needs a new version."""
    random = plan_reference.Random(1, 2, 3)
    assert random.next() == 1321962074176129191
    assert random.next() == 15925659190040627001
    write_batches(tmp_path / "data.arrow", [3, 4, 5])
    data = StreamingDataset(
        tmp_path / "data.arrow", 5, shuffle=True, seed=7, num_lanes=2, shuffle_window=4
    )
    assert [batch["id"] for batch in data] == [
        [9, 10, 8, 7, 4],
        [5, 6, 0, 1, 2],
        [11, 3],
    ]


def test_every_order_is_as_likely():
    """Fisher-Yates over unbiased numbers: 24 orders of 4 rows, 2,400 seeds."""
    seen = collections.Counter()
    for seed in range(2400):
        values = list(range(4))
        plan_reference.Random(2, seed).shuffle(values)
        seen[tuple(values)] += 1
    assert len(seen) == 24
    # Chi-squared with 23 degrees of freedom: above 49.7 once in a thousand.
    assert sum((count - 100) ** 2 / 100 for count in seen.values()) < 49.7


def test_the_number_of_batches(tmp_path):
    write_batches(tmp_path / "data.arrow", [3, 0, 4])
    opened = StreamingDataset(tmp_path / "data.arrow")._open()
    index = _core.build_index(opened, "", 1, None)
    assert index.rows == 7
    assert index.fragments == [(0, 0, 1, 3), (0, 1, 2, 0), (0, 2, 3, 4)]
    for size, batches in [(1, 7), (3, 3), (7, 1), (8, 1)]:
        assert _core.Plan.make(index, True, 0, 0, size, 2, 5).batches == batches


@pytest.mark.parametrize("tail", ["keep", "drop", "repeat"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_share_ends_for_good(workers, tail):
    """A state may say any number of batches, and times workers and world it is more."""
    for worker in range(workers):
        share = _core.Share.make(0, 0, 16, (0, 2), (worker, workers), tail)
        own = 8 // workers
        found = [share.batch(i) for i in range(own)]
        assert found == list(range(2 * worker, 16, 2 * workers))
        for power in range(4, 63):
            for i in (1 << power, (1 << power) - 1, (1 << power) + own):
                assert i < own or share.batch(i) is None
        assert share.batch((1 << 63) - 1) is None
