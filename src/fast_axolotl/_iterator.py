# SPDX-License-Identifier: Apache-2.0
"""One pass over a dataset, by one process, that knows where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fast_axolotl import _state, _topology
from fast_axolotl._reader import StreamingReader
from fast_axolotl._stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from fast_axolotl._epochs import EpochDataset
    from fast_axolotl._source import BatchSource
    from fast_axolotl._topology import Topology
    from fast_axolotl._turns import Cursor, Lanes


@dataclass(frozen=True, slots=True)
class Run:
    """A pass over an epoch, from some batch on."""

    topology: Topology
    epoch: int
    # Where the run begins, counted over all ranks, and what this worker gave of it.
    start: int
    given: int = 0
    # Where rows are packed, how far each lane was when the run began, and how far those
    # that this worker reads were behind the batches that it gave: see WorkerState.
    cursors: tuple[Cursor, ...] = ()
    own: Lanes | None = None
    # A state was loaded in another process, where these cursors stayed.
    lost: bool = False

    def reached(self) -> tuple[Cursor, ...]:
        """How far each lane is, as far as this worker knows."""
        return _state.advanced(self.cursors, self.own or ())


@dataclass(slots=True)
class Position:
    """How far a pass got. The dataset keeps it when the iterator is gone."""

    run: Run
    given: int
    finished: bool = False
    # Lanes that the run reads and how far they are, where only reading tells.
    own: Mapping[int, Cursor] | None = None
    stats: Stats = field(default_factory=Stats)

    @classmethod
    def begin(cls, run: Run, stats: Stats) -> Position:
        """Where a run begins."""
        own = None if run.own is None else dict(run.own)
        return cls(run, run.given, own=own, stats=stats)

    def state_dict(self, owner: EpochDataset) -> dict[str, Any]:
        """Return the state as of the batches given so far."""
        base = owner._state(self.run)  # noqa: SLF001
        topology = self.run.topology
        # A single worker's, too: a loader that counts on from it needs the world.
        if topology.workers > 1 or _topology.in_worker():
            return _state.WorkerState(
                base,
                self.given,
                self.finished,
                topology.rank,
                topology.world,
                topology.worker,
                topology.workers,
                None if self.own is None else tuple(self.own.items()),
            ).to_dict()
        if self.finished:
            return owner._next_epoch(base).to_dict()  # noqa: SLF001
        if self.own is not None:
            cursors = _state.advanced(base.cursors, self.own.items())
            batch = sum(cursor.number for cursor in cursors)
            return replace(base, batch=batch, cursors=cursors).to_dict()
        batch = self.run.start + topology.world * self.given
        return replace(base, batch=batch).to_dict()


# Where a pass is behind a batch: batches given, lanes as in Position, batches left out.
Reached: TypeAlias = "tuple[int, Mapping[int, Cursor] | None, int]"


class BatchTaker(Protocol):
    """Who takes batches, and keeps one until it is through with it."""

    batch: Any


class DatasetIterator(StreamingReader):
    """The batches of one pass over a dataset; for a DataLoader's worker, its share.

    It reads from its first batch on, so that a state can be loaded before.
    """

    def __init__(self, owner: EpochDataset, run: Run) -> None:
        record_batches = owner._gives_record_batches()  # noqa: SLF001
        super().__init__(
            owner.files,
            owner._open(),  # noqa: SLF001
            record_batches=record_batches,
            bad_rows=owner._bad_rows(),  # noqa: SLF001
        )
        self._owner = owner
        self.position: Position = Position.begin(run, self._stats)
        self._counted = True
        self._limit: int | None = None
        in_worker = _topology.in_worker()
        self._worker = run.topology.worker if in_worker else None

    def _next(self) -> tuple[BatchSource, Any]:
        if self._reader is None:
            if self.position.finished or self._closed:
                raise StopIteration
            if not self._counted:
                self._counted = True
                self._owner._passes.start()  # noqa: SLF001
            self._reader, self._limit = self._owner._start(self.position.run)  # noqa: SLF001
            self.position.own = self._note_mark(self._reader)
        ended = self._limit is not None and self.position.given >= self._limit
        # A batch that an error made short is not the last: the error comes behind it.
        if ended and not self._reader.cut:
            self.position.finished = True
            self.close()
            raise StopIteration
        try:
            reader, batch = super()._next()
        except StopIteration:
            self.position.finished = not self._closed
            self._write_down()
            raise
        # Batches that were left out keep their numbers.
        left_out = reader.batches_left_out
        given = self.position.given + 1 + left_out - self._left_out
        if self._limit is not None and given > self._limit:
            self.position.given = self._limit
            self.position.finished = True
            self._write_down()
            self.close()
            raise StopIteration
        self._reached = (given, self._note_mark(reader), left_out)
        self._write_down(batches=1)
        return reader, batch

    def _write_down(self, *, batches: int = 0) -> None:
        """Write a worker's numbers down, and as many more batches.

        Behind the last batch as well: what was left out at the end is known only there.
        """
        if self._worker is not None:
            self._owner._board.write(self._worker, self._stats, batches=batches)  # noqa: SLF001

    def _note_mark(self, reader: BatchSource) -> Mapping[int, Cursor] | None:
        """Note what packing did, and return how far lanes are, where only it tells."""
        mark = reader.mark
        if mark is None:
            return self.position.own
        own, *counts = mark
        self._stats.packed(*counts)
        return own

    def state_dict(self) -> dict[str, Any]:
        """Return the state as of the batches given so far.

        A worker's state covers that worker alone: see :func:`merge_states`.
        """
        return self.position.state_dict(self._owner)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; before the first batch only.

        Raises:
            RuntimeError: Batches were given already.
            ValueError: The state is not one of this data, read this way.
        """
        if self._reader is not None or self.position.finished:
            raise RuntimeError(
                "this iterator has begun: load the state into the dataset and iterate "
                "anew, or into a new iterator"
            )
        owner = self._owner
        run = owner._resumed(self.position.run.topology, state)  # noqa: SLF001
        self.position = Position.begin(run, self._stats)
        # The passes after this one follow, as if the dataset had loaded it.
        passes = owner._passes  # noqa: SLF001
        if _topology.in_worker():
            passes.next_epoch_is(run.epoch + 1)
        else:
            # It counts as a pass once it gives something: torchdata's loader makes an
            # iterator of a finished state, and then, without asking it, the next one.
            owner._go_on(run, run.start)  # noqa: SLF001
            self._counted = False
            owner._current = self.position  # noqa: SLF001


class RowIterator:
    """The rows of a pass. Unlike a generator it raises an error again at every call.

    As with batches, what a signal handler raises costs no row: see StreamingReader._give.
    """

    def __init__(self, batches: DatasetIterator) -> None:
        self._batches = batches
        # A batch that was not yet taken apart.
        self.batch: Any = None
        self._names: tuple[str, ...] = ()
        self._rows: Sequence[tuple[Any, ...]] = ()
        self._row = 0
        self._seen = 0
        self._busy = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        if self._busy:
            raise ValueError(
                "these rows are already being read by another thread; give each thread "
                "rows of its own, or guard the shared ones with a lock"
            )
        self._busy = True
        try:
            while self._row >= len(self._rows):
                if self.batch is None:
                    self._batches._give(self)  # noqa: SLF001
                self._take_apart()
            row = dict(zip(self._names, self._rows[self._row], strict=True))
        except BaseException:
            self._busy = False
            raise
        self._row += 1
        self._busy = False
        return row

    def _take_apart(self) -> None:
        batch = self.batch
        if not isinstance(batch, Mapping):
            raise TypeError(
                "rows() takes dicts of columns apart, and batches are of type "
                f"{type(batch).__name__}: iterate over the dataset itself"
            )
        names = tuple(batch)
        rows: Sequence[tuple[Any, ...]] = [*zip(*batch.values(), strict=True)]
        seen = self._batches.rows_read
        if not names:
            # Rows without any column have no list to count them by.
            rows = [()] * (seen - self._seen)
        self._names, self._rows, self._row = names, rows, 0
        self._seen, self.batch = seen, None

    def close(self) -> None:
        """Stop reading and join the threads."""
        self._rows, self._row, self.batch = (), 0, None
        self._batches.close()
