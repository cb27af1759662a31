# SPDX-License-Identifier: Apache-2.0
"""Batches of several datasets, in proportions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

from fast_axolotl import _core, _state
from fast_axolotl._ahead import Ahead, call
from fast_axolotl._bad_rows import MixedBadRows
from fast_axolotl._dataset import StreamingDataset
from fast_axolotl._epochs import EpochDataset, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fast_axolotl._bad_rows import Policy
    from fast_axolotl._iterator import Run
    from fast_axolotl._reader import Batch
    from fast_axolotl._source import BatchSource
    from fast_axolotl._state import State
    from fast_axolotl._topology import Distributed, Topology

Stop = Literal["first", "all"]

# An epoch in which a source starts again gives it another order each time.
_CYCLE_SHIFT = 32
# Bad rows that may pile up before they are told.
_MANY: Final = 1000


class _Union:
    """Columns and sizes of several datasets as those of one."""

    def __init__(self, sources: Sequence[StreamingDataset]) -> None:
        types: dict[str, str] = {}
        for source in sources:
            for name, kind in source.schema.items():
                known = types.setdefault(name, kind)
                if known != kind:
                    types[name] = "json"
        self.schema = list(types.items())
        self.bytes_total = sum(source._open().bytes_total for source in sources)  # noqa: SLF001


class MixedDataset(EpochDataset):
    """Batches of several datasets; made by :func:`mix`, which tells about it."""

    def __init__(
        self,
        sources: Sequence[StreamingDataset],
        weights: Sequence[float] | None = None,
        *,
        seed: int = 0,
        stop: Stop = "first",
        num_lanes: int | None = None,
        tail: Tail | None = None,
        distributed: Distributed = "auto",
    ) -> None:
        super().__init__(
            seed=seed, num_lanes=num_lanes, tail=tail, distributed=distributed
        )
        if not isinstance(sources, (list, tuple)) or not all(
            isinstance(source, StreamingDataset) for source in sources
        ):
            raise TypeError("mix() takes a list of StreamingDataset")
        if not sources:
            raise ValueError("mix() needs at least one dataset")
        if stop not in {"first", "all"}:
            raise ValueError(f'stop must be "first" or "all", not {stop!r}')
        for source in sources:
            if source._pack is not None:  # noqa: SLF001
                raise ValueError(
                    "mix() mixes batches of rows: packed ones follow from the rows of "
                    "one dataset"
                )
            if source._first or source._last is not None:  # noqa: SLF001
                raise ValueError(
                    "take() and skip() come after mix(): a part of a dataset cannot be "
                    "mixed"
                )
        self._sources: list[StreamingDataset] = list(sources)
        self._quotas = _quotas(weights, len(sources))
        self._stop = stop

    def _open(self) -> _Union:
        return _Union(self._sources)

    def _make_fingerprint(self) -> str:
        import hashlib  # takes longer to import than all of this package

        digest = hashlib.blake2b(digest_size=16)
        all_left_out = []
        for source, quota in zip(self._sources, self._quotas, strict=True):
            files, _, left_out = source._identify().partition("-")  # noqa: SLF001
            all_left_out.append(left_out)
            order = (
                files,
                source.batch_size,
                source._shuffle,  # noqa: SLF001
                source._seed,  # noqa: SLF001
                source._default_window(),  # noqa: SLF001
                quota,
            )
            digest.update(repr(order).encode())
        digest.update(self._stop.encode())
        left_out = ",".join(all_left_out) if any(all_left_out) else ""
        return _state.with_left_out(digest.hexdigest(), left_out)

    def _default_lanes(self, topology: Topology) -> int:
        return self._lanes or topology.world * topology.workers

    def _bad_rows(self) -> Policy:
        return MixedBadRows([source._bad_rows() for source in self._sources])  # noqa: SLF001

    def _default_window(self) -> int:
        # Each source has its own, which the fingerprint covers.
        return 0

    def _plan(self, source: StreamingDataset, epoch: int, lanes: int) -> _core.Plan:
        return _core.Plan.make(
            source._index(),  # noqa: SLF001
            source._shuffle,  # noqa: SLF001
            source._seed,  # noqa: SLF001
            epoch,
            source.batch_size,
            lanes,
            max(source._default_window(), 1),  # noqa: SLF001
        )

    def _lane_batches(self, lanes: int) -> list[list[int]]:
        """The batches that each source has in each lane."""
        batches = []
        for number, source in enumerate(self._sources):
            plan = self._plan(source, 0, lanes)
            counts = [plan.lane_batches(lane) for lane in range(lanes)]
            if self._stop == "all" and 0 in counts:
                raise ValueError(
                    f"dataset {number} of the mixture has {plan.batches} batches, fewer "
                    f"than the {lanes} lanes; pass a smaller num_lanes"
                )
            batches.append(counts)
        return batches

    def _epoch_batches(self, lanes: int, epoch: int) -> int:  # noqa: ARG002
        mix = _core.Mix(self._quotas, self._seed)
        return mix.batches(self._lane_batches(lanes), self._stop == "all")

    def _start(self, run: Run) -> tuple[BatchSource, int | None]:
        state = self._state(run)
        reader = _MixReader(self, run, state)
        # Functions of the sources count, too.
        if not self._maps and not any(
            source._maps or source._options.handover.transform is not None  # noqa: SLF001
            for source in self._sources
        ):
            return reader, reader.batches
        return Ahead(reader, self._maps, None), reader.batches

    def __len__(self) -> int:
        """Return the number of batches that this rank gives, over all its workers.

        Exact for the number of lanes of a single worker a rank, or of ``num_lanes``; a
        mixture read with another number of lanes ends a little earlier or later.
        """
        topology = self._topology()
        kept = self._passes.kept
        lanes = kept[0] if kept else self._default_lanes(topology)
        run = self._run_of_pass(topology, 1)
        return self._share(run, self._epoch_batches(lanes, run.epoch)).rank_batches

    @property
    def batch_size(self) -> int:
        """Rows in a full batch of the first dataset."""
        return self._sources[0].batch_size

    @property
    def files(self) -> list[str]:
        """The files of all datasets."""
        return [name for source in self._sources for name in source.files]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sources!r})"


class _MixReader:
    """The batches of one worker's share of a mixture's epoch."""

    def __init__(self, owner: MixedDataset, run: Run, state: State) -> None:
        self._owner = owner
        self._run = run
        self._lanes = state.lanes
        self._lane_batches = owner._lane_batches(state.lanes)  # noqa: SLF001
        self._mix = _core.Mix(owner._quotas, owner._seed)  # noqa: SLF001
        batches = self._mix.batches(self._lane_batches, owner._stop == "all")  # noqa: SLF001
        self._share = owner._share(run, batches)  # noqa: SLF001
        self.batches = self._share.worker_batches
        self._given = run.given
        self._functions = [
            (*source._options.handover.functions(), *source._maps)  # noqa: SLF001
            for source in owner._sources  # noqa: SLF001
        ]
        self._readers: dict[tuple[int, int], _core.Reader] = {}
        # Of readers that were closed.
        self._rows_before = 0
        self._skipped_before = 0
        self._bytes_before = 0
        self._decoding_before = 0.0
        # A transform makes columns of its own, which no schema knows.
        self._names = list(
            dict.fromkeys(
                name
                for source in owner._sources  # noqa: SLF001
                if source._options.handover.transform is None  # noqa: SLF001
                for name in source.schema
            )
        )
        self._closed = False
        # Behind the number of their dataset, each of which has its own ways.
        self._bad_rows: list[tuple[int, str]] = []
        self.batches_left_out = 0
        # A batch that was not given yet.
        self.held: tuple[Any] | None = None

    def next_batch(self) -> Any:  # noqa: ANN401  (a batch, or that there is none yet)
        while self.held is None:
            if len(self._bad_rows) >= _MANY:
                return _core.NO_BATCH_YET
            self._turn()
        return self.held[0]

    def _turn(self) -> None:
        """Take the next batch, unless none of its rows can be read."""
        j = None if self._closed else self._share.batch(self._given)
        if j is None:
            raise StopIteration
        lane, number = j % self._lanes, j // self._lanes
        source, number = self._mix.at(lane, number)
        cycle, number = divmod(number, self._lane_batches[source][lane])
        reader = self._reader(source, cycle)
        batch: Any = reader.batch_at(lane, number)
        self._bad_rows += [(source, row) for row in reader.take_bad_rows()]
        left_out = batch is None
        if not left_out:
            for fn in self._functions[source]:
                batch = call(fn, batch)
            if isinstance(batch, dict):
                batch = self._united(batch)
        # No call from here on: see StreamingReader._give.
        if left_out:
            self.batches_left_out += 1
        else:
            self.held = (batch,)
        self._given += 1
        reader.held = None

    def _united(self, batch: Batch) -> Batch:
        """The batch with the columns of all datasets."""
        missing = [name for name in self._names if name not in batch]
        if not missing:
            return batch
        # What map() made of the rows counts, where it made lists.
        rows = next((len(column) for column in batch.values()), 0)
        whole = {
            name: batch[name] if name in batch else [None] * rows for name in self._names
        }
        return {**whole, **batch}

    def _reader(self, source: int, cycle: int) -> _core.Reader:
        reader = self._readers.get((source, cycle))
        if reader is None:
            owner = self._owner
            dataset = owner._sources[source]  # noqa: SLF001
            topology = self._run.topology
            lanes = self._lanes // math.gcd(
                self._lanes, topology.world * topology.workers
            )
            options = dataset._options  # noqa: SLF001
            threads = options.threads(topology.workers)
            reader = _core.Reader.lanes(
                dataset._open(),  # noqa: SLF001
                dataset._index(),  # noqa: SLF001
                owner._plan(  # noqa: SLF001
                    dataset, self._run.epoch + (cycle << _CYCLE_SHIFT), self._lanes
                ),
                lanes,
                max(threads // len(owner._sources), 1),  # noqa: SLF001
                max(options.read_ahead(threads) // len(owner._sources), 1),  # noqa: SLF001
                options.handover.core(dataset._open()),  # noqa: SLF001
                topology.world > 1,
            )
            self._readers[source, cycle] = reader
            # Two at a time are enough as long as the lanes keep step; one that is asked
            # for again is opened anew.
            old = self._readers.pop((source, cycle - 2), None)
            if old is not None:
                old.close()
                self._rows_before += old.rows_read
                self._skipped_before += old.rows_skipped
                self._bytes_before += old.bytes_read
                self._decoding_before += old.decode_seconds
        return reader

    def _opened(self) -> list[_core.Reader]:
        # A copy: another thread may open the next one meanwhile.
        return list(self._readers.values())

    def take_bad_rows(self) -> list[tuple[int, str]]:
        taken, self._bad_rows = self._bad_rows, []
        return taken

    # Nothing but the number of batches matters to a state.
    mark = None
    # Batches that are asked for by their number come whole or not at all.
    cut = False

    def close(self) -> None:
        self._closed = True
        for reader in self._opened():
            reader.close()

    @property
    def rows_read(self) -> int:
        return self._rows_before + sum(r.rows_read for r in self._opened())

    @property
    def rows_skipped(self) -> int:
        return self._skipped_before + sum(r.rows_skipped for r in self._opened())

    @property
    def bytes_read(self) -> int:
        return self._bytes_before + sum(r.bytes_read for r in self._opened())

    @property
    def decode_seconds(self) -> float:
        return self._decoding_before + sum(r.decode_seconds for r in self._opened())


def _quotas(weights: object, count: int) -> list[int]:
    """Check the weights; return each source's part of a block of batches."""
    if weights is None:
        numbers = [1.0] * count
    else:
        if not isinstance(weights, (list, tuple)):
            raise TypeError(
                f"weights must be a list of numbers, not {type(weights).__name__}"
            )
        numbers = []
        for weight in weights:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise TypeError(
                    f"weights must hold numbers only, not {type(weight).__name__}"
                )
            if not (0 < weight < math.inf):
                raise ValueError(f"weights must be positive, not {weight}")
            numbers.append(float(weight))
    if len(numbers) != count:
        raise ValueError(f"{count} datasets need {count} weights, not {len(numbers)}")
    quotas = _core.mix_quotas(numbers)
    if not quotas:
        raise ValueError("mix() takes at most 1,024 datasets")
    return quotas
