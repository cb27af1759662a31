# SPDX-License-Identifier: Apache-2.0
"""Functions on batches, called ahead: states, workers and mixtures."""

import json
import os
import time

import pytest
from calls import NAME, ROWS, SIZE, Calls, numbers

import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset


@pytest.mark.parametrize("pack", [None, PackOptions(8, pack_window=20)])
def test_what_lies_ready_was_not_given(called_file, pack):
    calls = Calls()
    options = {"num_lanes": 2, "pack": pack}
    whole = [repr(batch) for batch in StreamingDataset(called_file, 3, **options)]
    data = StreamingDataset(called_file, 3, transform=calls, **options)
    batches = iter(data)
    found = []
    for _ in range(4):
        found.append(repr(next(batches)))
        assert data.state_dict()["batch"] == len(found)
    time.sleep(0.05)
    state = json.loads(json.dumps(data.state_dict()))
    assert (state["epoch"], state["batch"]) == (0, 4)
    other = StreamingDataset(called_file, 3, transform=lambda batch: batch, **options)
    other.load_state_dict(state)
    assert found + [repr(batch) for batch in other] == whole


def in_worker(batch):
    return numbers(batch), os.getpid()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_loaders(called_file, way):
    """Workers call it; a second pass does, too."""
    pytest.importorskip("torch")
    data = StreamingDataset(called_file, SIZE, transform=in_worker, num_lanes=2)
    workers = 2 if way == "fork" else 1
    loader = data.loader(num_workers=workers, multiprocessing_context=way)
    expected = [number for number, _ in data]
    for _ in range(2):
        found = list(loader)
        assert [number for number, _ in found] == expected
        assert len({pid for _, pid in found} - {os.getpid()}) == workers


def test_sources_of_a_mixture(called_file):
    """Each has its own function, and all are called on the one thread."""
    calls = Calls()

    def source(shift):
        def shifted(batch):
            return {"id": [i + shift for i in calls(batch)["id"]]}

        return shifted

    data = StreamingDataset(called_file, SIZE, ["id"])
    sources = [
        data.map(source(0)),
        StreamingDataset(called_file, SIZE, ["id"], transform=source(1000)),
        data.map(source(2000)).map(lambda batch: {**batch, "more": batch["id"]}),
    ]
    mixture = fast_axolotl.mix(sources, num_lanes=1, stop="all")
    found = list(mixture)
    assert calls.threads == {NAME}
    firsts = [batch["id"][0] for batch in found]
    for shift in (0, 1000, 2000):
        own = [first - shift for first in firsts if 0 <= first - shift < ROWS]
        assert [*dict.fromkeys(own)] == [*range(0, ROWS, SIZE)]
    assert calls == [first % 1000 // SIZE for first in firsts]
    assert all(
        (b["more"][0] is None) == (b["id"][0] < 2000) for b in found if "more" in b
    )
    other = fast_axolotl.mix(sources, num_lanes=1, stop="all")
    other.load_state_dict({**mixture.state_dict(), "epoch": 0, "batch": 17})
    assert list(other) == found[17:]


def test_a_mixture_opens_a_reader_while_its_numbers_are_asked_for(called_file):
    """The thread does, at any moment: here, in the middle of adding up."""
    data = fast_axolotl.mix([StreamingDataset(called_file, SIZE)], num_lanes=1)
    batches = iter(data.map(lambda batch: batch))
    next(batches)
    source = batches._reader._source

    class OpensAnother:
        rows_read = 1
        rows_skipped = 0
        decode_seconds = 0.0

        @property
        def bytes_read(self):
            source._readers["another"] = next(iter(source._readers.values()))
            return 1

        def close(self):
            assert self.bytes_read == 1

    source._readers["one"] = OpensAnother()
    assert batches.bytes_read > 1
    del source._readers["another"]
    batches.close()
