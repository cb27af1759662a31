# SPDX-License-Identifier: Apache-2.0
"""Data to iterate again and again, and to give to torch."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fast_axolotl import _core, _options, _output, _state, _topology
from fast_axolotl._epochs import EpochDataset, Tail
from fast_axolotl._iterator import Run
from fast_axolotl._live import Live
from fast_axolotl._packing import PackedBatches, PlanOrder
from fast_axolotl._state import State
from fast_axolotl._topology import Topology
from fast_axolotl._turns import ShareTurns, Turns

if TYPE_CHECKING:
    from typing import Self

    from fast_axolotl._bad_rows import BadRows, OnError
    from fast_axolotl._csv_options import CsvOptions
    from fast_axolotl._hf import RowsDataset
    from fast_axolotl._options import Columns, Limits, Schema
    from fast_axolotl._output import Output, Transform
    from fast_axolotl._paths import Paths
    from fast_axolotl._source import BatchSource
    from fast_axolotl._tensors import PackOptions, Pad
    from fast_axolotl._topology import Distributed

# A window of about this much data on disk, within these bounds: enough rows to mix many
# fragments, few enough to be held decoded.
_WINDOW_BYTES: Final = 32 << 20
_MIN_WINDOW: Final = 1024
_MAX_WINDOW: Final = 65536
# Reading less than this from the start, again and again, is not worth a warning. From
# this size on, every gzip file has places to restart from.
_LARGE_FILE: Final = 16 << 20


class StreamingDataset(EpochDataset):
    """The batches of data files, as a dataset to iterate again and again.

    Where torch is installed this is a ``torch.utils.data.IterableDataset``: give it to
    ``DataLoader(dataset, batch_size=None)``, or call :meth:`loader`. Ranks and workers
    share the batches of an epoch, each of which is given once, and batch *j* has the same
    rows whoever gives it. It can be pickled.

    Args:
        path: A file, a glob pattern (``**`` for any depth), a folder, or a list of these.
        batch_size: Rows in each batch; only the last one of an epoch may have fewer.
        columns: The columns to read, in this order; ``None`` means all.
        shuffle: Give the rows in another order in every epoch.
        seed: The seed of the shuffle, from 0 to 2**64 - 1.
        num_lanes: Contiguous parts that the epoch's rows are cut into; batch *j* comes
            from lane *j* mod ``num_lanes``. ``None``: as many as ranks times workers.
        shuffle_window: Rows of a lane that are shuffled among themselves. ``None``: about
            32 MiB of the files, from 1,024 to 65,536 rows.
        tail: What happens where the batches do not divide by the ranks: ``"keep"`` gives
            them all, ``"drop"`` leaves out fewer than ranks, ``"repeat"`` fills up with
            the epoch's first batches. ``None``: keep for one rank, repeat for more.
        distributed: ``"auto"`` takes rank and world from torch.distributed or the
            launcher's ``RANK`` and ``WORLD_SIZE`` when an iteration begins; ``"off"``
            gives all rows to every rank; ``(rank, world)`` or a process group say it.
        num_threads: Threads that decode; ``None`` chooses by the CPUs there are.
        read_ahead_bytes: How much may be decoded ahead of the caller, in bytes.
        schema: Column name to type name or Arrow type, for columns whose type the files
            do not fix.
        format: The format of all files, where their names do not tell.
        csv: How CSV files are written.
        on_error: What a row does that cannot be read: ``"raise"`` an ``OSError``, or
            ``"skip"``: it is left out of its batch, which is short then, and counted in
            ``stats()``. A function is called with each :class:`BadRow` and the row left
            out; what it raises ends the reading.
        quarantine: A file to which rows that are left out are appended, one JSON object
            a line with the attributes of a :class:`BadRow`.
        limits: Name to number: what a file may ask for before it is refused.
        output: What a batch is: ``"python"``, a dict of lists (the default); ``"numpy"``
            or ``"torch"``, a dict of arrays where a column holds numbers; ``"arrow"``, a
            ``pyarrow.RecordBatch``.
        pad: Column name to the value of its padding, or a :class:`PadOptions`: lists
            become tensors of the shape ``(rows, length)``.
        pack: Lists of tokens fill rows of a fixed length; ``batch_size`` counts those.
        transform: A function that is called with each batch, ahead of the caller, on a
            thread; what it returns is given instead. With ``pad`` or ``pack`` it gets a
            dict of lists, and what it returns is padded or packed. To be used with
            workers that are spawned it must be picklable.

    Raises:
        FileNotFoundError: No file, or the pattern matches none.
        ValueError: An unknown format or column, or an argument of a wrong value.
        TypeError: An argument of a wrong type.
        OSError: A file that cannot be read, is truncated or corrupt; where the fault is
            in its rows, while iterating.
    """

    def __init__(
        self,
        path: Paths,
        batch_size: int = 32,
        columns: Columns | None = None,
        *,
        shuffle: bool = False,
        seed: int = 0,
        num_lanes: int | None = None,
        shuffle_window: int | None = None,
        tail: Tail | None = None,
        distributed: Distributed = "auto",
        num_threads: int | None = None,
        read_ahead_bytes: int | None = None,
        schema: Schema | None = None,
        format: str | None = None,
        csv: CsvOptions | None = None,
        on_error: OnError = "raise",
        quarantine: str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        output: Output | None = None,
        pad: Pad | None = None,
        pack: PackOptions | None = None,
        transform: Transform | None = None,
    ) -> None:
        super().__init__(
            seed=seed, num_lanes=num_lanes, tail=tail, distributed=distributed
        )
        self._options = _options.check(
            path,
            batch_size,
            columns,
            num_threads=num_threads,
            read_ahead_bytes=read_ahead_bytes,
            schema=schema,
            format=format,
            csv=csv,
            on_error=on_error,
            quarantine=quarantine,
            limits=limits,
            output=output,
            pad=pad,
            pack=pack,
            transform=transform,
        )
        self._shuffle = _options.boolean("shuffle", shuffle)
        self._window = _options.optional_positive("shuffle_window", shuffle_window)
        self._warned = False
        self._live = Live(self._options)
        self._count: tuple[int, bool] | None = None
        # What cannot be padded or packed is told now, and not with the first batch.
        self._options.handover.core(self._open())

    def _open(self) -> _core.Dataset:
        return self._live.dataset()

    def _index(self) -> _core.Index:
        index = self._live.index()
        self._count = (index.rows, True)
        return index

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if _topology.is_spawning():
            state["_live"] = self._live.for_worker()
        else:
            state["_live"] = Live(self._options)
            state["_count"] = None
        return state

    def _changed(self, **changes: Any) -> Self:
        return super()._changed(_live=self._live, **changes)

    def _bad_rows(self) -> BadRows | None:
        return self._options.bad_rows

    def _gives_record_batches(self) -> bool:
        return self._options.handover.gives_record_batches and not self._maps

    def with_format(self, output: Output) -> Self:
        """Return this dataset with batches of another ``output``; all else is the same.

        Like ``map`` and ``take`` it goes its own way from the epoch where this one is,
        and a state of the one can be loaded into the other.

        Raises:
            ValueError: An unknown output, or one that ``pad`` or ``pack`` cannot have.
            TypeError: ``output`` is not a str.
            ImportError: What ``output`` names is not installed.
        """
        old = self._options.handover
        kind = _output.check_output(output)
        new = _output.check(kind, old.pad, old.pack, old.transform)
        new.core(self._open())
        return self._changed(_options=self._options.with_handover(new))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the next epoch's batches as a stream of Arrow's PyCapsule interface.

        So pyarrow, Polars, DuckDB and others take the dataset itself, whatever its
        ``output``. Batches are read as they are asked for, and all have one schema. This
        is no pass of the dataset: epoch and state stay as they are.

        Args:
            requested_schema: A schema to cast to, as a capsule.

        Raises:
            TypeError: ``map``, ``transform``, ``pad`` or ``pack`` make other batches.
        """
        handover = self._options.handover
        if self._maps or not handover.keeps_rows:
            raise TypeError(
                "an Arrow stream is of the rows as they are read, and map(), transform=, "
                "pad= and pack= of this dataset make other batches of them"
            )
        # A look at the data: it must not change what a run trains on next.
        iterator = self.with_format("arrow")._iterate()  # noqa: SLF001
        return iterator.__arrow_c_stream__(requested_schema)

    # --- the order of an epoch ----------------------------------------------------------

    def _make_fingerprint(self) -> str:
        return _state.fingerprint(self._options.files, self._live.left_out())

    def _epoch_batches(self, lanes: int, epoch: int) -> int:
        if self._pack is not None:
            order = self._order(epoch, lanes)
            packing = self._live.packing(self._pack)
            return packing.schedule(order, self._plan(order)).batches
        return -(-self._index().rows // self.batch_size)

    def _pack_order(self) -> str:
        return "" if self._pack is None else self._pack.order()

    @property
    def _pack(self) -> PackOptions | None:
        return self._options.handover.pack

    def _order(self, epoch: int, lanes: int) -> PlanOrder:
        kept = self._passes.kept
        return PlanOrder(epoch, lanes, kept[1] if kept else self._default_window())

    def _plan(self, order: PlanOrder) -> _core.Plan:
        return _core.Plan.make(
            self._index(),
            self._shuffle,
            self._seed,
            order.epoch,
            self.batch_size if self._pack is None else self._pack.pack_window,
            order.lanes,
            max(order.window, 1),
        )

    def _start(self, run: Run) -> tuple[BatchSource, int | None]:
        topology = run.topology
        # The fingerprint is taken now, before the first batch: a file that changes while
        # it is read must not lend its new one to a state of the old rows.
        state = self._state(run)
        plain = (
            topology.alone
            and not self._shuffle
            and state.lanes == 1
            and run.start == run.given == 0
            and not self._live.left_out()
        )
        # How many batches the run gives, as far as that is known now.
        limit = self._last if plain else None
        source: BatchSource
        if self._pack is not None:
            source, limit = self._start_packed(self._pack, run, state, plain=plain)
        elif plain:
            source = self._options.plain_reader(self._open())
        else:
            self._warn_from_start(state)
            plan = self._plan(self._order(run.epoch, state.lanes))
            share = self._share(run, plan.batches)
            limit = share.worker_batches
            threads = self._options.threads(topology.workers)
            source = _core.Reader.planned(
                self._open(),
                self._index(),
                plan,
                share,
                run.given,
                threads,
                self._options.read_ahead(threads),
                self._options.handover.core(self._open()),
            )
        left = None if limit is None else max(limit - run.given, 0)
        return self._options.handover.run(source, self._maps, left), limit

    def _start_packed(
        self, pack: PackOptions, run: Run, state: State, *, plain: bool
    ) -> tuple[PackedBatches, int | None]:
        """Return the packed batches of a run, and their number if it is known."""
        options, topology = self._options, run.topology
        if plain:
            return options.plain_packed(pack, self._open()), self._last
        packing = self._live.packing(pack)
        began = sum(cursor.number for cursor in state.cursors)
        # Where the cursors are of an earlier batch, lengths tell what came since.
        behind = run.start > began or (run.given > 0 and run.own is None)
        if topology.world > 1:
            packing.require_lengths("packing on several ranks")
        elif self._first > began:
            packing.require_lengths("skip() of packed batches")
        elif behind:
            packing.require_lengths("going on from a batch up to which nobody read")
        elif self._last is not None and not topology.alone:
            packing.require_lengths("take() of what several workers pack")
        # A worker that was in the middle of its lanes goes on with them.
        by_itself = topology.alone or run.own is not None or packing.lengths is None
        self._warn_from_start(state)
        order = self._order(run.epoch, state.lanes)
        plan = self._plan(order)
        threads = options.threads(topology.workers)
        reader = _core.Reader.lanes(
            self._open(),
            self._index(),
            plan,
            -(-state.lanes // topology.workers),
            threads,
            options.read_ahead(threads),
            options.handover.core(self._open()),
            topology.world > 1,
        )
        cursors = dict(enumerate(run.reached() or state.cursors))
        turns: Turns | ShareTurns
        limit = None
        if by_itself and not behind:
            lanes = range(topology.worker, state.lanes, topology.workers)
            cursors = {lane: cursors[lane] for lane in lanes}
            turns = Turns(lanes)
            if self._last is not None:
                limit = max(self._last - run.start, 0)
        else:
            left = packing.schedule(order, plan, state.cursors)
            share = self._share(run, began + left.batches)
            limit = share.worker_batches
            epoch = packing.schedule(order, plan)
            turns = ShareTurns(left, began, epoch, share, run.given)
        return options.packed(pack, reader, plan, turns, cursors), limit

    def _default_lanes(self, topology: Topology) -> int:
        own = topology.world * topology.workers
        if self._lanes is None or self._lanes <= own:
            return self._lanes or own
        return min(self._lanes, own) if self._large_from_start() else self._lanes

    def _large_from_start(self) -> str | None:
        """The first file that is large and can only be read from its start."""
        for file in self._index().from_start:
            name = self._options.files[file]
            if Path(name).stat().st_size >= _LARGE_FILE:
                return name
        return None

    def _warn_from_start(self, state: State) -> None:
        if state.lanes == 1 or self._warned:
            return
        self._warned = True
        name = self._large_from_start()
        if name is not None:
            warnings.warn(
                f"'{name}' can only be read from its start, and {state.lanes} lanes each "
                "do that; to have it read once, write it with several zstd frames (as "
                "`pzstd` does), with gzip, as an Arrow file instead of a stream, or "
                "uncompressed",
                stacklevel=4,
            )

    def _default_window(self) -> int:
        if not self._shuffle:
            return 0
        if self._window is not None:
            return self._window
        rows = self._index().rows
        bytes_of_row = self._open().bytes_total / max(rows, 1)
        window = int(_WINDOW_BYTES / max(bytes_of_row, 1))
        return max(_MIN_WINDOW, min(window, _MAX_WINDOW))

    def to_hf(self, num_shards: int = 64) -> RowsDataset:
        """Return the rows as a ``datasets.IterableDataset``, for Trainer and accelerate.

        It has features, from :attr:`schema`, and a length in rows, and gives all rows:
        accelerate, ``split_dataset_by_node`` and DataLoader workers deal them out, in
        parts that differ by one row at most. Rows come in the order of this dataset with
        ``num_lanes=1``; its ``set_epoch`` chooses the epoch, and loading its state reads
        from there on. Its ``shuffle`` seeds this order; Hugging Face's own behind ``map``
        goes through a buffer, whose rows a resume loses.

        Values are those of :meth:`rows`: an integer in a column of doubles stays one, and
        becomes a double only where datasets casts, as with ``with_format("numpy")``. Keys
        that the sample did not show are left out, with a warning.

        Args:
            num_shards: As how many shards the rows count; the most ranks times workers
                that can share them.

        Raises:
            ImportError: datasets is not installed, or older than 5.0.
            ValueError: This dataset has ``map``, ``take``, ``skip``, ``transform``,
                ``pad`` or ``pack``, which work on batches, or a column of a type that
                datasets does not know, or ``distributed`` gives one rank's share.
        """
        shards = _options.integer("num_shards", num_shards, 1, (1 << 31) - 1)
        try:
            from fast_axolotl import _hf
        except ImportError as error:
            raise ImportError(
                f"to_hf() needs datasets 5.0 or newer: pip install datasets ({error})"
            ) from error
        return _hf.rows_dataset(self, shards)

    # --- what there is -----------------------------------------------------------------

    def _counted(self) -> tuple[int, bool]:
        if self._count is None and (self._shuffle or self._rank_and_world()[1] > 1):
            # A pass will need the index: a schedule made of its length is to hold.
            self._index()
        if self._count is None:
            index = self._live.kept_index()
            self._count = (
                self._open().count_rows() if index is None else (index.rows, True)
            )
        return self._count

    @property
    def num_rows(self) -> int:
        """The number of rows of an epoch, over all ranks.

        It is an estimate unless :attr:`len_is_exact`.
        """
        return self._counted()[0]

    @property
    def len_is_exact(self) -> bool:
        """Whether ``len()`` and :attr:`num_rows` are exact.

        They are where the files' footers tell the number of rows, for small files, and as
        soon as the files are indexed, which shuffling, ranks and workers do.
        """
        return self._pack is None and self._counted()[1]

    def __len__(self) -> int:
        """Return the number of batches that this rank gives, over all its workers.

        It is an estimate unless :attr:`len_is_exact`. Packed batches are counted for the
        lanes of a single worker a rank, or for ``num_lanes``; if rows are shuffled, every
        epoch has its own number, and this is that of the pass under way, or of the next.

        Raises:
            TypeError: Rows are packed, and the lengths of the sequences are not indexed.
            OSError: A sequence is longer than a packed row, where that is an error.
        """
        rank, world = self._rank_and_world()
        run = Run(Topology(rank, world), 0, self._first)
        if self._pack is not None:
            kept = self._passes.kept
            lanes = kept[0] if kept else self._default_lanes(run.topology)
            batches = self._epoch_batches(lanes, self._epoch_now())
        else:
            batches = -(-self.num_rows // self.batch_size)
        return self._share(run, batches).rank_batches

    @property
    def batch_size(self) -> int:
        """Rows in each batch but the last."""
        return self._options.batch_size

    @property
    def files(self) -> list[str]:
        """The files, in the order of reading."""
        return list(self._options.files)

    def __repr__(self) -> str:
        files = self._options.files
        shown = repr(files[0]) if len(files) == 1 else f"{len(files)} files"
        return f"{type(self).__name__}({shown}, batch_size={self.batch_size})"
