# SPDX-License-Identifier: Apache-2.0
"""Ranks and DataLoader workers, played in one process."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from fast_axolotl._iterator import DatasetIterator, Run
from fast_axolotl._topology import Topology


class Rank:
    """A rank whose loader has workers (0: it reads by itself) that give in turn.

    As torch's loader, it takes one batch of each worker in turn, and leaves out the
    workers that have ended. A worker is an iterator with a topology of its own.
    """

    def __init__(
        self,
        data: Any,
        rank: int,
        world: int,
        workers: int,
        state: dict[str, Any] | None = None,
        key: Callable[[Any], Any] = lambda batch: batch,
    ) -> None:
        """`data` is the dataset of this rank; `key`, what to keep of a batch."""
        self.data = data
        self.key = key
        if state is not None:
            self.data.load_state_dict(json.loads(json.dumps(state)))
        self.workers = workers
        self.topology = (rank, world)
        self.start()

    def start(self) -> None:
        """Begin the next pass."""
        self.turn = 0
        if self.workers == 0:
            self.iterators = [iter(self.data)]
            return
        run = self.data._run_of_pass(
            Topology(*self.topology, 0, self.workers), self.data._passes.start()
        )
        self.iterators = [
            DatasetIterator(
                self.data,
                Run(
                    Topology(*self.topology, worker, self.workers),
                    run.epoch,
                    run.start,
                    cursors=run.cursors,
                ),
            )
            for worker in range(self.workers)
        ]
        self.live = list(self.iterators)

    def take(self, count: int) -> list[Any]:
        """Up to so many batches; fewer at the end of the pass."""
        if self.workers == 0:
            return [*map(self.key, itertools.islice(self.iterators[0], count))]
        found = []
        while len(found) < count and self.live:
            self.turn %= len(self.live)
            batch = next(self.live[self.turn], None)
            if batch is None:
                del self.live[self.turn]
                continue
            found.append(self.key(batch))
            self.turn += 1
        return found

    def states(self) -> list[dict[str, Any]]:
        if self.workers == 0:
            return [self.data.state_dict()]
        return [iterator.state_dict() for iterator in self.iterators]


def share(
    batches: Sequence[Any], start: int, rank: int, world: int, tail: str
) -> list[Any]:
    """The batches of a rank of a run from `start` on."""
    left = [*batches[start:]]
    if tail == "drop":
        left = left[: len(left) // world * world]
    elif tail == "repeat" and left:
        at = 0
        while len(left) % world:
            left.append(batches[at % len(batches)])
            at += 1
    return left[rank::world]
