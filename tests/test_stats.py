# SPDX-License-Identifier: Apache-2.0
"""What a pass says that it did, and who waited for whom."""

import itertools
import multiprocessing
import pickle
import time
from types import SimpleNamespace

import pytest
import token_files

import fast_axolotl
from fast_axolotl import (
    PackOptions,
    StreamingDataset,
    _core,
    _reader,
    build_index,
    streaming_dataset_reader,
)

ROWS, SIZE = 230, 10
BATCHES = 23
TOKENS = [[*range(1, 2 + i % 13)] for i in range(ROWS)]
PACK = PackOptions(16, pack_window=40)


@pytest.fixture(scope="module")
def path(tmp_path_factory, session_cache):
    folder = tmp_path_factory.mktemp("stats")
    table = token_files.tokens(TOKENS, id=[*range(ROWS)])
    path = token_files.write(folder / "data.parquet", table, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAST_AXOLOTL_CACHE", str(session_cache))
        build_index(path, lengths="input_ids")
    return path


def counts(stats):
    return stats.batches, stats.rows


# --- one process ----------------------------------------------------------------------


def same(batch):
    return batch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output": "numpy"},
        {"pad": {"input_ids": 0}},
        {"transform": same},
        {"output": "arrow"},
        {"num_lanes": 3},
        {"shuffle": True},
    ],
    ids="-".join,
)
def test_counts_are_those_of_what_was_given(path, options):
    """And not of what was read ahead."""
    data = StreamingDataset(path, SIZE, **options)
    assert counts(data.stats()) == (0, 0)
    assert data.stats().verdict == "nothing was read yet"
    for _ in range(2):
        batches = iter(data)
        kept = []
        for number in range(1, BATCHES + 1):
            next(batches)
            assert counts(data.stats()) == (number, number * SIZE)
            kept.append(batches.stats())
        assert next(batches, None) is None
        stats = data.stats()
        # What was asked for before is as it was.
        assert [*map(counts, kept)] == [(n, n * SIZE) for n in range(1, BATCHES + 1)]
        assert counts(stats) == (BATCHES, ROWS)
        assert stats.bytes_read > 0
        assert stats.decoding > 0
        assert 0 < stats.waited <= stats.seconds
        assert stats.rows_skipped == stats.batches_repeated == stats.batches_left_out == 0
        assert stats.fill_rate is None
        assert stats.rows_per_second == ROWS / stats.seconds
        assert stats.mb_per_second == stats.bytes_read / 1e6 / stats.seconds
    with streaming_dataset_reader(path, SIZE) as reader:
        assert counts(reader.stats()) == (0, 0)
        next(reader)
        assert counts(reader.stats()) == (1, SIZE)
    assert counts(reader.stats()) == (1, SIZE)


def test_of_variations(path):
    data = StreamingDataset(path, SIZE)
    list(data)
    for varied, batches in [(data.take(3), 3), (data.skip(20), 3), (data.map(len), 23)]:
        assert counts(varied.stats()) == (0, 0)
        list(varied)
        assert counts(varied.stats()) == (batches, batches * SIZE)
    assert counts(data.stats()) == (BATCHES, ROWS)
    data.load_state_dict({**data.state_dict(), "epoch": 0, "batch": 20})
    assert counts(data.stats()) == (0, 0)
    list(data)
    assert counts(data.stats()) == (3, 30)
    mixture = fast_axolotl.mix([data, data], num_lanes=1, stop="all")
    list(mixture)
    assert counts(mixture.stats()) == (len(mixture), len(mixture) * SIZE)


@pytest.mark.parametrize("too_long", ["split", "cut"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_packed_rows(path, too_long, lanes):
    """Filled places are counted batch by batch, and long sequences."""
    pack = PackOptions(8, pack_window=40, too_long=too_long)
    data = StreamingDataset(path, 5, pack=pack, num_lanes=lanes)
    tokens = rows = 0
    for batch in data:
        tokens += int((batch["sequence_ids"] != 0).sum())
        rows += len(batch["input_ids"])
        stats = data.stats()
        assert (stats.tokens, stats.places, stats.rows) == (tokens, rows * 8, rows)
        assert stats.fill_rate == tokens / (rows * 8)
    long = [len(row) - 8 for row in TOKENS if len(row) > 8]
    if too_long == "cut":
        assert (stats.sequences_cut, stats.tokens_cut) == (len(long), sum(long))
        assert stats.sequences_split == 0
        assert tokens == sum(map(len, TOKENS)) - sum(long)
    else:
        assert (stats.sequences_split, stats.sequences_cut) == (len(long), 0)
        assert tokens == sum(map(len, TOKENS))
    assert f"{stats.fill_rate:.1%} filled" in str(stats)


# --- who waits ------------------------------------------------------------------------


class Clock:
    """A clock that goes on when it is told to, and a little when it is asked."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 0.001
        return self.now


def test_the_loader_waits_for_a_slow_model(path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_reader, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    data = StreamingDataset(path, SIZE)
    for _ in data:
        clock.now += 1
    stats = data.stats()
    assert stats.seconds == pytest.approx(22 + 45 * 0.001)
    assert stats.waited == pytest.approx(23 * 0.001)
    assert stats.verdict == (
        "the loader waits for the model: batches were waited for 0% of the time"
    )
    assert str(stats).startswith(f"{ROWS} rows in {BATCHES} batches, 10 rows/s, ")
    # The time before the first batch was asked for counts for nobody.
    batches = iter(data)
    clock.now += 100
    next(batches)
    assert data.stats().seconds < 1


def test_the_model_waits_for_a_slow_function(path):
    def slow(batch):
        time.sleep(0.02)
        return batch

    data = StreamingDataset(path, SIZE, transform=slow)
    list(data)
    stats = data.stats()
    assert stats.waited > 0.2
    assert stats.verdict.startswith("the model waits for the loader: batches were")
    assert stats.waited / stats.seconds > 0.5


# --- ranks ----------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [None, PACK])
@pytest.mark.parametrize("world", [1, 2, 5])
@pytest.mark.parametrize("tail", ["keep", "drop", "repeat"])
def test_tails(path, tail, world, pack):
    """Batches that are given twice, or by nobody, over all ranks."""
    whole = StreamingDataset(path, SIZE, pack=pack, num_lanes=world)
    total = len(list(whole))
    for start, end in [(0, None), (4, None), (0, 7), (3, 9)]:
        wanted = range(total)[start:end]
        given = set()
        for rank in range(world):
            data = StreamingDataset(
                path, SIZE, pack=pack, distributed=(rank, world), tail=tail, shuffle=False
            )
            data = data if end is None else data.take(end)
            data.load_state_dict(
                {**whole.state_dict(), "epoch": 1, "batch": start, "lanes": world}
            )
            batches = len(list(data))
            stats = data.stats()
            assert stats.batches == batches
            given.add((stats.batches_repeated, stats.batches_left_out))
        over = len(wanted) % world
        assert given == {
            (
                (world - over) % world if tail == "repeat" else 0,
                over if tail == "drop" else 0,
            )
        }


def test_counting_packed_batches_of_ranks_is_done_once(path, monkeypatch):
    """It lays out all rows of the epoch, and stats() is for every step."""
    calls = []
    count = _core.count_packed_rows
    monkeypatch.setattr(
        _core, "count_packed_rows", lambda *args: calls.append(1) or count(*args)
    )
    data = StreamingDataset(path, 2, pack=PACK, distributed=(0, 2), num_lanes=2)
    steps = len(data)
    for number, _ in enumerate(data, 1):
        assert data.stats().batches == number
        data.state_at(number)
    assert number == steps > 20
    assert len(calls) == 1


# --- workers --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("pickled", [False, True])
def test_sums_over_workers(path, persistent, pickled):
    pytest.importorskip("torch")
    alone = StreamingDataset(path, 4, pack=PACK, num_lanes=2)
    list(alone)
    data = StreamingDataset(path, 4, pack=PACK, num_lanes=2)
    if pickled:
        data = pickle.loads(pickle.dumps(data))
    loader = data.loader(num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        batches = len(list(loader))
        stats = data.stats()
        assert counts(stats) == counts(alone.stats()) == (batches, alone.stats().rows)
        for name in ("tokens", "places", "fill_rate", "sequences_split"):
            assert getattr(stats, name) == getattr(alone.stats(), name)
        assert 0 < stats.waited <= stats.seconds
        assert stats.bytes_read > 0
    # A pass that begins says nothing of the one before it.
    iterator = iter(loader)
    next(iterator)
    next(iterator)
    assert 2 <= data.stats().batches <= 2 + 4
    del iterator


@pytest.mark.filterwarnings("ignore")
def test_passes_of_other_numbers_of_workers(path):
    pytest.importorskip("torch")
    data = StreamingDataset(path, SIZE)
    list(data.loader(num_workers=3))
    assert counts(data.stats()) == (BATCHES, ROWS)
    # Of which the last one has nothing to give.
    few = data.take(2)
    list(few.loader(num_workers=3))
    assert counts(few.stats()) == (2, 2 * SIZE)
    list(data.loader(num_workers=1))
    assert counts(data.stats()) == (BATCHES, ROWS)
    list(data)
    assert counts(data.stats()) == (BATCHES, ROWS)


def _rank_in_step(data, rank, barrier, queue):
    list(itertools.islice(data.loader(num_workers=1), 5 + 5 * rank))
    barrier.wait(60)
    queue.put((rank, data.stats().batches))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_a_dataset_is_given_to(path, method):
    """Each has workers of its own, and their numbers."""
    pytest.importorskip("torch")
    context = multiprocessing.get_context(method)
    data = StreamingDataset(path, SIZE, transform=same)
    queue, barrier = context.Queue(), context.Barrier(2)
    ranks = [
        context.Process(target=_rank_in_step, args=(data, rank, barrier, queue))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    found = dict(queue.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join()
    # What was given, and what torch has the worker prefetch.
    assert 5 <= found[0] <= 5 + 2
    assert 10 <= found[1] <= 10 + 2
    assert counts(data.stats()) == (0, 0)
