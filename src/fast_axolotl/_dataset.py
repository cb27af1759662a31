# SPDX-License-Identifier: Apache-2.0
"""Data to iterate again and again, and to give to torch."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from fast_axolotl import _core, _options, _state, _topology
from fast_axolotl._iterator import DatasetIterator, Run
from fast_axolotl._progress import Progress
from fast_axolotl._reader import Batch
from fast_axolotl._state import State
from fast_axolotl._topology import PassCounter, Topology

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from fast_axolotl._options import Columns, CsvOptions, Schema
    from fast_axolotl._paths import Paths
    from fast_axolotl._topology import Distributed

Tail = Literal["keep", "drop", "repeat"]

# A window of about this much data on disk, within these bounds: enough rows to mix many
# fragments, few enough to be held decoded.
_WINDOW_BYTES: Final = 32 << 20
_MIN_WINDOW: Final = 1024
_MAX_WINDOW: Final = 65536
# Seconds of indexing before a bar is shown to a person.
_INDEX_PATIENCE: Final = 2.0
# Reading less than this from the start, again and again, is not worth a warning.
_LARGE_FILE: Final = 1 << 20


def _identity(batch: Batch) -> Batch:
    """A collate function that leaves the batch alone."""
    return batch


class StreamingDataset:
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
    ) -> None:
        super().__init__()
        self._options = _options.check(
            path,
            batch_size,
            columns,
            num_threads=num_threads,
            read_ahead_bytes=read_ahead_bytes,
            schema=schema,
            format=format,
            csv=csv,
        )
        self._shuffle = _options.boolean("shuffle", shuffle)
        self._seed = _options.integer("seed", seed, 0, (1 << 64) - 1)
        self._lanes = _options.optional_positive("num_lanes", num_lanes)
        self._window = _options.optional_positive("shuffle_window", shuffle_window)
        if tail not in {None, "keep", "drop", "repeat"}:
            raise ValueError(
                f'tail must be None, "keep", "drop" or "repeat", not {tail!r}'
            )
        self._tail = tail
        self._distributed = _topology.check(distributed)
        # The part of each epoch that counts, in batches.
        self._first = 0
        self._last: int | None = None
        self._maps: tuple[Callable[[Any], Any], ...] = ()
        self._passes = PassCounter()
        # The loaded state, and when it was loaded: it is the start of one pass.
        self._loaded: tuple[int, State] | None = None
        self._worker_loaded: Run | None = None
        self._warned = False
        self._current: DatasetIterator | None = None
        self._forget_live()
        self._open()

    # --- what is live, and does not travel ---------------------------------------------

    def _forget_live(self) -> None:
        self._opened: tuple[int, _core.Dataset] | None = None
        self._indexed: tuple[int, _core.Index] | None = None
        self._fingerprint: str | None = None
        self._count: tuple[int, bool] | None = None
        self._current = None

    def _open(self) -> _core.Dataset:
        # A fork copies locks in whatever state they are: the child looks for itself.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._options.open())
        return self._opened[1]

    def _index(self) -> _core.Index:
        if self._indexed is None or self._indexed[0] != os.getpid():
            dataset = self._open()
            total = dataset.bytes_total
            # Of many processes that wait for the same index one draws the bar.
            first = not _topology.in_worker() and os.environ.get("RANK", "0") == "0"
            with Progress(wanted=first, patience=_INDEX_PATIENCE) as progress:
                index = _core.build_index(
                    dataset,
                    _core.index_folder(),
                    self._options.threads(1),
                    lambda done: progress(None, done, total),
                )
            self._indexed = (os.getpid(), index)
            self._count = (index.rows, True)
        return self._indexed[1]

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__}
        for live in ("_opened", "_indexed", "_current"):
            state[live] = None
        if _topology.is_spawning() and not isinstance(self._distributed, (str, tuple)):
            # A process group stays behind, what it says goes along.
            state["_distributed"] = _topology.rank_and_world(self._distributed)
        elif _topology.is_spawning() and self._distributed == "auto":
            state["_distributed"] = _topology.rank_and_world("auto")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # --- iterating ---------------------------------------------------------------------

    def __iter__(self) -> Iterator[Batch]:
        """Start a new pass: an iterator of ``dict[str, list]``.

        Every pass is an epoch of its own: the first is epoch 0, unless
        :meth:`set_epoch` or a loaded state say otherwise. In a DataLoader's worker it
        gives this worker's share of the batches.
        """
        return self._iterate()

    def _iterate(self) -> DatasetIterator:
        topology = self._topology()
        number = self._passes.start()
        run = self._run_of_pass(topology, number)
        if self._worker_loaded is not None:
            run, self._worker_loaded = self._worker_loaded, None
        self._current = DatasetIterator(self, run)
        return self._current

    def _topology(self) -> Topology:
        return Topology(
            *_topology.rank_and_world(self._distributed), *_topology.worker_and_workers()
        )

    def _run_of_pass(self, topology: Topology, number: int) -> Run:
        epoch = self._passes.first_epoch + number
        start = self._first
        if (
            number == 0
            and self._loaded is not None
            and self._loaded[0] == self._passes.generation
        ):
            start = max(start, self._loaded[1].batch)
        return Run(topology, epoch, start)

    def _start(self, run: Run) -> tuple[_core.Reader, int | None]:
        """Return a reader for a run, and how many batches of it count."""
        topology = run.topology
        state = self._state(run)
        plain = (
            topology.alone
            and not self._shuffle
            and state.lanes == 1
            and run.start == run.given == 0
        )
        if plain:
            return self._options.plain_reader(self._open()), self._last
        self._warn_from_start(state)
        plan = _core.Plan.make(
            self._index(),
            state.shuffle,
            state.seed,
            run.epoch,
            state.batch_size,
            state.lanes,
            max(state.window, 1),
        )
        reader = _core.Reader.planned(
            self._open(),
            self._index(),
            plan,
            self._share(run, plan.batches),
            run.given,
            self._options.threads(topology.workers),
            self._options.read_ahead_bytes,
        )
        return reader, None

    def _share(self, run: Run, batches: int) -> _core.Share:
        topology = run.topology
        last = batches if self._last is None else min(self._last, batches)
        first = min(self._first, last)
        return _core.Share.make(
            min(run.start, last),
            first,
            last,
            (topology.rank, topology.world),
            (topology.worker, topology.workers),
            self._tail or ("keep" if topology.world == 1 else "repeat"),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows, in the same order: one ``dict`` a row."""
        with self._iterate() as iterator:
            done = 0
            for batch in iterator:
                names = list(batch)
                if names:
                    for values in zip(*batch.values(), strict=True):
                        yield dict(zip(names, values, strict=True))
                else:
                    # Rows without any column have no list to count them by.
                    yield from ({} for _ in range(iterator.rows_read - done))
                done = iterator.rows_read

    def loader(self, **kwargs: Any) -> DataLoader[Batch]:
        """Return a ``torch.utils.data.DataLoader`` over the batches.

        Its ``batch_size`` is ``None``, because this dataset batches itself, and its
        ``collate_fn`` leaves batches alone: torch's own looks at every single value.

        Args:
            **kwargs: Other arguments of the DataLoader, such as ``num_workers``.

        Raises:
            ImportError: torch is not installed.
            TypeError: ``batch_size`` is among the arguments.
        """
        if kwargs.get("batch_size") is not None:
            raise TypeError(
                "loader() takes no batch_size: it is that of the dataset, "
                f"{self._options.batch_size}"
            )
        from torch.utils.data import DataLoader

        kwargs.setdefault("collate_fn", _identity)
        kwargs["batch_size"] = None
        return DataLoader(cast("Any", self), **kwargs)

    # --- variations --------------------------------------------------------------------

    def _changed(self, **changes: Any) -> StreamingDataset:
        other = copy.copy(self)
        other.__dict__.update(changes)
        other._opened = self._opened  # noqa: SLF001
        other._indexed = self._indexed  # noqa: SLF001
        # It goes its own way from where this one is.
        other._passes = self._passes.copy()  # noqa: SLF001
        return other

    def map(self, fn: Callable[[Any], Any]) -> StreamingDataset:
        """Return a dataset whose batches are ``fn(batch)``, made when they are given.

        Args:
            fn: Takes a batch, and returns what is given instead of it. To be used with
                workers that are spawned it must be picklable.

        Raises:
            TypeError: ``fn`` cannot be called.
        """
        if not callable(fn):
            raise TypeError(f"map() needs a function, not {type(fn).__name__}")
        return self._changed(_maps=(*self._maps, fn))

    def take(self, n: int) -> StreamingDataset:
        """Return a dataset of the first ``n`` batches of each epoch, over all ranks."""
        last = self._first + _options.integer("n", n, 0, (1 << 62))
        return self._changed(_last=last if self._last is None else min(last, self._last))

    def skip(self, n: int) -> StreamingDataset:
        """Return a dataset without each epoch's first ``n`` batches, over all ranks."""
        first = self._first + _options.integer("n", n, 0, (1 << 62))
        return self._changed(_first=first)

    # --- epochs and states -------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be epoch ``epoch``; those after it count on from there.

        A loaded state stays as it is if it belongs to that epoch. Workers that are kept
        from pass to pass hear of it, too.

        Args:
            epoch: The epoch, from 0.
        """
        number = _options.integer("epoch", epoch, 0, (1 << 62))
        if number != self._passes.first_epoch + self._passes.passes:
            self._passes.set(number)

    def _default_lanes(self, topology: Topology) -> int:
        own = topology.world * topology.workers
        if self._lanes is None:
            return own
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

    def _state(self, run: Run) -> State:
        """The state at the start of a run."""
        if self._fingerprint is None:
            self._fingerprint = _state.fingerprint(self._options.files)
        kept = self._loaded[1] if self._loaded is not None else None
        return State(
            fingerprint=self._fingerprint,
            epoch=run.epoch,
            batch=run.start,
            lanes=kept.lanes if kept else self._default_lanes(run.topology),
            batch_size=self._options.batch_size,
            shuffle=self._shuffle,
            seed=self._seed,
            window=kept.window if kept else self._default_window(),
        )

    def _next_epoch(self, state: State) -> State:
        return replace(state, epoch=state.epoch + 1, batch=self._first)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as of the batches given so far: a small dict of plain values.

        It can be kept as JSON, and loaded under any number of ranks and workers. After
        the last batch of an epoch it is the start of the next one.

        Raises:
            RuntimeError: DataLoader workers read the data, so this process does not know
                which batches have been used.
        """
        if self._current is not None:
            return self._current.state_dict()
        if not _topology.in_worker() and self._passes.workers:
            raise RuntimeError(
                "DataLoader workers read this dataset, and how far the training loop got "
                "is known only there: use torchdata's StatefulDataLoader and its "
                "state_dict(), or ds.state_at(batches_consumed), or num_workers=0"
            )
        run = self._run_of_pass(self._topology(), self._passes.passes)
        return self._state(run).to_dict()

    def state_at(self, batches_consumed: int) -> dict[str, Any]:
        """Return the state after so many batches of the current pass on this rank.

        Args:
            batches_consumed: Batches that this rank used since the pass began, or since
                it was resumed.
        """
        consumed = _options.integer("batches_consumed", batches_consumed, 0, 1 << 62)
        topology = replace(self._topology(), workers=max(self._passes.workers, 1))
        run = self._run_of_pass(topology, max(self._passes.passes - 1, 0))
        state = self._state(run)
        plan_batches = -(-self._index().rows // self._options.batch_size)
        if consumed >= self._share(run, plan_batches).rank_batches:
            return self._next_epoch(state).to_dict()
        return replace(state, batch=run.start + topology.world * consumed).to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass go on from a state; the epochs after it follow.

        Args:
            state: A state of this data, read with the same options of order; the ranks
                and workers may be others than when it was saved.

        Raises:
            ValueError: The files or the options of order are others, or the state is of
                an unknown version.
            TypeError: Not a dict.
        """
        topology = self._topology()
        run = self._resumed(topology, state)
        if _topology.in_worker():
            self._passes.next_epoch_is(run.epoch)
            self._worker_loaded = run
        else:
            self._passes.set(run.epoch)
            loaded = self._loaded[1] if self._loaded else _state.parse(state)
            self._loaded = (self._passes.generation, loaded)
            self._current = None

    def _resumed(self, topology: Topology, state: Mapping[str, Any]) -> Run:
        """Check a state and return the run that goes on from it."""
        found = _state.parse(state)
        given = 0
        if "given" in state:
            mine = (topology.rank, topology.world, topology.worker, topology.workers)
            its = tuple(state.get(k) for k in ("rank", "world", "worker", "workers"))
            if mine != its:
                raise ValueError(
                    "this is the state of one DataLoader worker (rank, world, worker, "
                    f"workers) = {its}, and this is {mine}: join the states of all "
                    "workers with merge_states()"
                )
            given = _options.integer("given", state["given"], 0, 1 << 62)
        if self._fingerprint is None:
            self._fingerprint = _state.fingerprint(self._options.files)
        for name, mine_value, its_value in (
            ("files (names, sizes or content)", self._fingerprint, found.fingerprint),
            ("batch_size", self._options.batch_size, found.batch_size),
            ("shuffle", self._shuffle, found.shuffle),
            ("seed", self._seed, found.seed),
        ):
            if mine_value != its_value:
                raise ValueError(
                    f"the state was saved with other {name}: {its_value!r} there, "
                    f"{mine_value!r} here"
                )
        if self._shuffle and found.window < 1:
            raise ValueError("the state's 'window' is 0, but the order is shuffled")
        # Lanes and window are those of the first start from now on.
        self._loaded = (-1 if self._loaded is None else self._loaded[0], found)
        return Run(topology, found.epoch, max(found.batch, self._first), given)

    # --- what there is -----------------------------------------------------------------

    def _counted(self) -> tuple[int, bool]:
        if self._count is None:
            index = _core.load_index(self._open(), _core.index_folder())
            if index is not None:
                self._indexed = (os.getpid(), index)
                self._count = (index.rows, True)
            else:
                self._count = self._open().count_rows()
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
        return self._counted()[1]

    def __len__(self) -> int:
        """Return the number of batches that this rank gives, over all its workers.

        It is an estimate unless :attr:`len_is_exact`.
        """
        batches = -(-self.num_rows // self._options.batch_size)
        rank, world = _topology.rank_and_world(self._distributed)
        run = Run(Topology(rank, world), 0, self._first)
        return self._share(run, batches).rank_batches

    @property
    def batch_size(self) -> int:
        """Rows in each batch but the last."""
        return self._options.batch_size

    @property
    def columns(self) -> list[str]:
        """The columns of the batches, in their order, as far as a sample tells.

        A batch of JSON rows may have further keys, behind these.
        """
        return [name for name, _ in self._open().schema]

    @property
    def schema(self) -> dict[str, str]:
        """The columns' types by name, such as ``"list<int64>"``.

        ``"json"`` is a column of values of no one simple type; each is what
        ``json.loads`` gives.
        """
        return dict(self._open().schema)

    @property
    def files(self) -> list[str]:
        """The files, in the order of reading."""
        return list(self._options.files)

    def __repr__(self) -> str:
        files = self._options.files
        shown = repr(files[0]) if len(files) == 1 else f"{len(files)} files"
        return f"{type(self).__name__}({shown}, batch_size={self.batch_size})"


def torch_class() -> type[StreamingDataset]:
    """Return the dataset class, made a torch ``IterableDataset`` where torch is there.

    Importing torch takes seconds, so it waits until the class is first asked for.
    """
    bases: tuple[type, ...] = (StreamingDataset,)
    try:
        from torch.utils.data import IterableDataset
    except ImportError:
        pass
    else:
        bases = (StreamingDataset, IterableDataset)
    name = "RustStreamingDataset"
    members = {
        "__doc__": StreamingDataset.__doc__,
        "__module__": "fast_axolotl",
        "__qualname__": name,
    }
    return cast("type[StreamingDataset]", type(name, bases, members))
