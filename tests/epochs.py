# SPDX-License-Identifier: Apache-2.0
"""Data sets over files of every kind, what their epochs are, and ranks that read them."""

import epoch_files
import hypothesis.strategies as st
import plan_reference
import players
from hypothesis import HealthCheck

from fast_axolotl import StreamingDataset

SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


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
